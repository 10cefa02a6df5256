#include "sandbox/broker/jailed.h"

#include <fcntl.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstring>

#include "sandbox/broker/filter.h"
#include "sandbox/broker/packets.h"

namespace seedbed::sandbox {
namespace {

constexpr int kStartMs = 10'000;  // for all the steps of one jail
constexpr int kEndMs = 10'000;    // for a killed jail to be gone
constexpr const char* kByUs = "killed by us";
constexpr const char* kUnexplained = "killed: signal 9 (SIGKILL)";
constexpr int kMaxRefusals = 10'000;  // then the jail is only wasting our time

}  // namespace

Jails::Jails(Plan plan, Cgroups& groups, unsigned first_uid)
    : plan_(plan),
      groups_(groups),
      first_uid_(first_uid),
      null_(::open("/dev/null", O_RDWR | O_CLOEXEC)),
      slots_(wire::kMaxJails) {}

Jailed* Jails::find(std::uint32_t id) {
  const auto at = jails_.find(id);
  return at == jails_.end() ? nullptr : &at->second;
}

// The copy cannot be written or replaced under a running jail, and the program cannot read itself,
// which keeps it undumpable after exec.
int Jails::program_copy(int program) {
  struct stat st {};
  if (::fstat(program, &st) != 0) return -1;
  for (const Program& p : programs_)
    if (p.device == st.st_dev && p.inode == st.st_ino &&
        p.size == static_cast<std::uint64_t>(st.st_size) && p.changed_s == st.st_ctim.tv_sec &&
        p.changed_ns == st.st_ctim.tv_nsec)
      return p.copy.get();
  constexpr unsigned kMfdExec = 0x10;
  Fd copy(::memfd_create("program", MFD_CLOEXEC | MFD_ALLOW_SEALING | kMfdExec));
  if (!copy)
    copy.reset(::memfd_create("program", MFD_CLOEXEC | MFD_ALLOW_SEALING));  // a kernel before 6.3
  if (!copy) return -1;
  off_t at = 0;
  while (at < st.st_size) {
    const ssize_t n =
        ::sendfile(copy.get(), program, &at, static_cast<std::size_t>(st.st_size - at));
    if (n < 0) return -1;
    if (n == 0) break;  // shorter than it said: exec will say what is wrong with it
  }
  if (::fchmod(copy.get(), 0111) != 0) return -1;
  // Nobody else has had this descriptor, so no writable mapping is there for F_SEAL_WRITE to
  // refuse; it would also wait for whoever holds a page for a moment (reclaim, a pipe) and fail
  // with EBUSY.
  if (::fcntl(copy.get(), F_ADD_SEALS,
              F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE) != 0)
    return -1;
  if (programs_.size() >= 8)
    programs_.erase(programs_.begin());  // rebuilt programs, one after the other
  programs_.push_back({st.st_dev, st.st_ino, static_cast<std::uint64_t>(st.st_size),
                       st.st_ctim.tv_sec, st.st_ctim.tv_nsec, std::move(copy)});
  return programs_.back().copy.get();
}

Opened Jails::open(const wire::Request& request, int program) {
  Opened out;
  const auto fail = [&out](std::string_view stage, int error) {
    out.error = error;
    out.stage = stage;
  };
  const auto slot = std::find(slots_.begin(), slots_.end(), false);
  if (slot == slots_.end()) return fail("slots", EUSERS), std::move(out);
  const int copy = program_copy(program);
  if (copy < 0) return fail("program", errno), std::move(out);

  std::vector<char*> argv;
  std::string words(request.argv.data(),
                    std::min<std::size_t>(request.argv_bytes, request.argv.size()));
  for (std::size_t at = 0; at < words.size() && argv.size() < request.argc;
       at += std::strlen(words.data() + at) + 1)
    argv.push_back(words.data() + at);
  argv.push_back(nullptr);

  std::array<int, 2> socket{};
  std::array<int, 2> status{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, socket.data()) != 0)
    return fail("socketpair", errno), std::move(out);
  out.socket.reset(socket[0]);
  const Fd child_socket(socket[1]);
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, status.data()) != 0)
    return fail("socketpair", errno), std::move(out);

  Jailed jail;
  jail.id = next_++;
  jail.slot = static_cast<std::size_t>(slot - slots_.begin());
  jail.memory_mib = request.memory_mib;
  jail.pids = request.pids;
  JailOrder order;
  order.plan = plan_;
  order.uid = plan_.root      ? first_uid_ + static_cast<unsigned>(jail.slot)
              : plan_.user_ns ? 65534U
                              : ::geteuid();
  order.tmpfs_mib = std::clamp(request.tmpfs_mib, 1, 1 << 16);
  order.open_files = std::clamp(request.open_files, 8, kProgramFd);
  // Where the group counts, it does so first (and says so); this limit is the second wall, or the
  // only one.
  order.pids = std::max(request.pids, 1) + (groups_.pids().tree.empty() ? 0 : 8);
  order.core = request.core;
  order.program = copy;
  order.socket = child_socket.get();
  order.null = null_.get();
  order.argv = argv.data();
  if (!launch(jail, order, request, Fd(status[0]), Fd(status[1]), out)) {
    out.socket.reset();
    return out;
  }
  slots_[jail.slot] = true;
  out.jail = jail.id;
  jails_.emplace(jail.id, std::move(jail));
  return out;
}

