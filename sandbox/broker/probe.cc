#include "sandbox/broker/probe.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstring>

#include "sandbox/broker/errno_name.h"
#include "sandbox/broker/filter.h"
#include "sandbox/broker/landlock.h"

namespace seedbed::sandbox {
namespace {

constexpr std::uint8_t kOn = 0, kOff = 1, kWeak = 2;  // LayerState
constexpr int kDidNotHold = 200;  // a probe's answer: no error, yet no protection either

// Runs `attempt` in a child; its result is 0, an errno, or kDidNotHold.
template <class F>
int in_child(F&& attempt) {
  const pid_t pid = ::fork();
  if (pid < 0) return errno;
  if (pid == 0) ::_exit(attempt());
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0)
    if (errno != EINTR) return errno;
  return WIFEXITED(status) ? WEXITSTATUS(status) : kDidNotHold;
}

std::string words(const char* what, int error) {
  if (error == kDidNotHold) return std::string(what) + " had no effect";
  return std::string(what) + " failed: " + errno_name(error);
}

class Prober {
 public:
  Prober(Cgroups& groups, unsigned uid) : groups_(groups), uid_(uid) {
    out_.plan.root = ::geteuid() == 0;
  }

  Probe run() {
    namespaces();
    files();
    identity();
    cgroups();
    walls();
    return out_;
  }

 private:
  wire::LayerReport& layer(std::string_view name) {
    const auto at = std::find(wire::kLayerNames.begin(), wire::kLayerNames.end(), name);
    return out_.hello.layers.at(static_cast<std::size_t>(at - wire::kLayerNames.begin()));
  }
  bool set(std::string_view name, int error, const char* what, std::string_view remedy) {
    wire::LayerReport& l = layer(name);
    l.state = error == 0 ? kOn : kOff;
    if (error != 0) {
      wire::put(l.why, words(what, error));
      wire::put(l.remedy, remedy);
    }
    return error == 0;
  }
  void weaken(std::string_view name, std::string_view why, std::string_view remedy) {
    wire::LayerReport& l = layer(name);
    l.state = kWeak;
    wire::put(l.why, why);
    wire::put(l.remedy, remedy);
  }

  // What a child of ours starts from: its own user namespace where we are not root.
  int enter_user_ns() const {
    return out_.plan.user_ns && ::unshare(CLONE_NEWUSER) != 0 ? errno : 0;
  }

  void namespaces() {
    Plan& plan = out_.plan;
    const char* const remedy =
        "run as root, or enable user namespaces (sysctl user.max_user_namespaces, "
        "kernel.apparmor_restrict_unprivileged_userns, "
        "the container's seccomp profile)";
    plan.user_ns =
        !plan.root && in_child([] { return ::unshare(CLONE_NEWUSER) == 0 ? 0 : errno; }) == 0;
    const struct {
      const char* name;
      int flag;
      bool Plan::*have;
    } kinds[] = {{"mount_ns", CLONE_NEWNS, &Plan::mount_ns},
                 {"pid_ns", CLONE_NEWPID, &Plan::pid_ns},
                 {"net_ns", CLONE_NEWNET, &Plan::net_ns},
                 {"ipc_ns", CLONE_NEWIPC, &Plan::ipc_ns},
                 {"uts_ns", CLONE_NEWUTS, &Plan::uts_ns},
                 {"cgroup_ns", CLONE_NEWCGROUP, &Plan::cgroup_ns}};
    for (const auto& kind : kinds) {
      const int error = in_child([&] {
        if (const int e = enter_user_ns()) return e;
        return ::unshare(kind.flag) == 0 ? 0 : errno;
      });
      plan.*kind.have = set(kind.name, error, "unshare", remedy);
    }
    if (plan.user_ns && !(plan.mount_ns || plan.pid_ns || plan.net_ns)) plan.user_ns = false;
  }

