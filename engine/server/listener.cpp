#include "engine/server/listener.h"

#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <system_error>

namespace seedbed::engine::server {
namespace {

struct Outcome {
  int fd = -1;
  int error = 0;
};

Outcome listen_at(const addrinfo& address, int port, bool v6_only) {
  const int fd = socket(address.ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return {-1, errno};
  const int on = 1, only = v6_only ? 1 : 0;
  sockaddr_storage storage{};
  std::memcpy(&storage, address.ai_addr, address.ai_addrlen);
  bool ok = setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0;
  if (address.ai_family == AF_INET6) {
    reinterpret_cast<sockaddr_in6*>(&storage)->sin6_port = htons(static_cast<std::uint16_t>(port));
    ok = ok && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof only) == 0;
  } else {
    reinterpret_cast<sockaddr_in*>(&storage)->sin_port = htons(static_cast<std::uint16_t>(port));
  }
  ok = ok && bind(fd, reinterpret_cast<const sockaddr*>(&storage), address.ai_addrlen) == 0 &&
       listen(fd, SOMAXCONN) == 0;
  if (ok) return {fd, 0};
  const int error = errno;
  close(fd);
  return {-1, error};
}

int port_of(int fd) {
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&storage), &size) != 0) return 0;
  return ntohs(storage.ss_family == AF_INET6 ? reinterpret_cast<sockaddr_in6&>(storage).sin6_port
                                             : reinterpret_cast<sockaddr_in&>(storage).sin_port);
}

void close_all(Listening& listening) {
  for (const int fd : listening.fds) close(fd);
  listening.fds.clear();
}

// All addresses of the list on one port. A family that the machine lacks is left out; an address in
// use is an error. Gives the errno of what failed.
int listen_at_all(const addrinfo* list, int port, Listening& out) {
  bool v4 = false;
  for (const auto* a = list; a != nullptr; a = a->ai_next) v4 = v4 || a->ai_family == AF_INET;
  int lacking = 0;
  out.port = port;
  for (const auto* a = list; a != nullptr; a = a->ai_next) {
    if (a->ai_family != AF_INET && a->ai_family != AF_INET6) continue;
    const auto one = listen_at(*a, out.port, v4);
    if (one.fd >= 0) {
      out.fds.push_back(one.fd);
      if (out.port == 0) out.port = port_of(one.fd);
    } else if (one.error == EADDRNOTAVAIL || one.error == EAFNOSUPPORT) {
      lacking = one.error;
    } else {
      close_all(out);
      return one.error;
    }
  }
  return out.fds.empty() ? (lacking != 0 ? lacking : EADDRNOTAVAIL) : 0;
}

}  // namespace

Result<Listening> listen_on(const std::string& host, int port) {
  const auto at = host + ":" + std::to_string(port);
  const auto failed = [&at](const std::string& found) {
    return make_error(Where::config, "server", at, "found " + found + ", wanted a free address",
                      "choose another --host or --port");
  };
  if (port < 0 || port > 65'535) return failed("a port outside 0..65535");
  auto name = host;
  if (name.size() > 2 && name.front() == '[' && name.back() == ']')
    name = name.substr(1, name.size() - 2);
  if (name.empty() || name.find('\0') != std::string::npos) return failed("no host");
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  addrinfo* found = nullptr;
  if (const int code = getaddrinfo(name.c_str(), nullptr, &hints, &found); code != 0)
    return failed(std::string("no such host (") + gai_strerror(code) + ")");
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> list(found, freeaddrinfo);
  Listening listening;
  int error = 0;
  for (int tries = 0; tries < 16; ++tries) {  // a port free for one family may be used in another
    error = listen_at_all(list.get(), port, listening);
    if (error != EADDRINUSE || port != 0) break;
  }
  if (error != 0) return failed(std::generic_category().message(error));
  return listening;
}

}  // namespace seedbed::engine::server
