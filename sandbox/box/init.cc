// Pid 1 of a box: builds the root, then starts programs on demand, reaps, tells. No heap, no
// exceptions; what it does for one program cannot be waited for by another.
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/keyctl.h>
#include <linux/securebits.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cstdio>
#include <cstring>

#include "sandbox/box/order.h"
#include "sandbox/box/spawn.h"
#include "sandbox/broker/packets.h"

namespace seedbed::sandbox::box {
namespace {

constexpr int kControlFd = 3, kSignalFd = 4, kWallFd = 5;
constexpr std::uint32_t kKept = 1U << CAP_SETUID | 1U << CAP_SETGID | 1U << CAP_KILL;
constexpr std::size_t kMaxWordCount = 1U << 18;
constexpr int kRounds = 8;
constexpr pid_t kPidStep = 4096, kMaxPid = 1 << 22;

struct Job {
  std::uint32_t id = 0;
  pid_t pid = 0;
};

int error_of(long rc) {
  return rc < 0 ? errno : 0;
}

// The rights of pid 1 once the root stands: to become a program's user and to end it. As uid of its
// own, which no program in the box has.
int keep_starting_rights(const Plan& plan, unsigned init_uid) {
  int cap = 0;
  while (::prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) == 0) ++cap;
  if (cap == 0 || errno != EINVAL) return errno;  // EINVAL: no capability has that number
  // uid 0 gives nothing, should anything ever be it again.
  constexpr unsigned long kLocked = SECBIT_NOROOT | SECBIT_NOROOT_LOCKED |
                                    SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_NO_CAP_AMBIENT_RAISE |
                                    SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED;
  if (::prctl(PR_SET_SECUREBITS, kLocked, 0, 0, 0) != 0) return errno;
  if (plan.root) {
    if (::prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0) return errno;
    if (::setgroups(0, nullptr) != 0) return errno;
    if (::setresgid(init_uid, init_uid, init_uid) != 0) return errno;
    if (::setresuid(init_uid, init_uid, init_uid) != 0) return errno;
  }
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, 2> caps{};
  if (plan.root) caps[0].effective = caps[0].permitted = kKept;
  if (::syscall(SYS_capset, &header, caps.data()) != 0) return errno;
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return errno;
  return error_of(::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0));
}

int raise_loopback() {
  const Fd s(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!s) return errno;
  ifreq request{};
  std::memcpy(request.ifr_name, "lo", 3);
  request.ifr_flags = IFF_UP | IFF_RUNNING;
  return error_of(::ioctl(s.get(), SIOCSIFFLAGS, &request));
}

using Resource = decltype(RLIMIT_CORE);  // glibc has an enumeration, musl numbers

int limit(Resource which, std::uint64_t value) {
  rlimit now{};
  if (::getrlimit(which, &now) != 0) return errno;
  const auto wanted = static_cast<rlim_t>(value);
  now.rlim_max = wanted < now.rlim_max ? wanted : now.rlim_max;
  now.rlim_cur = now.rlim_max;
  return error_of(::setrlimit(which, &now));
}

int limit_program(const Limits& l) {
  const struct {
    Resource which;
    std::uint64_t value;
  } limits[] = {{RLIMIT_CORE, 0},
                {RLIMIT_NOFILE, static_cast<std::uint64_t>(l.open_files)},
                {RLIMIT_NPROC, static_cast<std::uint64_t>(l.pids) + 8},
                {RLIMIT_FSIZE, l.file_bytes},
                {RLIMIT_STACK, 8ULL << 20},
                {RLIMIT_MEMLOCK, 0},
                {RLIMIT_MSGQUEUE, 0},
                {RLIMIT_SIGPENDING, 256},
                {RLIMIT_NICE, 0},
                {RLIMIT_RTPRIO, 0}};
  for (const auto& row : limits)
    if (const int e = limit(row.which, row.value)) return e;
  if (l.address_bytes != 0)
    if (const int e = limit(RLIMIT_AS, l.address_bytes)) return e;
  if (l.cpu_seconds != 0)
    if (const int e = limit(RLIMIT_CPU, static_cast<std::uint64_t>(l.cpu_seconds))) return e;
  return 0;
}

