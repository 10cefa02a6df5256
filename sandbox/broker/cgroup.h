// Control groups for the jails: a tree seedbed-<pid of the broker> below the broker's own group in
// each hierarchy, so that outer limits keep holding. Speaks v1, hybrid, v2 (where delegated, or as
// root one level up) and none.
#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "sandbox/broker/sys.h"

namespace seedbed::sandbox {

struct CgroupLimits {
  int memory_mib = 0, pids = 0, cpu_percent = 0;  // 0: no limit
};

// The way into a jail's groups for a child that is not born yet. Moving another process makes the
// kernel wait until no thread of the machine forks (milliseconds); a child that is cloned into its
// group, or moves itself as its only thread, waits for nobody.
struct CgroupGate {
  struct Tasks {
    Fd file;  // v1: the group's `tasks`
    std::string_view name;
  };
  Fd unified;  // v2: the group's folder, for CLONE_INTO_CGROUP
  std::array<Tasks, 4> tasks;

  // In the child, before anything else; no heap. Returns 0 or errno, `stage` names the layer.
  int enter(std::string_view& stage) const;
};

// clone3 with `args`, into the gate's group where that can be; `inside` says whether it is.
long clone_into(clone_args& args, const CgroupGate& gate, bool& inside);

class Cgroups {
 public:
  // `many`: a group for each jail below the tree, with or without a limit on processor share.
  // `one`: the tree is the group of the only jail, without such a limit: half as many folders.
  enum class Layout : std::uint8_t { many, one };

  // Finds the hierarchies and makes its own tree. `many`: sweeps, too.
  explicit Cgroups(Layout layout = Layout::many);
  ~Cgroups();  // removes its tree
  // Removes trees of brokers that are gone, wherever this one has trees. With `one`: to be called
  // while there is nothing else to do.
  void sweep() const;
  Cgroups(const Cgroups&) = delete;
  Cgroups& operator=(const Cgroups&) = delete;

  struct Controller {
    std::string tree;  // .../seedbed-<pid>, empty where unusable
    bool v2 = false;
    std::string why;  // what failed, where unusable
    int error = 0;
  };
  [[nodiscard]] const Controller& memory() const { return memory_; }
  [[nodiscard]] const Controller& pids() const { return pids_; }
  [[nodiscard]] const Controller& cpu() const { return cpu_; }
  [[nodiscard]] const Controller& kill_switch() const { return kill_; }

  // Makes the jail's groups and sets their limits. On failure: false, errno, and `stage` names the
  // layer.
  bool make(std::uint32_t jail, const CgroupLimits& limits, std::string_view& stage);
  bool open_gate(std::uint32_t jail, CgroupGate& gate, std::string_view& stage) const;
  // Moves a process from outside; `v2_only`: what a gate's tasks do not do.
  bool attach(std::uint32_t jail, int pid, std::string_view& stage, bool v2_only = false) const;
  bool kill(std::uint32_t jail);    // by cgroup.kill; false where there is none
  bool remove(std::uint32_t jail);  // false: still populated, try again
  [[nodiscard]] std::int64_t oom_kills(std::uint32_t jail) const;
  [[nodiscard]] std::int64_t pids_refused(std::uint32_t jail) const;
  // Processor time of the whole tree, ended processes too; -1 where nothing counts it.
  [[nodiscard]] std::int64_t cpu_us(std::uint32_t jail) const;
  // Most memory that was held at once; -1 where nothing counts it.
  [[nodiscard]] std::int64_t peak_bytes(std::uint32_t jail) const;

 private:
  struct Named {
    const Controller* controller;
    std::string_view name;
  };
  [[nodiscard]] std::array<Named, 4> all() const;

  [[nodiscard]] std::string folder(const Controller& c, std::uint32_t jail) const;
  bool make_folder(const Controller& c, std::uint32_t jail) const;
  bool set(const Controller& c, std::uint32_t jail, const char* file, std::string_view value) const;

  Layout layout_;
  bool removed_ = false;  // `one`: its tree, with the jail
  Controller memory_, pids_, cpu_, kill_;
};

}  // namespace seedbed::sandbox
