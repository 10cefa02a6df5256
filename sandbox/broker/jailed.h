// The jails of one broker: making, watching, ending.
#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "sandbox/broker/cgroup.h"
#include "sandbox/broker/launch.h"
#include "sandbox/broker/wire.h"

namespace seedbed::sandbox {

struct Jailed {
  std::uint32_t id = 0;
  std::size_t slot = 0;  // its uid is the broker's first one plus this
  int pid = -1;
  int memory_mib = 0, pids = 0;
  Fd pidfd, listener;
  bool ended = false, killed = false;
  bool unexplained = false;    // ended by a SIGKILL that nobody has owned up to
  std::string cause;           // once ended
  std::map<int, int> refused;  // system call -> how often
  int refusals = 0;
};

struct Opened {
  std::uint32_t jail = 0;
  Fd socket;
  int error = 0;
  std::string stage;
};

class Jails {
 public:
  Jails(Plan plan, Cgroups& groups, unsigned first_uid);

  Opened open(const wire::Request& request, int program);
  Jailed* find(std::uint32_t id);
  void kill(Jailed& jail);
  void close(std::uint32_t id);  // kills, reaps, removes the groups
  void close_all();
  void on_exit(Jailed& jail);     // its pidfd is readable
  void on_refusal(Jailed& jail);  // its listener is readable
  [[nodiscard]] std::string words(const Jailed& jail) const;
  [[nodiscard]] const std::map<std::uint32_t, Jailed>& all() const { return jails_; }
  std::map<std::uint32_t, Jailed>& all() { return jails_; }
  bool sweep_leftovers();  // groups that were still busy; false: some still are

 private:
  int program_copy(int program);  // a sealed, unreadable copy in memory; -1 with errno
  bool launch(Jailed& jail,
              JailOrder& order,
              const wire::Request& request,
              Fd status,
              Fd child_status,
              Opened& out);
  bool follow_start(Jailed& jail, int status, Opened& out);
  void end(Jailed& jail);
  void kill_rest(const Jailed& jail) const;

  struct Program {
    std::uint64_t device, inode, size;
    std::int64_t changed_s, changed_ns;
    Fd copy;
  };
  Plan plan_;
  Cgroups& groups_;
  unsigned first_uid_;
  Fd null_;
  std::uint32_t next_ = 1;
  std::map<std::uint32_t, Jailed> jails_;
  std::vector<bool> slots_;
  std::vector<Program> programs_;
  std::vector<std::uint32_t> leftovers_;
};

}  // namespace seedbed::sandbox
