// Landlock by number: the reference distribution's headers are older than its kernels.
#pragma once
#include <cstdint>

namespace seedbed::sandbox {

// Highest ABI of this kernel, or -errno.
int landlock_abi();
// From now on the calling thread and its children reach no file but those below `work_area` (an
// O_PATH descriptor, or -1: none), make no TCP connection, and signal or connect nobody outside.
// Needs no_new_privs. Returns 0 or errno.
int landlock_restrict(int work_area);

namespace landlock {
constexpr std::uint64_t kRefer = 1U << 13;     // since ABI 2
constexpr std::uint64_t kTruncate = 1U << 14;  // 3
constexpr std::uint64_t kIoctlDev = 1U << 15;  // 5

// As the kernel's struct landlock_ruleset_attr.
struct Rights {
  std::uint64_t fs = 0, net = 0, scoped = 0;
};
// All that this kernel can withhold: returns 0 or errno.
int handled_rights(Rights& out);
// A rule set that withholds them; -1 with errno.
int make_ruleset(const Rights& handled);
}  // namespace landlock

}  // namespace seedbed::sandbox