// The words of a spawn as arrays that point into their mapping.
struct Words {
  char* directory = nullptr;
  char** argv = nullptr;
  char** envp = nullptr;
  char *text = nullptr, **table = nullptr;
  std::size_t text_bytes = 0, table_bytes = 0;

  void drop() {
    if (text != nullptr) ::munmap(text, text_bytes);
    if (table != nullptr) ::munmap(table, table_bytes);
    text = nullptr;
    table = nullptr;
  }
};

// Maps the words and points into them; false with errno. `fd`: sealed, `bytes` long.
bool read_words(int fd, const Ask& ask, Words& out) {
  struct stat st {};
  errno = EINVAL;
  if (ask.bytes == 0 || ask.bytes > kMaxWords || ask.argc == 0 || ask.argc > kMaxWordCount ||
      ask.envc > kMaxWordCount || ::fstat(fd, &st) != 0 ||
      static_cast<std::uint64_t>(st.st_size) < ask.bytes)
    return false;
  auto* text = static_cast<char*>(::mmap(nullptr, ask.bytes, PROT_READ, MAP_PRIVATE, fd, 0));
  if (text == MAP_FAILED) return false;
  out.text = text;
  out.text_bytes = ask.bytes;
  out.table_bytes = (ask.argc + ask.envc + 2) * sizeof(char*);
  auto* table = static_cast<char**>(
      ::mmap(nullptr, out.table_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  if (table == MAP_FAILED) return false;
  out.table = table;
  std::size_t found = 0;
  std::uint64_t at = 0;
  const auto next = [&]() -> char* {
    const auto* end = static_cast<const char*>(std::memchr(text + at, 0, ask.bytes - at));
    char* word = end != nullptr ? text + at : nullptr;
    if (end != nullptr) at = static_cast<std::uint64_t>(end - text) + 1;
    return word;
  };
  errno = EINVAL;
  out.directory = next();
  for (std::uint32_t i = 0; i < ask.argc + ask.envc; ++i) {
    if (i == ask.argc) ++found;  // the NUL after the arguments
    char* word = at < ask.bytes ? next() : nullptr;
    if (word == nullptr) return false;
    table[found++] = word;
  }
  out.argv = table;
  out.envp = table + ask.argc + 1;
  return out.directory != nullptr;
}

const char* value_of(char* const* env, const char* name) {
  const std::size_t n = std::strlen(name);
  for (; *env != nullptr; ++env)
    if (std::strncmp(*env, name, n) == 0 && (*env)[n] == '=') return *env + n + 1;
  return nullptr;
}

// As a shell finds programs. Returns errno; the first failure that says more than "not there" wins.
int exec_by_name(const Words& w) {
  if (std::strchr(w.argv[0], '/') != nullptr) return ::execve(w.argv[0], w.argv, w.envp), errno;
  const char* path = value_of(w.envp, "PATH");
  if (path == nullptr) path = "/usr/local/bin:/usr/bin:/bin";
  const std::size_t name = std::strlen(w.argv[0]);
  int error = ENOENT;
  std::array<char, 4096> file{};
  while (*path != '\0') {
    const std::size_t n = std::strcspn(path, ":");
    if (n + name + 2 <= file.size() && n > 0) {
      std::memcpy(file.data(), path, n);
      file.at(n) = '/';
      std::memcpy(file.data() + n + 1, w.argv[0], name + 1);
      ::execve(file.data(), w.argv, w.envp);
      if (errno != ENOENT && errno != ENOTDIR) error = errno;
      if (errno == E2BIG) return E2BIG;
    }
    path += n;
    if (*path == ':') ++path;
  }
  return error;
}

class Init {
 public:
  explicit Init(const Order& order) : order_(order) {
    for (int i = 0; i < order.mount_count; ++i)
      if (order.mounts[i].writable)
        writable_.at(static_cast<std::size_t>(writables_++)) = order.mounts[i].target;
  }

  // Once the box stands, without rights: what all programs share. Returns 0 or errno.
  int build_wall() {
    return order_.plan.landlock
               ? make_wall(order_.net == Net::loopback, writable_.data(), writables_, wall_)
               : 0;
  }

  Fd& wall() { return wall_; }

  [[noreturn]] void serve() {
    for (;;) {
      std::array<pollfd, 2> polled = {{{kControlFd, POLLIN, 0}, {kSignalFd, POLLIN, 0}}};
      if (::poll(polled.data(), polled.size(), -1) < 0 && errno != EINTR) ::_exit(70);
      if (polled[1].revents != 0) {
        signalfd_siginfo info{};
        while (::read(kSignalFd, &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
        }
        reap();
      }
      if (polled[0].revents != 0 && !answer()) ::_exit(0);
    }
  }

 private:
  static void tell(const Told& told) {
    if (::send(kControlFd, &told, sizeof told, MSG_NOSIGNAL) < 0) ::_exit(0);
  }

  void reap() {
    for (;;) {
      siginfo_t info{};
      if (::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == 0) return;
      Told told;
      rusage usage{};
      int status = 0;
      if (::wait4(info.si_pid, &status, 0, &usage) < 0) return;
      for (Job& job : jobs_) {
        if (job.pid != info.si_pid) continue;
        told.what = Tell::ended;
        told.job = job.id;
        told.pid = info.si_pid;
        told.code = info.si_code;
        told.status = info.si_status;
        told.user_us = usage.ru_utime.tv_sec * 1'000'000 + usage.ru_utime.tv_usec;
        told.system_us = usage.ru_stime.tv_sec * 1'000'000 + usage.ru_stime.tv_usec;
        told.max_rss_kib = usage.ru_maxrss;
        job = {};
        tell(told);
        if (order_.once) ::_exit(0);  // the kernel ends what is left
      }
    }
  }

  // One packet; false where the supervisor is gone.
  bool answer() {
    Ask ask;
    std::array<Fd, kMaxPassed> fds;
    std::size_t passed = 0;
    const ssize_t n = receive_packet(kControlFd, &ask, sizeof ask, MSG_DONTWAIT, fds, passed);
    if (n < 0) return errno == EAGAIN || errno == EINTR;
    if (n != static_cast<ssize_t>(sizeof ask)) return false;
    if (ask.op == Op::spawn) {
      spawn(ask, fds, passed);
    } else if (ask.op == Op::kill_all) {
      if (order_.plan.pid_ns) ::kill(-1, SIGKILL);  // all that is here but ourselves
    } else if (ask.op == Op::kill_rest) {
      kill_rest(ask);
      Told told;
      told.what = Tell::killed;
      told.job = ask.job;
      tell(told);
    } else if (ask.op == Op::kill) {
      for (const Job& job : jobs_)
        if (job.pid != 0 && job.id == ask.job) ::kill(-job.pid, ask.signal);
    }
    return true;
  }

  // Once around all numbers that processes can have here, and again until nobody was met.
  void kill_rest(const Ask& ask) {
    pid_t own = 0;
    for (const Job& job : jobs_)
      if (job.pid != 0 && job.id == ask.job) own = job.pid;
    if (own == 0 || !order_.plan.pid_ns) return;
    for (int round = 0; round < kRounds; ++round) {
      bool met = false;
      highest_ = newest_pid();
      for (pid_t pid = 2; pid <= highest_; ++pid) {
        const pid_t group = ::getpgid(pid);
        if (group < 0 || pid == own || is_spared(ask, group)) continue;
        met = ::kill(pid, SIGKILL) == 0 || met;
      }
      reap();
      if (!met) return;
    }
  }

  static bool is_spared(const Ask& ask, pid_t group) {
    for (const std::int32_t spared : ask.spared)
      if (spared != 0 && spared == group) return true;
    return false;
  }

  // The highest number given out so far. A full box gives none: then some above what is known.
  [[nodiscard]] pid_t newest_pid() const {
    const pid_t pid = ::vfork();  // NOLINT(clang-analyzer-security.insecureAPI.vfork)
    if (pid == 0) ::_exit(0);
    if (pid < 0) return highest_ + kPidStep < kMaxPid ? highest_ + kPidStep : kMaxPid;
    ::waitpid(pid, nullptr, 0);
    // Numbers begin anew where they are used up: then any may be there.
    return pid < highest_ ? kMaxPid : pid;
  }

  static void failed(const Ask& ask, std::string_view stage, int error) {
    Told told;
    told.what = Tell::failed;
    told.job = ask.job;
    told.error = error;
    std::memcpy(told.stage.data(), stage.data(), stage.size() < 27 ? stage.size() : 27);
    tell(told);
  }

  void spawn(const Ask& ask, const std::array<Fd, kMaxPassed>& fds, std::size_t passed) {
    Job* free = nullptr;
    for (Job& job : jobs_)
      if (free == nullptr && job.pid == 0) free = &job;
    if (passed != 4) return failed(ask, "descriptors", EBADF);
    if (free == nullptr) return failed(ask, "jobs", EUSERS);
    std::array<int, 2> said{};
    if (::pipe2(said.data(), O_CLOEXEC) != 0) return failed(ask, "pipe", errno);
    const Fd ours(said[0]);
    Fd theirs(said[1]);
    Words words;
    if (!read_words(fds[3].get(), ask, words)) {
      const int error = errno;
      words.drop();
      return failed(ask, "words", error);
    }
    // The child changes nothing of our memory and ends by exec or _exit: no page is copied for it.
    const pid_t pid = ::vfork();  // NOLINT(clang-analyzer-security.insecureAPI.vfork)
    if (pid < 0) {
      const int error = errno;
      words.drop();
      return failed(ask, "fork", error);
    }
    if (pid == 0) become_program(words, fds, theirs.get());
    words.drop();
    theirs.reset();
    StageReport report;
    ssize_t n = 0;
    do n = ::read(ours.get(), &report, sizeof report);
    while (n < 0 && errno == EINTR);
    if (n == static_cast<ssize_t>(sizeof report)) {
      ::waitpid(pid, nullptr, 0);
      return failed(ask, report.stage.data(), report.error);
    }
    *free = {ask.job, pid};
  }

  [[noreturn]] void become_program(const Words& words,
                                   const std::array<Fd, kMaxPassed>& fds,
                                   int said) {
    int report_to = said;
    const auto step = [&report_to](std::string_view stage, int error) {
      if (error == 0) return;
      StageReport report;
      report.error = error;
      std::memcpy(report.stage.data(), stage.data(), stage.size() < 27 ? stage.size() : 27);
      static_cast<void>(::write(report_to, &report, sizeof report));
      ::_exit(127);
    };
    step("session", ::setsid() < 0 ? errno : 0);
    // A keyring of its own; a kernel without keyrings has nothing to keep apart.
    static_cast<void>(::syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, nullptr));
    if (order_.plan.landlock) step("landlock", enter_wall(wall_));
    step("descriptors", arrange(fds, report_to));
    step("rlimits", limit_program(order_.limits));
    step("user_uid", become(order_.plan, order_.uid));
    step("no_caps", drop_capabilities(false));
    step("no_new_privs", error_of(::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)));
    const bool inet = order_.net == Net::loopback;
    step("directory", error_of(::chdir(words.directory)));
    step("seccomp", install_box_filter(inet));
    ::umask(022);
    sigset_t none;
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    step("exec", exec_by_name(words));
    ::_exit(127);
  }

  // 0, 1, 2 as asked, 3 the report (closed by exec), nothing else.
  static int arrange(const std::array<Fd, kMaxPassed>& fds, int& report_to) {
    constexpr int kAbove = 16;
    std::array<int, 4> moved{};
    for (std::size_t i = 0; i < 3; ++i)
      if ((moved.at(i) = ::fcntl(fds.at(i).get(), F_DUPFD_CLOEXEC, kAbove)) < 0) return errno;
    if ((moved[3] = ::fcntl(report_to, F_DUPFD_CLOEXEC, kAbove)) < 0) return errno;
    for (int i = 0; i < 3; ++i)
      if (::dup2(moved.at(static_cast<std::size_t>(i)), i) < 0) return errno;
    if (::dup3(moved[3], 3, O_CLOEXEC) < 0) return errno;
    report_to = 3;
    return error_of(sys_close_range(4, ~0U));
  }

  const Order& order_;
  std::array<Job, kMaxJobs> jobs_{};
  std::array<const char*, kMaxMounts> writable_{};
  int writables_ = 0;
  pid_t highest_ = 0;
  Fd wall_;
};

int arrange_own(const Order& order, Fd& wall) {
  const int control = ::fcntl(order.control, F_DUPFD_CLOEXEC, 16);
  if (control < 0) return errno;
  if (wall) {
    const int above = ::fcntl(wall.get(), F_DUPFD_CLOEXEC, 16);
    if (above < 0) return errno;
    wall.reset(above);
  }
  {
    // Closed before its number is taken for something else.
    const Fd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
    if (!null) return errno;
    for (int i = 0; i < 3; ++i)
      if (::dup2(null.get(), i) < 0) return errno;
  }
  if (::dup3(control, kControlFd, O_CLOEXEC) < 0) return errno;
  sigset_t child;
  ::sigfillset(&child);
  ::sigprocmask(SIG_SETMASK, &child, nullptr);  // an unblocked SIGCHLD would be lost
  ::sigemptyset(&child);
  ::sigaddset(&child, SIGCHLD);
  const int signals = ::signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
  if (signals < 0) return errno;
  if (signals != kSignalFd && ::dup3(signals, kSignalFd, O_CLOEXEC) < 0) return errno;
  if (wall) {
    if (::dup3(wall.get(), kWallFd, O_CLOEXEC) < 0) return errno;
    wall.reset(kWallFd);
  }
  return error_of(sys_close_range(wall ? kWallFd + 1 : kWallFd, ~0U));
}

// With the folder /work, through which the supervisor takes what programs leave there.
bool say_ready() {
  const Fd work(::open("/work", O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!work) return false;
  Told told;
  told.what = Tell::ready;
  const int fd = work.get();
  return send_packet(kControlFd, &told, sizeof told, &fd, 1) == static_cast<ssize_t>(sizeof told);
}

int wait_for_go(const Order& order) {
  ::close(order.broker_end);
  ::close(order.control_end);
  if (!order.plan.user_ns) return 0;  // nothing has to be done to us from outside
  char go = 0;
  return ::recv(order.status, &go, 1, 0) == 1 ? 0 : EPIPE;
}

// The kernel often starts a child where its parent runs and lets the two take turns for
// milliseconds, though another core is idle.
void leave_core(int core) {
  cpu_set_t all;
  if (core < 0 || ::sched_getcpu() != core || ::sched_getaffinity(0, sizeof all, &all) != 0) return;
  cpu_set_t others = all;
  CPU_CLR(static_cast<unsigned>(core), &others);
  if (CPU_COUNT(&others) > 0 && ::sched_setaffinity(0, sizeof others, &others) == 0)
    ::sched_setaffinity(0, sizeof all, &all);  // moved it is
}

// The supervisor has made it in the meantime.
int enter_network(const Order& order) {
  char word = 0;
  std::array<Fd, kMaxPassed> fds;
  std::size_t passed = 0;
  if (receive_packet(order.status, &word, 1, 0, fds, passed) != 1 || passed != 1) return EPIPE;
  return error_of(::setns(fds[0].get(), CLONE_NEWNET));
}

}  // namespace

void enter_box(const Order& order) {
  const auto step = [&order](std::string_view stage, int error) {
    if (error == 0) return;
    send_report(order.status, error, stage);
    ::_exit(127);
  };
  leave_core(order.busy_core);
  step("go", wait_for_go(order));
  std::string_view stage;
  const int entered = order.groups->enter(stage);
  step(stage, entered);
  step("pdeathsig", error_of(::prctl(PR_SET_PDEATHSIG, SIGKILL)));
  if (order.plan.uts_ns) step("uts_ns", error_of(::sethostname("jail", 4)));
  ::umask(0);  // what is made has the mode that is asked for, whatever the caller's mask
  const int error = make_box_root(order, stage);
  step(stage, error);
  if (order.plan.root && order.plan.net_ns) step("net_ns", enter_network(order));
  if (order.net == Net::loopback) step("loopback", raise_loopback());
  step("no_caps", keep_starting_rights(order.plan, order.init_uid));
  step("pdeathsig", error_of(::prctl(PR_SET_PDEATHSIG, SIGKILL)));
  ::umask(022);
  Init init(order);
  step("landlock", init.build_wall());
  if (const int e = arrange_own(order, init.wall())) ::_exit(e & 0x7f);
  if (!say_ready()) ::_exit(0);
  init.serve();
}

}  // namespace seedbed::sandbox::box
