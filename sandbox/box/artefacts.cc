#include "sandbox/box/artefacts.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "sandbox/broker/errno_name.h"
#include "sandbox/broker/sys.h"

namespace seedbed::sandbox::box {
namespace {

Taken refuse(int error, std::string_view why) {
  const char* name = known_errno_name(error);
  Taken out;
  out.error = error;
  out.why = std::string(why) + (name != nullptr ? std::string(" (") + name + ")" : "");
  return out;
}

Taken open_inside(int folder, const std::string& path, std::uint64_t cap, Fd& file) {
  if (path.empty() || path.find('\0') != std::string::npos) return refuse(EINVAL, "no path");
  open_how how{};
  how.flags = O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV;
  for (int i = 0; i < 16; ++i) {  // EAGAIN: something was renamed meanwhile
    file.reset(static_cast<int>(::syscall(SYS_openat2, folder, path.c_str(), &how, sizeof how)));
    if (file || errno != EAGAIN) break;
  }
  if (!file && errno == ELOOP) return refuse(ELOOP, "a link, and links are not followed");
  if (!file && errno == EXDEV) return refuse(EXDEV, "leads out of the folder");
  if (!file) return refuse(errno, "cannot be opened");
  struct stat st {};
  if (::fstat(file.get(), &st) != 0) return refuse(errno, "cannot be looked at");
  if (!S_ISREG(st.st_mode)) return refuse(EINVAL, "no regular file");
  if (static_cast<std::uint64_t>(st.st_size) > cap) return refuse(EFBIG, "above the size allowed");
  return {};
}

// Calls `use` with each piece; false: `use` failed. A file that grows meanwhile is cut off at
// `cap`.
template <class Use>
Taken read_pieces(int fd, std::uint64_t cap, Use&& use) {
  std::array<char, 65536> piece{};
  Taken out;
  for (;;) {
    const ssize_t n = ::read(fd, piece.data(), piece.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return refuse(errno, "cannot be read");
    if (n == 0) return out;
    if (out.bytes + static_cast<std::uint64_t>(n) > cap)
      return refuse(EFBIG, "grew while it was read");
    out.bytes += static_cast<std::uint64_t>(n);
    if (!use(std::string_view(piece.data(), static_cast<std::size_t>(n))))
      return refuse(errno, "cannot be written on");
  }
}

}  // namespace

Taken read_artefact(int folder, const std::string& path, std::uint64_t cap, std::string& out) {
  Fd file;
  if (Taken refused = open_inside(folder, path, cap, file); refused.error != 0) return refused;
  return read_pieces(file.get(), cap, [&out](std::string_view piece) {
    out.append(piece);
    return true;
  });
}

Taken copy_artefact(int folder, const std::string& path, std::uint64_t cap, const std::string& to) {
  Fd file;
  if (Taken refused = open_inside(folder, path, cap, file); refused.error != 0) return refused;
  const Fd out(::open(to.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644));
  if (!out) return refuse(errno, "cannot be made on the host");
  Taken taken = read_pieces(file.get(), cap, [&out](std::string_view piece) {
    while (!piece.empty()) {
      const ssize_t n = ::write(out.get(), piece.data(), piece.size());
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return false;
      piece.remove_prefix(static_cast<std::size_t>(n));
    }
    return true;
  });
  if (taken.error != 0) ::unlink(to.c_str());
  return taken;
}

}  // namespace seedbed::sandbox::box
