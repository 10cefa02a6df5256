// What a box is made of: a jail for programs that nobody here wrote (shells, interpreters, tool
// servers). All of it is laid out before the clone, since nothing after it may use the heap.
//
// Theory of operation. The supervisor (one thread, static, small) clones pid 1 into its namespaces.
// Pid 1 builds the root and then stays: it is our own code, under a uid of its own, non-dumpable,
// with no capability but those that starting a process under another uid takes. It starts programs
// on demand (`spawn.h`), reaps whatever ends inside, and says so over its control socket. When the
// socket closes, pid 1 ends and the kernel ends everything inside. The wall clock is outside.
#pragma once
#include <cstdint>
#include <string_view>

#include "sandbox/broker/launch.h"

namespace seedbed::sandbox::box {

// What a program sees of networks. `none`: no socket but unix ones, and those reach nobody outside.
// `loopback`: an interface of its own, 127.0.0.1, with nobody else on it.
enum class Net : std::uint8_t { none, loopback };

constexpr int kMaxMounts = 32;
struct Mount {
  const char* source = nullptr;  // on the host, absolute
  const char* target = nullptr;  // inside, absolute, without "." and ".."
  bool writable = false;
};

struct Limits {
  std::uint64_t tmpfs_bytes = 64ULL << 20;  // of /tmp, /work and /dev/shm together
  std::uint64_t tmpfs_inodes = 16'384;
  std::uint64_t file_bytes = 64ULL << 20;  // largest file
  std::uint64_t address_bytes = 0;         // of one process; 0: the control group's limit alone
  int memory_mib = 512, pids = 64;         // whole box
  int open_files = 256;
  int cpu_seconds = 0;  // of one process; 0: none
};

struct Order {
  Plan plan;
  unsigned uid = 0;       // of programs
  unsigned init_uid = 0;  // of pid 1, where plan.root; else `uid`
  Net net = Net::none;
  bool proc = true;   // mount /proc
  bool once = false;  // pid 1 ends when the first program does
  Limits limits;
  const Mount* mounts = nullptr;
  int mount_count = 0;
  int status = -1, broker_end = -1;    // steps that fail are told here; closed once the box stands
  int control = -1, control_end = -1;  // pid 1's end, the supervisor's
  const CgroupGate* groups = nullptr;
  int busy_core = -1;  // where the supervisor makes a network meanwhile
};

// Pid 1's whole life. Never returns.
[[noreturn]] void enter_box(const Order& order);

// Builds the root, in a private mount namespace, under a file mode mask of 0: returns 0 or errno,
// `stage` names the part.
int make_box_root(const Order& order, std::string_view& stage);

}  // namespace seedbed::sandbox::box
