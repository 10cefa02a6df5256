#include "sandbox/broker/launch.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/keyctl.h>
#include <linux/securebits.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cstdio>
#include <cstring>

#include "sandbox/broker/filter.h"
#include "sandbox/broker/landlock.h"
#include "sandbox/broker/packets.h"

namespace seedbed::sandbox {
namespace {

constexpr int kSocketFd = 3, kStatusFd = 4, kSpareFd = kProgramFd + 1;

int error_of(long rc) {
  return rc < 0 ? errno : 0;
}

int wait_for_go(const JailOrder& order) {
  ::close(order.broker_end);  // else the broker's death would go unseen below
  char go = 0;
  return ::recv(order.status, &go, 1, 0) == 1 ? 0 : EPIPE;
}

// The death of the broker must end the jail. A change of uid clears this, so it is asked for again
// after it; a broker that died in between is seen by its closed channel.
int die_with_broker(int status) {
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) return errno;
  char c = 0;
  const ssize_t n = ::recv(status, &c, 1, MSG_DONTWAIT | MSG_PEEK);
  return n == 0 ? EPIPE : 0;
}

int name_the_host() {
  return error_of(::sethostname("jail", 4));
}

int pin(int core) {
  if (core < 0) return 0;
  cpu_set_t set;
  CPU_ZERO(&set);
  if (core >= CPU_SETSIZE) return EINVAL;
  CPU_SET(static_cast<unsigned>(core), &set);
  return error_of(::sched_setaffinity(0, sizeof set, &set));
}

int new_session() {
  if (::setsid() < 0 && errno != EPERM) return errno;  // EPERM: leads one already
  ::umask(077);
  // A session keyring of its own; a kernel without keyrings has nothing to keep apart.
  if (::syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, nullptr) < 0 && errno != ENOSYS &&
      errno != EPERM && errno != EDQUOT)
    return errno;
  return 0;
}

// Sources go above kProgramFd first, so that no target overwrites one.
int arrange_descriptors(const JailOrder& order) {
  const int socket = ::fcntl(order.socket, F_DUPFD_CLOEXEC, kSpareFd);
  const int status = ::fcntl(order.status, F_DUPFD_CLOEXEC, kSpareFd);
  const int null = ::fcntl(order.null, F_DUPFD_CLOEXEC, kSpareFd);
  const int program = ::fcntl(order.program, F_DUPFD_CLOEXEC, kSpareFd);
  if (socket < 0 || status < 0 || null < 0 || program < 0) return errno;
  for (int fd = 0; fd < 3; ++fd)
    if (::dup2(null, fd) < 0) return errno;
  if (::dup3(socket, kSocketFd, 0) < 0 || ::dup3(status, kStatusFd, O_CLOEXEC) < 0 ||
      ::dup3(program, kProgramFd, O_CLOEXEC) < 0)
    return errno;
  if (sys_close_range(kStatusFd + 1, kProgramFd - 1) != 0 ||
      sys_close_range(kProgramFd + 1, ~0U) != 0)
    return errno;
  return 0;
}

int no_more_privileges() {
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return errno;
  return error_of(::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0));
}

int wall_files(const JailOrder& order) {
  if (!order.plan.landlock) return 0;
  const Fd work(order.plan.own_root ? ::open("/tmp", O_PATH | O_DIRECTORY | O_CLOEXEC) : -1);
  if (order.plan.own_root && !work) return errno;
  return landlock_restrict(work.get());
}

int filter_calls() {
  int listener = -1;
  if (const int error = install_filter(listener)) return error;
  if (listener >= 0) {
    send_report(kStatusFd, 0, "listener", listener);
    ::close(listener);
  }
  return 0;
}

int run_program(const JailOrder& order) {
  char* const env[] = {nullptr};
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none,
                nullptr);  // the broker keeps all blocked, so that no signal disturbs a clone
  ::syscall(SYS_execveat, kProgramFd, "", order.argv, env, AT_EMPTY_PATH);
  return errno;
}

}  // namespace

void send_report(int status, int error, std::string_view stage, int fd) {
  StageReport report;
  report.error = error;
  std::memcpy(report.stage.data(), stage.data(), stage.size() < 27 ? stage.size() : 27);
  // The broker being gone, nobody is left to tell.
  static_cast<void>(send_packet(status, &report, sizeof report, &fd, fd >= 0 ? 1 : 0));
}

int make_private_mounts() {
  return error_of(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr));
}

int make_root(int tmpfs_mib, unsigned uid, bool& tmpfs_failed) {
  // Any folder serves as the place to mount on: only this namespace sees it.
  constexpr unsigned long kSafe = MS_NOSUID | MS_NODEV | MS_NOEXEC;
  std::array<char, 128> options{};
  tmpfs_failed = true;
  if (::mount("seedbed", "/tmp", "tmpfs", kSafe, "size=64k,nr_inodes=16,mode=0755") != 0)
    return errno;
  if (::chdir("/tmp") != 0 || ::mkdir("tmp", 0700) != 0) return errno;
  std::snprintf(options.data(), options.size(), "size=%dm,nr_inodes=4096,mode=0700,uid=%u,gid=%u",
                tmpfs_mib > 0 ? tmpfs_mib : 1, uid, uid);
  if (::mount("seedbed", "tmp", "tmpfs", kSafe, options.data()) != 0) return errno;
  tmpfs_failed = false;
  if (::syscall(SYS_pivot_root, ".", ".") != 0) return errno;
  if (::umount2(".", MNT_DETACH) != 0) return errno;  // the old root was stacked on the new one
  if (::chdir("/") != 0) return errno;
  return error_of(
      ::mount(nullptr, "/", nullptr, MS_REMOUNT | MS_BIND | MS_RDONLY | kSafe, nullptr));
}

