// Where untrusted code runs. A Broker is a small process of its own (seedbed-broker, static),
// started once; it makes every jail, so that nothing forks from the big process. A Jail is one
// process tree behind namespaces, pivot_root, rlimits, cgroup, no capabilities, no_new_privs,
// Landlock and seccomp, with one socket to its parent. Dropping a Jail (or the death of the parent
// or broker) kills all of it.
#pragma once
#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "sandbox/tool_host.h"

namespace seedbed::sandbox {

enum class Isolation : std::uint8_t { strict, standard, weak };
constexpr std::array<std::string_view, 3> enum_names(Isolation) {
  return {"strict", "standard", "weak"};
}

struct JailLimits {
  int memory_mib = 256;  // resident, whole jail
  int pids = 16;
  int tmpfs_mib = 16;
  int open_files = 64;
  int cpu_percent = 0;  // 0: no quota
  int core = -1;        // >= 0: the jail runs on this core only (see sandbox/affinity.h)
};

// One layer of the jail as this machine offers it.
enum class LayerState : std::uint8_t { on, off, weak };
constexpr std::array<std::string_view, 3> enum_names(LayerState) {
  return {"on", "off", "weak"};
}
struct Layer {
  std::string name;  // user_uid, mount_ns, pid_ns, net_ns, ipc_ns, uts_ns, cgroup_ns, pivot_root,
                     // tmpfs, rlimits, cgroup_memory, cgroup_pids, cgroup_kill, no_caps,
                     // no_new_privs, landlock, seccomp
  LayerState state = LayerState::off;
  std::string why;     // what the kernel said, where not on
  std::string remedy;  // what to do about it
};
template <class V>
void fields(V&& at, Layer& x) {
  at("name", x.name, "layer of the jail");
  at("state", x.state, "on, off or weak");
  at("why", x.why, "what the kernel said, where not on");
  at("remedy", x.remedy, "what to do about it");
}

class Jail {
 public:
  Jail(Jail&&) noexcept;
  Jail& operator=(Jail&&) noexcept;
  ~Jail();  // kills and reaps everything inside

  [[nodiscard]] int socket() const;  // stream socket to the program inside; owned by the Jail
  [[nodiscard]] int pid() const;     // of the program inside, as seen from here
  void kill();                       // whole tree, now
  // After the socket closed or a deadline passed: why the program inside ended ("exited 1",
  // "killed: memory limit 256 MiB", "killed: seccomp violation ...", "killed by us", "running"),
  // and every system call that was refused, by name.
  std::string cause();
  struct State;

 private:
  friend class Broker;
  explicit Jail(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

class Broker {
 public:
  // Starts the broker. Refuses (Error{sandbox}) by the names of the missing layers when this
  // machine cannot give the demanded level: strict wants every layer on; standard does without
  // cgroups and Landlock and takes a shared uid; weak does without namespaces too, as long as
  // something (its own root or Landlock) keeps the host's files away.
  static Result<std::shared_ptr<Broker>> start(Isolation level);
  ~Broker();  // ends every jail that is still open; outlives none
  Broker(const Broker&) = delete;
  Broker& operator=(const Broker&) = delete;

  // Opens a jail whose program is the file `program` (a static executable of ours). It starts with
  // an empty environment, no file but its work area /tmp (tmpfs_mib), descriptors 0-2 at /dev/null
  // and 3 its socket. Thread-safe. A Jail may outlive its Broker: its program is dead then.
  Result<Jail> open(const std::string& program,
                    const std::vector<std::string>& argv,
                    const JailLimits& limits);
  // What was enforced for the jails that this broker makes.
  [[nodiscard]] const std::vector<Layer>& layers() const;
  struct State;

 private:
  explicit Broker(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// What this machine offers, each layer tried for real in a child. Never throws, never changes the
// machine.
std::vector<Layer> probe_layers();

// The SQL tool host in a jail: spawns one, speaks its protocol, respawns never (a broken host is
// replaced by the caller).
Result<std::unique_ptr<ToolHost>> open_sql_host(Broker& broker, const JailLimits& limits = {});

}  // namespace seedbed::sandbox
