// A box from the supervisor's side: its groups, its pid 1, what is asked of it and what it tells.
#pragma once
#include <string>
#include <utility>
#include <vector>

#include "sandbox/box/order.h"
#include "sandbox/box/spawn.h"
#include "sandbox/broker/cgroup.h"

namespace seedbed::sandbox::box {

struct MountRequest {
  std::string source, target;
  bool writable = false;
};

struct Request {
  Limits limits;
  Net net = Net::none;
  bool proc = true, once = false;  // order.h
  bool shared_net = false;         // the supervisor's network, in which nobody is
  std::vector<MountRequest> mounts;
  unsigned uid = 0, init_uid = 0;  // where root makes the box
};

struct Failure {
  int error = 0;      // errno of the step, 0: none
  std::string stage;  // its name
};

class Box {
 public:
  Box(const Plan& plan, Cgroups& groups, std::uint32_t id);
  ~Box();  // ends everything inside
  Box(const Box&) = delete;
  Box& operator=(const Box&) = delete;

  // Makes it: start(), then ready(). Where a step fails, nothing of it is left. Between the two a
  // program may be spawned already: it runs as soon as the box stands, and nobody waits for
  // anybody.
  Failure start(const Request& request);
  Failure ready();
  // Starts a program (ask.h). What became of it is told by hear().
  Failure spawn(std::uint32_t job,
                const std::vector<std::string>& argv,
                const std::vector<std::string>& env,
                const std::string& directory,
                const std::array<int, 3>& fds);
  bool ask(Op op, std::uint32_t job, int signal);
  // The next word of pid 1; false where there is none now or it is gone.
  bool hear(Told& told);

  void kill();  // everything inside, now
  // Waits until all of it is gone and its groups are removed; `ms` at most.
  bool close(int ms);

  [[nodiscard]] int control() const { return control_.get(); }
  // Whoever holds the control socket holds the box: without it pid 1 ends.
  Fd take_control() { return std::move(control_); }
  Fd take_work() { return std::move(work_); }
  // /work inside, an O_PATH descriptor: what lies there is untrusted (artefacts.h).
  [[nodiscard]] int work() const { return work_.get(); }
  [[nodiscard]] int pidfd() const { return pidfd_.get(); }
  [[nodiscard]] std::int64_t oom_kills() const { return groups_.oom_kills(id_); }
  [[nodiscard]] std::int64_t pids_refused() const { return groups_.pids_refused(id_); }
  [[nodiscard]] std::int64_t cpu_us() const { return groups_.cpu_us(id_); }
  [[nodiscard]] std::int64_t peak_bytes() const { return groups_.peak_bytes(id_); }

 private:
  Failure end_unless_good(Failure failure);
  int hand_over_network();

  Plan plan_;
  Cgroups& groups_;
  std::uint32_t id_;
  int pid_ = -1;
  Fd pidfd_, status_, control_, work_;
};

}  // namespace seedbed::sandbox::box