int set_limits(const JailOrder& order) {
  const auto mib = [](int n) { return static_cast<rlim_t>(n) << 20; };
  const auto count = [](int n) { return static_cast<rlim_t>(n); };
  const struct {
    decltype(RLIMIT_CORE) which;  // glibc has an enumeration, musl numbers
    rlim_t value;
  } limits[] = {{RLIMIT_CORE, 0},
                {RLIMIT_NOFILE, count(order.open_files)},
                {RLIMIT_NPROC, count(order.pids)},
                {RLIMIT_FSIZE, mib(order.tmpfs_mib)},
                {RLIMIT_STACK, mib(8)},
                {RLIMIT_MEMLOCK, 0},
                {RLIMIT_MSGQUEUE, 0},
                {RLIMIT_SIGPENDING, 256},
                {RLIMIT_NICE, 0},
                {RLIMIT_RTPRIO, 0}};
  for (const auto& limit : limits) {
    rlimit now{};
    if (::getrlimit(limit.which, &now) != 0) return errno;
    now.rlim_max = limit.value < now.rlim_max ? limit.value : now.rlim_max;
    now.rlim_cur = now.rlim_max;
    if (::setrlimit(limit.which, &now) != 0) return errno;
  }
  return 0;
}

int become(const Plan& plan, unsigned uid) {
  if (!plan.root)
    return 0;  // the one mapped uid is what it is already; it may not change its groups
  if (::setgroups(0, nullptr) != 0) return errno;
  if (::setresgid(uid, uid, uid) != 0) return errno;
  if (::setresuid(uid, uid, uid) != 0) return errno;
  return ::getuid() == uid && ::geteuid() == uid ? 0 : EPERM;
}

int drop_capabilities(bool bounding_too) {
  if (bounding_too) {
    int cap = 0;
    while (::prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) == 0) ++cap;
    if (cap == 0 || errno != EINVAL) return errno;  // EINVAL: no capability has that number
    // uid 0 gives nothing either, should anything ever be it again.
    constexpr unsigned long kLocked =
        SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP_LOCKED |
        SECBIT_KEEP_CAPS_LOCKED | SECBIT_NO_CAP_AMBIENT_RAISE | SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED;
    if (::prctl(PR_SET_SECUREBITS, kLocked, 0, 0, 0) != 0) return errno;
    return 0;
  }
  if (::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0) return errno;
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, 2> none{};
  return error_of(::syscall(SYS_capset, &header, none.data()));
}

int namespace_flags(const Plan& plan) {
  return (plan.user_ns ? CLONE_NEWUSER : 0) | (plan.mount_ns ? CLONE_NEWNS : 0) |
         (plan.pid_ns ? CLONE_NEWPID : 0) | (plan.net_ns ? CLONE_NEWNET : 0) |
         (plan.ipc_ns ? CLONE_NEWIPC : 0) | (plan.uts_ns ? CLONE_NEWUTS : 0) |
         (plan.cgroup_ns ? CLONE_NEWCGROUP : 0);
}

int write_maps(int pid, unsigned inside) {
  std::array<char, 64> path{};
  std::array<char, 64> line{};
  std::snprintf(path.data(), path.size(), "/proc/%d/setgroups", pid);
  if (!write_file(path.data(), "deny")) return errno;
  std::snprintf(path.data(), path.size(), "/proc/%d/uid_map", pid);
  std::snprintf(line.data(), line.size(), "%u %u 1", inside, static_cast<unsigned>(::geteuid()));
  if (!write_file(path.data(), line.data())) return errno;
  std::snprintf(path.data(), path.size(), "/proc/%d/gid_map", pid);
  std::snprintf(line.data(), line.size(), "%u %u 1", inside, static_cast<unsigned>(::getegid()));
  return write_file(path.data(), line.data()) ? 0 : errno;
}

void enter_jail(const JailOrder& order) {
  int status = order.status;
  const auto step = [&status](std::string_view stage, int error) {
    if (error == 0) return;
    send_report(status, error, stage);
    ::_exit(127);
  };
  const Plan& plan = order.plan;
  step("go", wait_for_go(order));
  std::string_view group;
  const int entered = order.groups->enter(group);
  step(group, entered);
  step("pdeathsig", die_with_broker(status));
  if (plan.uts_ns) step("uts_ns", name_the_host());
  if (plan.mount_ns) step("mount_ns", make_private_mounts());
  if (plan.own_root) {
    bool tmpfs_failed = false;
    const int error = make_root(order.tmpfs_mib, order.uid, tmpfs_failed);
    step(tmpfs_failed ? "tmpfs" : "pivot_root", error);
  }
  step("affinity", pin(order.core));
  step("session", new_session());
  step("close_range", arrange_descriptors(order));
  status = kStatusFd;
  step("rlimits", set_limits(order));
  if (plan.root || plan.user_ns) step("no_caps", drop_capabilities(true));
  step("user_uid", become(plan, order.uid));
  step("no_caps", drop_capabilities(false));
  step("pdeathsig", die_with_broker(status));
  step("no_new_privs", no_more_privileges());
  step("landlock", wall_files(order));
  step("seccomp", filter_calls());
  step("exec", run_program(order));
  ::_exit(127);
}

}  // namespace seedbed::sandbox