bool Jails::launch(Jailed& jail,
                   JailOrder& order,
                   const wire::Request& request,
                   Fd status,
                   Fd child_status,
                   Opened& out) {
  order.status = child_status.get();
  order.broker_end = status.get();
  std::string_view stage;
  CgroupGate gate;
  if (!groups_.make(jail.id, {request.memory_mib, request.pids, request.cpu_percent}, stage) ||
      !groups_.open_gate(jail.id, gate, stage)) {
    out.error = errno;
    out.stage = stage;
    groups_.remove(jail.id);
    return false;
  }
  order.groups = &gate;
  int pidfd = -1;
  clone_args args{};
  args.flags =
      CLONE_PIDFD | CLONE_CLEAR_SIGHAND | static_cast<std::uint64_t>(namespace_flags(plan_));
  args.pidfd = reinterpret_cast<std::uint64_t>(&pidfd);
  args.exit_signal = SIGCHLD;
  bool inside = false;
  long pid = clone_into(args, gate, inside);
  if (pid < 0 && namespace_flags(plan_) == 0) pid = ::fork();  // nothing that needs clone3 is left
  if (pid == 0) enter_jail(order);
  if (pid < 0) {
    out.error = errno;
    out.stage = "clone3";
    groups_.remove(jail.id);
    return false;
  }
  jail.pid = static_cast<int>(pid);
  jail.pidfd.reset(pidfd >= 0 ? pidfd : sys_pidfd_open(jail.pid));
  child_status.reset();

  bool good = inside || groups_.attach(jail.id, jail.pid, stage, true);
  if (!good) {
    out.error = errno;
    out.stage = stage;
  } else if (const int error = plan_.user_ns ? write_maps(jail.pid, order.uid) : 0) {
    out.error = error;
    out.stage = "user_uid";
    good = false;
  } else {
    good = ::send(status.get(), "g", 1, MSG_NOSIGNAL) == 1 && follow_start(jail, status.get(), out);
  }
  if (good) return true;
  if (out.error == 0) out.error = EPIPE;
  if (out.stage.empty()) out.stage = "go";
  kill(jail);
  end(jail);
  return false;
}

// Reads reports until the channel closes: exec has happened.
bool Jails::follow_start(Jailed& jail, int status, Opened& out) {
  for (;;) {
    if (!readable(status, kStartMs)) {
      out.error = ETIMEDOUT;
      out.stage = "start";
      return false;
    }
    StageReport report;
    std::array<Fd, kMaxPassed> fds;
    std::size_t passed = 0;
    const ssize_t n = receive_packet(status, &report, sizeof report, 0, fds, passed);
    if (n == 0) return true;
    if (n != sizeof report) {
      out.error = n < 0 ? errno : EPROTO;
      out.stage = "start";
      return false;
    }
    if (report.error != 0) {
      out.error = report.error;
      out.stage = report.stage.data();
      return false;
    }
    if (passed > 0) jail.listener = std::move(fds[0]);
  }
}

void Jails::kill(Jailed& jail) {
  // The parent signals first and tells us after: by then the exit may have been seen, without its
  // reason.
  if (jail.ended && jail.unexplained) jail.cause.replace(0, std::strlen(kUnexplained), kByUs);
  jail.unexplained = false;
  if (jail.ended) return;
  jail.killed = true;
  sys_pidfd_kill(jail.pidfd.get());
  kill_rest(jail);
}

// What a process namespace does by itself. The filter lets nobody inside leave the process group;
// its number is ours as long as the first process is not reaped.
void Jails::kill_rest(const Jailed& jail) const {
  groups_.kill(jail.id);
  if (!plan_.pid_ns) ::kill(-jail.pid, SIGKILL);
}

