// Packets with descriptors over unix sockets. No heap: pid 1 of a jail uses them too.
#pragma once
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cstring>

#include "sandbox/broker/sys.h"

namespace seedbed::sandbox {

constexpr std::size_t kMaxPassed = 4;  // descriptors of one packet

// As sendmsg(); a receiver that is gone is EPIPE, no signal.
inline ssize_t send_packet(int socket,
                           const void* data,
                           std::size_t size,
                           const int* fds = nullptr,
                           std::size_t count = 0) {
  iovec part{const_cast<void*>(data), size};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(kMaxPassed * sizeof(int))> space{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (count > 0) {
    message.msg_control = space.data();
    message.msg_controllen =
        static_cast<decltype(message.msg_controllen)>(CMSG_SPACE(count * sizeof(int)));
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = static_cast<decltype(header->cmsg_len)>(CMSG_LEN(count * sizeof(int)));
    std::memcpy(CMSG_DATA(header), fds, count * sizeof(int));
  }
  return ::sendmsg(socket, &message, MSG_NOSIGNAL);
}

// As recvmsg(); the descriptors that came are in the first `passed` of `fds`, close-on-exec.
inline ssize_t receive_packet(int socket,
                              void* data,
                              std::size_t size,
                              int flags,
                              std::array<Fd, kMaxPassed>& fds,
                              std::size_t& passed) {
  iovec part{data, size};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(kMaxPassed * sizeof(int))> space{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = space.data();
  message.msg_controllen = space.size();
  passed = 0;
  const ssize_t n = ::recvmsg(socket, &message, flags | MSG_CMSG_CLOEXEC);
  const cmsghdr* header = n > 0 ? CMSG_FIRSTHDR(&message) : nullptr;
  if (header == nullptr || header->cmsg_type != SCM_RIGHTS) return n;
  passed = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
  if (passed > kMaxPassed) passed = kMaxPassed;
  std::array<int, kMaxPassed> got{};
  std::memcpy(got.data(), CMSG_DATA(header), passed * sizeof(int));
  for (std::size_t i = 0; i < passed; ++i) fds.at(i).reset(got.at(i));
  return n;
}

inline bool readable(int fd, int ms) {
  pollfd p{fd, POLLIN, 0};
  int n = 0;
  do n = ::poll(&p, 1, ms);
  while (n < 0 && errno == EINTR);
  return n > 0;
}

}  // namespace seedbed::sandbox
