#include "sandbox/broker/errno_name.h"

#include <array>
#include <cerrno>

namespace seedbed::sandbox {
namespace {

struct Named {
  int error;
  const char* name;
};
#define NAMED(error) \
  Named {            \
    error, #error    \
  }
constexpr std::array kNames = {
    NAMED(EPERM),        NAMED(ENOENT),          NAMED(ESRCH),        NAMED(EINTR),
    NAMED(EIO),          NAMED(ENXIO),           NAMED(E2BIG),        NAMED(ENOEXEC),
    NAMED(EBADF),        NAMED(ECHILD),          NAMED(EAGAIN),       NAMED(ENOMEM),
    NAMED(EACCES),       NAMED(EFAULT),          NAMED(ENOTBLK),      NAMED(EBUSY),
    NAMED(EEXIST),       NAMED(EXDEV),           NAMED(ENODEV),       NAMED(ENOTDIR),
    NAMED(EISDIR),       NAMED(EINVAL),          NAMED(ENFILE),       NAMED(EMFILE),
    NAMED(ENOTTY),       NAMED(ETXTBSY),         NAMED(EFBIG),        NAMED(ENOSPC),
    NAMED(ESPIPE),       NAMED(EROFS),           NAMED(EMLINK),       NAMED(EPIPE),
    NAMED(EDOM),         NAMED(ERANGE),          NAMED(EDEADLK),      NAMED(ENAMETOOLONG),
    NAMED(ENOSYS),       NAMED(ENOTEMPTY),       NAMED(ELOOP),        NAMED(EIDRM),
    NAMED(ELIBBAD),      NAMED(EILSEQ),          NAMED(EUSERS),       NAMED(ENOTSOCK),
    NAMED(EMSGSIZE),     NAMED(EPROTONOSUPPORT), NAMED(EOPNOTSUPP),   NAMED(EAFNOSUPPORT),
    NAMED(EADDRINUSE),   NAMED(EADDRNOTAVAIL),   NAMED(ENETDOWN),     NAMED(ENETUNREACH),
    NAMED(ECONNABORTED), NAMED(ECONNRESET),      NAMED(ENOBUFS),      NAMED(EISCONN),
    NAMED(ENOTCONN),     NAMED(ETIMEDOUT),       NAMED(ECONNREFUSED), NAMED(EALREADY),
    NAMED(EINPROGRESS),  NAMED(ESTALE),          NAMED(EDQUOT),       NAMED(ECANCELED),
    NAMED(EOVERFLOW),    NAMED(ENODATA),         NAMED(EPROTO),       NAMED(EOWNERDEAD),
    NAMED(EKEYEXPIRED),  NAMED(ENOKEY)};
#undef NAMED

}  // namespace

const char* known_errno_name(int error) {
  for (const Named& known : kNames)
    if (known.error == error) return known.name;
  return nullptr;
}

std::string errno_name(int error) {
  const char* name = known_errno_name(error);
  return name != nullptr ? name : "errno " + std::to_string(error);
}

}  // namespace seedbed::sandbox