  void files() {
    Plan& plan = out_.plan;
    const int error = in_child([&] {
      if (!plan.mount_ns) return EPERM;
      const unsigned me = plan.root ? uid_ : 65534U;
      if (plan.user_ns) {
        // Without maps the ids of a tmpfs cannot be named; the child writes its own.
        const auto outside = [](unsigned id) { return "65534 " + std::to_string(id) + " 1"; };
        const std::string uid_line = outside(::geteuid());
        const std::string gid_line = outside(::getegid());
        if (const int e = enter_user_ns()) return e;
        if (!write_file("/proc/self/setgroups", "deny") ||
            !write_file("/proc/self/uid_map", uid_line) ||
            !write_file("/proc/self/gid_map", gid_line))
          return errno;
      }
      if (::unshare(CLONE_NEWNS) != 0) return errno;
      if (const int e = make_private_mounts()) return e;
      bool failed = false;
      if (const int e = make_root(1, me, failed)) return e;
      struct stat st {};
      if (::stat("/proc", &st) == 0 || ::stat("/etc", &st) == 0) return kDidNotHold;
      const Fd file(::open("/outside", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
      return file ? kDidNotHold : 0;
    });
    const char* const remedy = "give the process its own mount namespace (see mount_ns)";
    set("tmpfs", error, "a sized tmpfs", remedy);
    plan.own_root = set("pivot_root", error, "pivot_root", remedy);
  }

  void identity() {
    const Plan& plan = out_.plan;
    if (plan.root) {
      const int error = in_child([&] {
        if (const int e = become(plan, uid_)) return e;
        return ::setuid(0) == 0 ? kDidNotHold : 0;
      });
      set("user_uid", error, "setresuid",
          "allow uids from 600000 upwards in this container's user namespace");
    } else if (plan.user_ns) {
      weaken("user_uid", "not root: all jails share the uid of the caller", "run as root");
    } else {
      set("user_uid", EPERM, "setresuid", "run as root, or enable user namespaces");
    }
    set("rlimits", in_child([&] {
          JailOrder order;
          order.open_files = 64;
          order.pids = 16;
          order.tmpfs_mib = 16;
          if (const int e = set_limits(order)) return e;
          rlimit now{};
          return ::getrlimit(RLIMIT_NOFILE, &now) == 0 && now.rlim_max <= 64 ? 0 : kDidNotHold;
        }),
        "setrlimit", "");
    set("no_caps", in_child([&] {
          if (plan.root || plan.user_ns) {
            if (const int e = enter_user_ns()) return e;
            if (const int e = drop_capabilities(true)) return e;
          }
          if (const int e = become(plan, uid_)) return e;
          if (const int e = drop_capabilities(false)) return e;
          __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
          std::array<__user_cap_data_struct, 2> now{};
          if (::syscall(SYS_capget, &header, now.data()) != 0) return errno;
          return (now[0].effective | now[1].effective | now[0].permitted | now[1].permitted) == 0
                     ? 0
                     : kDidNotHold;
        }),
        "dropping capabilities", "give the process CAP_SETPCAP and CAP_SETUID");
    set("no_new_privs", in_child([] {
          if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return errno;
          return ::prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 ? 0 : kDidNotHold;
        }),
        "prctl", "");
  }

  static constexpr const char* kCgroupRemedy =
      "run as root, or where the cgroup tree is delegated (systemd-run --scope -p Delegate=yes)";

  void group(const char* name, const Cgroups::Controller& c) {
    wire::LayerReport& l = layer(name);
    if (!c.tree.empty()) {
      l.state = kOn;
      return;
    }
    l.state = kOff;
    wire::put(l.why, words(c.why.c_str(), c.error));
    wire::put(l.remedy, kCgroupRemedy);
  }

  // A jail's groups in small: two processes where one is allowed, then all killed at once.
  void cgroups() {
    group("cgroup_memory", groups_.memory());
    group("cgroup_pids", groups_.pids());
    group("cgroup_kill", groups_.kill_switch());
    Cgroups& groups = groups_;
    constexpr std::uint32_t kProbeJail = 0;
    std::string_view stage;
    if (!groups.make(kProbeJail, {64, 1, 0}, stage)) {
      set(stage, errno, "setting limits", kCgroupRemedy);
      groups.remove(kProbeJail);
      return;
    }
    std::array<int, 2> go{};
    if (::pipe2(go.data(), O_CLOEXEC) != 0) return;
    const pid_t pid = ::fork();
    if (pid == 0) {
      ::close(go[1]);
      char c = 0;
      if (::read(go[0], &c, 1) != 1) ::_exit(kDidNotHold);
      const pid_t second = ::fork();
      if (second == 0) ::_exit(0);
      const bool refused = second < 0 && errno == EAGAIN;
      if (c == 'w') ::pause();  // waits for the kill
      ::_exit(refused ? 0 : kDidNotHold);
    }
    ::close(go[0]);
    const bool attached = groups.attach(kProbeJail, pid, stage);
    const int error = errno;
    const bool killing = attached && !groups.kill_switch().tree.empty();
    const char word = killing ? 'w' : 'x';
    if (::write(go[1], &word, 1) != 1 || !attached) set(stage, error, "attaching", kCgroupRemedy);
    const bool sent = killing && wait_for_refusal(groups) && groups.kill(kProbeJail);
    if (killing && !sent) {
      set("cgroup_kill", errno, "cgroup.kill", "a kernel from 5.14 on");
      ::kill(pid, SIGKILL);
    }
    int status = 0;
    ::waitpid(pid, &status, 0);
    ::close(go[1]);
    if (attached && !groups.pids().tree.empty() && groups.pids_refused(kProbeJail) == 0)
      set("cgroup_pids", kDidNotHold, "pids.max", kCgroupRemedy);
    for (int i = 0; i < 100 && !groups.remove(kProbeJail); ++i) ::usleep(1000);
  }
  // The child's fork has been refused (or there is nothing to refuse it), so it may be killed now.
  static bool wait_for_refusal(const Cgroups& groups) {
    for (int i = 0; i < 200 && !groups.pids().tree.empty() && groups.pids_refused(0) == 0; ++i)
      ::usleep(500);
    return true;
  }

  void walls() {
    const int abi = landlock_abi();
    const int error = abi < 0 ? -abi : in_child([] {
      if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return errno;
      if (const int e = landlock_restrict(-1)) return e;
      const Fd root(::open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
      return root ? kDidNotHold : 0;
    });
    out_.plan.landlock =
        set("landlock", error, "landlock", "a kernel from 6.12 on with lsm=landlock");
    if (error == 0 && abi < 6)
      weaken("landlock",
             "ABI " + std::to_string(abi) + ": no scope for signals and abstract sockets",
             "a kernel from 6.12 on");
    set("seccomp", in_child([] {
          if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return errno;
          int listener = -1;
          if (const int e = install_filter(listener)) return e;
          if (listener >= 0) ::close(listener);  // a refused call is ENOSYS without an owner
          return ::syscall(SYS_unshare, CLONE_NEWUTS) == 0 || (errno != ENOSYS && errno != EPERM)
                     ? kDidNotHold
                     : 0;
        }),
        "seccomp",
        "a kernel with CONFIG_SECCOMP_FILTER, and a container profile that allows seccomp()");
  }

  Cgroups& groups_;
  unsigned uid_;
  Probe out_;
};

}  // namespace

Probe probe_machine(Cgroups& groups, unsigned first_uid) {
  return Prober(groups, first_uid).run();
}

}  // namespace seedbed::sandbox
