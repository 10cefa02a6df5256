#include "sandbox/broker/landlock.h"

#include <linux/landlock.h>

#include "sandbox/broker/sys.h"

namespace seedbed::sandbox {
namespace {

struct Ruleset {
  std::uint64_t fs = 0, net = 0, scoped = 0;
};
// Rights by the ABI that brought them.
constexpr std::uint64_t kFsAbi1 = (1U << 13) - 1;
constexpr std::uint64_t kFsRefer = 1U << 13;     // 2
constexpr std::uint64_t kFsTruncate = 1U << 14;  // 3
constexpr std::uint64_t kFsIoctlDev = 1U << 15;  // 5
constexpr std::uint64_t kNetTcp = 3;             // 4: bind, connect
constexpr std::uint64_t kScopes = 3;             // 6: abstract unix socket, signal
// In the work area: everything but running files and making devices, sockets and pipes.
constexpr std::uint64_t kWorkArea =
    LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR |
    LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_DIR |
    LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SYM | kFsRefer | kFsTruncate;

}  // namespace

int landlock_abi() {
  const long abi =
      ::syscall(SYS_landlock_create_ruleset, nullptr, 0UL, LANDLOCK_CREATE_RULESET_VERSION);
  return abi < 0 ? -errno : static_cast<int>(abi);
}

int landlock_restrict(int work_area) {
  const int abi = landlock_abi();
  if (abi < 0) return -abi;
  Ruleset rules;
  rules.fs = kFsAbi1 | (abi >= 2 ? kFsRefer : 0) | (abi >= 3 ? kFsTruncate : 0) |
             (abi >= 5 ? kFsIoctlDev : 0);
  rules.net = abi >= 4 ? kNetTcp : 0;
  rules.scoped = abi >= 6 ? kScopes : 0;
  const std::size_t size = abi >= 6   ? 24
                           : abi >= 4 ? 16
                                      : 8;  // an older kernel refuses fields that it does not know
  const Fd set(static_cast<int>(::syscall(SYS_landlock_create_ruleset, &rules, size, 0U)));
  if (!set) return errno;
  if (work_area >= 0) {
    landlock_path_beneath_attr beneath{};
    beneath.allowed_access = kWorkArea & rules.fs;
    beneath.parent_fd = work_area;
    if (::syscall(SYS_landlock_add_rule, set.get(), LANDLOCK_RULE_PATH_BENEATH, &beneath, 0U) != 0)
      return errno;
  }
  return ::syscall(SYS_landlock_restrict_self, set.get(), 0U) == 0 ? 0 : errno;
}

}  // namespace seedbed::sandbox
