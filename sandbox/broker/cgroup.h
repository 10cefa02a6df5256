// Control groups for the jails: a tree seedbed-<pid of the broker> below the broker's own group in
// each hierarchy, so that outer limits keep holding. Speaks v1, hybrid, v2 (where delegated, or as
// root one level up) and none.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace seedbed::sandbox {

struct CgroupLimits {
  int memory_mib = 0, pids = 0, cpu_percent = 0;  // 0: no limit
};

class Cgroups {
 public:
  Cgroups();   // finds the hierarchies, sweeps trees of dead brokers, makes its own tree
  ~Cgroups();  // removes its tree
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
  bool attach(std::uint32_t jail, int pid, std::string_view& stage);
  bool kill(std::uint32_t jail);    // by cgroup.kill; false where there is none
  bool remove(std::uint32_t jail);  // false: still populated, try again
  [[nodiscard]] std::int64_t oom_kills(std::uint32_t jail) const;
  [[nodiscard]] std::int64_t pids_refused(std::uint32_t jail) const;
  // Processor time of the whole tree, ended processes too; -1 where nothing counts it.
  [[nodiscard]] std::int64_t cpu_us(std::uint32_t jail) const;
  // Most memory that was held at once; -1 where nothing counts it.
  [[nodiscard]] std::int64_t peak_bytes(std::uint32_t jail) const;

 private:
  Controller memory_, pids_, cpu_, kill_;
};

}  // namespace seedbed::sandbox
