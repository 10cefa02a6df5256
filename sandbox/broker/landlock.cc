#include "sandbox/broker/landlock.h"

#include <linux/landlock.h>

#include "sandbox/broker/sys.h"

namespace seedbed::sandbox {
namespace {

using landlock::kRefer;
using landlock::kTruncate;

// Rights by the ABI that brought them.
constexpr std::uint64_t kFsAbi1 = (1U << 13) - 1;
constexpr std::uint64_t kNetTcp = 3;  // 4: bind, connect
constexpr std::uint64_t kScopes = 3;  // 6: abstract unix socket, signal
// In the work area: everything but running files and making devices, sockets and pipes.
constexpr std::uint64_t kWorkArea =
    LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR |
    LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_DIR |
    LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SYM | kRefer | kTruncate;

}  // namespace

int landlock_abi() {
  const long abi =
      ::syscall(SYS_landlock_create_ruleset, nullptr, 0UL, LANDLOCK_CREATE_RULESET_VERSION);
  return abi < 0 ? -errno : static_cast<int>(abi);
}

namespace landlock {

int handled_rights(Rights& out) {
  const int abi = landlock_abi();
  if (abi < 0) return -abi;
  out.fs =
      kFsAbi1 | (abi >= 2 ? kRefer : 0) | (abi >= 3 ? kTruncate : 0) | (abi >= 5 ? kIoctlDev : 0);
  out.net = abi >= 4 ? kNetTcp : 0;
  out.scoped = abi >= 6 ? kScopes : 0;
  return 0;
}

int make_ruleset(const Rights& handled) {
  // An older kernel refuses fields that it does not know.
  const std::size_t size = handled.scoped != 0 ? 24 : handled.net != 0 ? 16 : 8;
  return static_cast<int>(::syscall(SYS_landlock_create_ruleset, &handled, size, 0U));
}

}  // namespace landlock

int landlock_restrict(int work_area) {
  landlock::Rights handled;
  if (const int error = landlock::handled_rights(handled)) return error;
  const Fd set(landlock::make_ruleset(handled));
  if (!set) return errno;
  if (work_area >= 0) {
    landlock_path_beneath_attr beneath{};
    beneath.allowed_access = kWorkArea & handled.fs;
    beneath.parent_fd = work_area;
    if (::syscall(SYS_landlock_add_rule, set.get(), LANDLOCK_RULE_PATH_BENEATH, &beneath, 0U) != 0)
      return errno;
  }
  return ::syscall(SYS_landlock_restrict_self, set.get(), 0U) == 0 ? 0 : errno;
}

}  // namespace seedbed::sandbox