void Jails::on_exit(Jailed& jail) {
  if (jail.ended) return;
  siginfo_t info{};
  if (!plan_.pid_ns &&
      ::waitid(P_PID, static_cast<id_t>(jail.pid), &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
      info.si_pid != 0)
    kill_rest(jail);
  if (::waitid(P_PID, static_cast<id_t>(jail.pid), &info, WEXITED | WNOHANG) != 0 ||
      info.si_pid == 0)
    return;
  jail.ended = true;
  jail.listener.reset();
  const bool oom = groups_.oom_kills(jail.id) > 0;
  const std::string memory = "memory limit " + std::to_string(jail.memory_mib) + " MiB";
  if (info.si_code == CLD_EXITED) {
    jail.cause = "exited " + std::to_string(info.si_status);
  } else if (info.si_status == SIGKILL && oom) {
    jail.cause = "killed: " + memory;
  } else if (info.si_status == SIGSYS) {
    jail.cause = "killed: seccomp violation (a call of a foreign system call ABI)";
  } else if (info.si_status == SIGKILL && jail.killed) {
    jail.cause =
        jail.refusals > kMaxRefusals ? "killed: seccomp violation (too many refused calls)" : kByUs;
  } else if (info.si_status == SIGKILL) {
    jail.cause = kUnexplained;
    jail.unexplained = true;
  } else {
    const char* name = ::sigabbrev_np(info.si_status);
    jail.cause = "killed: signal " + std::to_string(info.si_status) +
                 (name != nullptr ? std::string(" (SIG") + name + ")" : "");
  }
  if (oom && info.si_code == CLD_EXITED) jail.cause += "; a process inside met the " + memory;
  if (groups_.pids_refused(jail.id) > 0)
    jail.cause += "; pids limit " + std::to_string(jail.pids) + " reached";
  if (!groups_.remove(jail.id)) leftovers_.push_back(jail.id);
}

// Answers EPERM to one refused call and remembers its name.
void Jails::on_refusal(Jailed& jail) {
  seccomp_notif call{};
  if (::ioctl(jail.listener.get(), SECCOMP_IOCTL_NOTIF_RECV, &call) != 0) {
    if (errno != ENOENT && errno != EINTR)
      jail.listener.reset();  // ENOENT: the caller died meanwhile
    return;
  }
  if (jail.refused.size() < 64) ++jail.refused[call.data.nr];
  if (++jail.refusals > kMaxRefusals) kill(jail);
  seccomp_notif_resp answer{};
  answer.id = call.id;
  answer.error = -EPERM;
  static_cast<void>(::ioctl(jail.listener.get(), SECCOMP_IOCTL_NOTIF_SEND, &answer));
}

std::string Jails::words(const Jailed& jail) const {
  std::string text = jail.ended ? jail.cause : "running";
  bool first = true;
  for (const auto& [number, times] : jail.refused) {
    static_cast<void>(times);
    const std::string_view name = syscall_name(number);
    text += first ? "; refused system calls: " : ", ";
    text += name.empty() ? std::to_string(number) : std::string(name);
    first = false;
  }
  return text;
}

// Waits for a killed jail; answers its refused calls meanwhile, though SIGKILL does not need that.
void Jails::end(Jailed& jail) {
  for (int i = 0; !jail.ended && i < 2; ++i) {
    if (readable(jail.pidfd.get(), kEndMs)) on_exit(jail);
  }
  if (!jail.ended) leftovers_.push_back(jail.id);
  for (int i = 0; i < 20 && !sweep_leftovers(); ++i) ::usleep(500);
}

void Jails::close(std::uint32_t id) {
  const auto at = jails_.find(id);
  if (at == jails_.end()) return;
  kill(at->second);
  end(at->second);
  slots_[at->second.slot] = false;
  jails_.erase(at);
}

void Jails::close_all() {
  for (auto& [id, jail] : jails_) kill(jail);
  while (!jails_.empty()) close(jails_.begin()->first);
  for (int i = 0; i < 200 && !sweep_leftovers(); ++i) ::usleep(1000);
}

bool Jails::sweep_leftovers() {
  leftovers_.erase(std::remove_if(leftovers_.begin(), leftovers_.end(),
                                  [this](std::uint32_t id) { return groups_.remove(id); }),
                   leftovers_.end());
  return leftovers_.empty();
}

}  // namespace seedbed::sandbox
