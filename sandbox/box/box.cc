#include "sandbox/box/box.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <cstring>

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

void add_word(std::string& words, const std::string& word) {
  words.append(word.c_str(), word.size() + 1);
}

}  // namespace

Box::Box(const Plan& plan, Cgroups& groups, std::uint32_t id)
    : plan_(plan), groups_(groups), id_(id) {}

Box::~Box() {
  kill();
  close(10'000);
}

Failure Box::open(const Request& request) {
  Fd status, child_status, child_control;
  if (!pair_of(SOCK_SEQPACKET, status, child_status) ||
      !pair_of(SOCK_SEQPACKET, control_, child_control))
    return {errno, "socketpair"};
  std::vector<Mount> mounts;
  for (const auto& m : request.mounts)
    mounts.push_back({m.source.c_str(), m.target.c_str(), m.writable});
  if (mounts.size() > kMaxMounts) return {E2BIG, "mount"};
  Order order;
  order.plan = plan_;
  order.uid = plan_.root ? request.uid : plan_.user_ns ? 65534U : ::geteuid();
  order.init_uid = plan_.root ? request.init_uid : order.uid;
  order.net = request.net;
  order.proc = request.proc;
  order.limits = request.limits;
  order.mounts = mounts.data();
  order.mount_count = static_cast<int>(mounts.size());
  order.status = child_status.get();
  order.broker_end = status.get();
  order.control = child_control.get();
  order.control_end = control_.get();
  std::string_view stage;
  if (!groups_.make(id_, {request.limits.memory_mib, request.limits.pids + 1, 0}, stage)) {
    const int error = errno;
    groups_.remove(id_);
    return {error, std::string(stage)};
  }
  int pidfd = -1;
  clone_args args{};
  args.flags =
      CLONE_PIDFD | CLONE_CLEAR_SIGHAND | static_cast<std::uint64_t>(namespace_flags(plan_));
  args.pidfd = reinterpret_cast<std::uint64_t>(&pidfd);
  args.exit_signal = SIGCHLD;
  const long pid = sys_clone3(args);
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
  if (!groups_.attach(id_, pid_, stage))
    failure = {errno, std::string(stage)};
  else if (const int error = plan_.user_ns ? write_maps(pid_, order.uid) : 0)
    failure = {error, "user_uid"};
  else if (::send(status.get(), "g", 1, MSG_NOSIGNAL) != 1)
    failure = {EPIPE, "go"};
  else
    failure = follow_start(status.get());
  if (failure.error != 0) {
    kill();
    close(10'000);
  }
  return failure;
}

// Steps that fail are told; when all are done the channel closes and pid 1 says that it is ready.
Failure Box::follow_start(int status) {
  if (!readable(status, kStartMs)) return {ETIMEDOUT, "start"};
  StageReport report;
  const ssize_t n = ::recv(status, &report, sizeof report, 0);
  if (n == static_cast<ssize_t>(sizeof report)) return {report.error, report.stage.data()};
  Told told;
  if (!readable(control_.get(), kStartMs) || !hear(told) || told.what != Tell::ready)
    return {EPROTO, "start"};
  return {};
}

Failure Box::spawn(std::uint32_t job,
                   const std::vector<std::string>& argv,
                   const std::vector<std::string>& env,
                   const std::string& directory,
                   const std::array<int, 3>& fds) {
  std::string text;
  add_word(text, directory);
  for (const auto& word : argv) add_word(text, word);
  for (const auto& word : env) add_word(text, word);
  const Fd words(::memfd_create("words", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!words) return {errno, "words"};
  for (std::size_t at = 0; at < text.size();) {
    const ssize_t n = ::write(words.get(), text.data() + at, text.size() - at);
    if (n < 0) return {errno, "words"};
    at += static_cast<std::size_t>(n);
  }
  Ask ask;
  ask.job = job;
  ask.argc = static_cast<std::uint32_t>(argv.size());
  ask.envc = static_cast<std::uint32_t>(env.size());
  ask.bytes = text.size();
  const std::array<int, 4> passed = {fds[0], fds[1], fds[2], words.get()};
  if (send_packet(control_.get(), &ask, sizeof ask, passed.data(), passed.size()) !=
      static_cast<ssize_t>(sizeof ask))
    return {errno, "ask"};
  return {};
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
