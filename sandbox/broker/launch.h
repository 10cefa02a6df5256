// From a fresh child of the broker to the program inside: the steps that build the jail, in order.
//
// Theory of operation. The broker makes two pairs: the jail's socket (stream, handed to the parent)
// and a status channel (seqpacket, close-on-exec). It clones the child straight into its
// namespaces and its unified group, then says "go". The child enters its other groups and runs the
// steps; a step that fails
// reports its name and errno and exits. Exec closes the status channel: its end without a report
// means that the program runs. The program itself is pid 1 of its namespace: when it ends, or the
// parent or broker kills it, the kernel kills all that is left inside. There is no init to ptrace
// or to starve; orphans are bounded by the pids limit, and a default-action signal from inside
// cannot end pid 1 (abort() ends it by SIGSEGV).
//
// (1) Nothing untrusted runs before the last step.  (2) No step after privileges are gone needs
// any. (3) When the program starts, 0, 1, 2 are /dev/null, 3 is its socket, and nothing else is
// open. (4) Nothing is mounted outside the child's own mount namespace.
#pragma once
#include <array>
#include <string_view>

#include "sandbox/broker/cgroup.h"
#include "sandbox/broker/sys.h"

namespace seedbed::sandbox {

// Which layers this machine gives; decided once by the probe.
struct Plan {
  bool root = false;     // started by root: namespaces directly, a real uid a jail
  bool user_ns = false;  // not root: namespaces through a user namespace that maps the one uid
  bool mount_ns = false, pid_ns = false, net_ns = false, ipc_ns = false, uts_ns = false,
       cgroup_ns = false;
  bool own_root = false;  // tmpfs root and pivot_root
  bool landlock = false;
};

struct JailOrder {
  Plan plan;
  unsigned uid = 0;  // inside; outside too, where plan.root
  int tmpfs_mib = 0, open_files = 0, pids = 0, core = -1;
  int program = -1, socket = -1, status = -1, null = -1, broker_end = -1;  // descriptors
  char* const* argv = nullptr;
  const CgroupGate* groups = nullptr;
};

struct StageReport {
  int error = 0;
  std::array<char, 28> stage{};
};

// The child's whole life up to exec. Never returns.
[[noreturn]] void enter_jail(const JailOrder& order);

// Single steps, for the probe too: each returns 0 or errno.
int make_private_mounts();
int make_root(int tmpfs_mib,
              unsigned uid,
              bool& tmpfs_failed);  // sized tmpfs as root, read-only, with /tmp, and pivot_root
int set_limits(const JailOrder& order);
int become(const Plan& plan, unsigned uid);  // uid, gid, groups
int drop_capabilities(bool bounding_too);

int namespace_flags(const Plan& plan);
// Writes the maps of a child's user namespace: `inside` is our own uid outside.
int write_maps(int pid, unsigned inside);

// Sends a report, with a descriptor when `fd` >= 0.
void send_report(int status, int error, std::string_view stage, int fd = -1);

}  // namespace seedbed::sandbox
