#include "sandbox/box/box.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <cstring>

#include "sandbox/box/ask.h"
#include "sandbox/broker/packets.h"

namespace seedbed::sandbox::box {
namespace {

constexpr int kStartMs = 10'000;

bool pair_of(int kind, Fd& a, Fd& b) {
  std::array<int, 2> made{};
  if (::socketpair(AF_UNIX, kind | SOCK_CLOEXEC, 0, made.data()) != 0) return false;
  a.reset(made[0]);
  b.reset(made[1]);
  return true;
}

}  // namespace

Box::Box(const Plan& plan, Cgroups& groups, std::uint32_t id)
    : plan_(plan), groups_(groups), id_(id) {}

Box::~Box() {
  kill();
  close(10'000);
}

Failure Box::start(const Request& request) {
  Fd child_status, child_control;
  if (!pair_of(SOCK_SEQPACKET, status_, child_status) ||
      !pair_of(SOCK_SEQPACKET, control_, child_control))
    return {errno, "socketpair"};
  std::vector<Mount> mounts;
  for (const auto& m : request.mounts)
    mounts.push_back({m.source.c_str(), m.target.c_str(), m.writable});
  if (mounts.size() > kMaxMounts) return {E2BIG, "mount"};
  Order order;
  order.plan = plan_;
  order.plan.net_ns = plan_.net_ns && !request.shared_net;
  order.uid = plan_.root ? request.uid : plan_.user_ns ? 65534U : ::geteuid();
  order.init_uid = plan_.root ? request.init_uid : order.uid;
  order.net = request.net;
  order.proc = request.proc;
  order.once = request.once;
  order.limits = request.limits;
  order.mounts = mounts.data();
  order.mount_count = static_cast<int>(mounts.size());
  order.status = child_status.get();
  order.broker_end = status_.get();
  order.control = child_control.get();
  order.control_end = control_.get();
  std::string_view stage;
  CgroupGate gate;
  if (!groups_.make(id_, {request.limits.memory_mib, request.limits.pids + 1, 0}, stage) ||
      !groups_.open_gate(id_, gate, stage)) {
    const int error = errno;
    groups_.remove(id_);
    return {error, std::string(stage)};
  }
  order.groups = &gate;
  int pidfd = -1;
  clone_args args{};
  // A network takes longest to make. Root makes it here while the child builds its root, and hands
  // it over; the supervisor itself then lives in it, and has no use for another.
  const int later = plan_.root && plan_.net_ns && !request.shared_net ? CLONE_NEWNET : 0;
  args.flags = CLONE_PIDFD | CLONE_CLEAR_SIGHAND |
               static_cast<std::uint64_t>(namespace_flags(order.plan) & ~later);
  args.pidfd = reinterpret_cast<std::uint64_t>(&pidfd);
  args.exit_signal = SIGCHLD;
  bool inside = false;
  if (later != 0) order.busy_core = ::sched_getcpu();
  const long pid = clone_into(args, gate, inside);
  if (pid == 0) enter_box(order);
  if (pid < 0) {
    const int error = errno;
    groups_.remove(id_);
    return {error, "clone3"};
  }
  pid_ = static_cast<int>(pid);
  pidfd_.reset(pidfd);
  child_status.reset();
  child_control.reset();
  Failure failure;
  if (!inside && !groups_.attach(id_, pid_, stage, true))
    failure = {errno, std::string(stage)};
  else if (const int unmapped = plan_.user_ns ? write_maps(pid_, order.uid) : 0)
    failure = {unmapped, "user_uid"};
  else if (plan_.user_ns && ::send(status_.get(), "g", 1, MSG_NOSIGNAL) != 1)
    failure = {EPIPE, "go"};
  else if (const int unmade = later != 0 ? hand_over_network() : 0)
    failure = {unmade, "net_ns"};
  return end_unless_good(std::move(failure));
}

int Box::hand_over_network() {
  if (::unshare(CLONE_NEWNET) != 0) return errno;
  const Fd made(::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
  if (!made) return errno;
  const int fd = made.get();
  // A child that is gone says why in ready().
  if (send_packet(status_.get(), "n", 1, &fd, 1) < 0 && errno != EPIPE) return errno;
  return 0;
}

Failure Box::end_unless_good(Failure failure) {
  if (failure.error != 0) {
    kill();
    close(10'000);
  }
  return failure;
}

// Pid 1 says that it is ready, or tells the step that failed and ends.
Failure Box::ready() {
  Failure failure;
  Told told;
  if (!readable(control_.get(), kStartMs)) {
    failure = {ETIMEDOUT, "start"};
  } else if (!hear(told) || told.what != Tell::ready) {
    StageReport report;
    const ssize_t n = ::recv(status_.get(), &report, sizeof report, MSG_DONTWAIT);
    const bool said = n == static_cast<ssize_t>(sizeof report);
    failure = said ? Failure{report.error, report.stage.data()} : Failure{EPROTO, "start"};
  }
  status_.reset();
  return end_unless_good(std::move(failure));
}

Failure Box::spawn(std::uint32_t job,
                   const std::vector<std::string>& argv,
                   const std::vector<std::string>& env,
                   const std::string& directory,
                   const std::array<int, 3>& fds) {
  return {ask_spawn(control_.get(), job, argv, env, directory, fds), "ask"};
}

bool Box::ask(Op op, std::uint32_t job, int signal) {
  Ask ask;
  ask.op = op;
  ask.job = job;
  ask.signal = signal;
  return ::send(control_.get(), &ask, sizeof ask, MSG_NOSIGNAL) == static_cast<ssize_t>(sizeof ask);
}

bool Box::hear(Told& told) {
  std::array<Fd, kMaxPassed> fds;
  std::size_t passed = 0;
  const ssize_t n = receive_packet(control_.get(), &told, sizeof told, MSG_DONTWAIT, fds, passed);
  if (passed > 0) work_ = std::move(fds[0]);
  return n == static_cast<ssize_t>(sizeof told);
}

void Box::kill() {
  if (pid_ < 0) return;
  sys_pidfd_kill(pidfd_.get());
  groups_.kill(id_);
}

bool Box::close(int ms) {
  control_.reset();
  if (pid_ < 0) return true;
  if (!readable(pidfd_.get(), ms)) return false;
  while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
  for (int i = 0; i < 200; ++i) {
    if (groups_.remove(id_)) return true;
    ::usleep(500);
  }
  return false;
}

}  // namespace seedbed::sandbox::box
