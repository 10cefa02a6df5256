// Nothing outlives its owner, nothing leaks, and what cannot be enforced is refused by name.
#include <gtest/gtest.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <atomic>
#include <cstddef>

#include "base/clock.h"
#include "sandbox/affinity.h"
#include "tests/sandbox/jail_test_kit.h"

namespace seedbed::sandbox {
namespace {

std::string summary(const std::vector<Layer>& layers) {
  std::string text;
  for (const Layer& l : layers)
    if (l.state != LayerState::on)
      text += l.name + " " +
              std::string(enum_names(l.state).at(static_cast<std::size_t>(l.state))) + ": " +
              l.why + "\n";
  return text;
}

TEST(JailLayers, AllAreOnHere) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  const auto layers = probe_layers();
  EXPECT_EQ(layers.size(), 17U);
  EXPECT_EQ(summary(layers), "");
}

// The filter of a container that allows no namespaces.
void deny_namespaces() {
  const auto errno_is = [](unsigned e) {
    return static_cast<std::uint32_t>(SECCOMP_RET_ERRNO) | e;
  };
  constexpr std::uint16_t kLoad = BPF_LD | BPF_W | BPF_ABS, kEqual = BPF_JMP | BPF_JEQ | BPF_K,
                          kRet = BPF_RET | BPF_K;
  const std::array<sock_filter, 12> code = {{{kLoad, 0, 0, offsetof(seccomp_data, nr)},
                                             {kEqual, 0, 1, SYS_unshare},
                                             {kRet, 0, 0, errno_is(EPERM)},
                                             {kEqual, 0, 1, SYS_setns},
                                             {kRet, 0, 0, errno_is(EPERM)},
                                             {kEqual, 0, 1, SYS_clone3},
                                             {kRet, 0, 0, errno_is(ENOSYS)},
                                             {kEqual, 0, 3, SYS_clone},
                                             {kLoad, 0, 0, offsetof(seccomp_data, args)},
                                             {BPF_JMP | BPF_JSET | BPF_K, 0, 1, 0x7E020000U},
                                             {kRet, 0, 0, errno_is(EPERM)},
                                             {kRet, 0, 0, SECCOMP_RET_ALLOW}}};
  sock_fprog program{static_cast<unsigned short>(code.size()),
                     const_cast<sock_filter*>(code.data())};
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
      ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
    ::_exit(9);
}

std::string try_start(Isolation level, const std::vector<std::string>& attacks = {"hello"}) {
  auto broker = Broker::start(level);
  if (!broker.ok()) return broker.error().message;
  auto outcome = kit::attack(**broker, attacks);
  std::string text;
  for (const auto& name : attacks) text += name + "=" + outcome.answers[name] + " ";
  return text + "(" + outcome.cause + ")";
}

TEST(JailRefusal, NoNamespacesIsRefusedByNameAndRemedy) {
  const std::string strict =
      kit::in_child([] { return deny_namespaces(), try_start(Isolation::strict); });
  EXPECT_EQ(strict.rfind("jail 'mount_ns': unshare failed: EPERM, strict isolation wants it "
                         "(missing too: pid_ns, net_ns, ",
                         0),
            0U)
      << strict;
  EXPECT_NE(strict.find("; run as root, or enable user namespaces"), std::string::npos) << strict;
  EXPECT_NE(strict.find("or run with --isolation weak"), std::string::npos) << strict;
  const std::string standard =
      kit::in_child([] { return deny_namespaces(), try_start(Isolation::standard); });
  EXPECT_EQ(
      standard.rfind("jail 'mount_ns': unshare failed: EPERM, standard isolation wants it", 0), 0U)
      << standard;
}

TEST(JailRefusal, WeakWithoutNamespacesStillWallsOffFilesSocketsAndPrivileges) {
  const std::string weak = kit::in_child([] {
    deny_namespaces();
    return try_start(Isolation::weak, {"read_hostname", "list_root", "write_tmp", "socket_unix",
                                       "ptrace_attach", "capabilities", "no_new_privs"});
  });
  EXPECT_EQ(
      weak.rfind("read_hostname=EACCES list_root=EACCES write_tmp=EACCES socket_unix=EPERM "
                 "ptrace_attach=EPERM "
                 "capabilities=0 0 no_new_privs=1 (exited 0; refused system calls: socket, ptrace",
                 0),
      0U)
      << weak;
}

TEST(JailRefusal, PlainUserGetsStandardAndIsRefusedStrict) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root to become nobody";
  if (!kit::nobody_reaches_programs()) GTEST_SKIP() << "a plain user cannot reach the build folder";
  const std::string strict =
      kit::in_child([] { return kit::become_nobody(), try_start(Isolation::strict); });
  EXPECT_EQ(strict.rfind("jail 'user_uid': not root: all jails share the uid of the caller, strict "
                         "isolation wants it",
                         0),
            0U)
      << strict;
  EXPECT_NE(strict.find("or run with --isolation standard"), std::string::npos) << strict;
  const std::string standard = kit::in_child([] {
    kit::become_nobody();
    return try_start(Isolation::standard,
                     {"descriptors", "read_hostname", "write_tmp", "socket_unix", "unshare_user",
                      "capabilities", "pid", "uid"});
  });
  EXPECT_EQ(standard.rfind("descriptors=0,1,2,3 read_hostname=ENOENT write_tmp=ok "
                           "socket_unix=EPERM unshare_user=EPERM capabilities=0 0 "
                           "pid=1 0 uid=65534 65534 65534 0 (exited 0; refused system calls: ",
                           0),
            0U)
      << standard;
}

TEST(JailRefusal, ProgramThatCannotRunIsNamed) {
  auto broker = Broker::start(Isolation::standard);
  ASSERT_TRUE(broker.ok()) << broker.error().message;
  auto absent = (*broker)->open("/nowhere/program", {"x"}, {});
  ASSERT_FALSE(absent.ok());
  EXPECT_EQ(absent.error().where, Where::sandbox);
  EXPECT_EQ(absent.error().message,
            "jail program '/nowhere/program': cannot be opened: ENOENT; build it first");
  auto text = (*broker)->open(SEEDBED_SOURCE_DIR "/CMakeLists.txt", {"x"}, {});
  ASSERT_FALSE(text.ok());
  EXPECT_EQ(
      text.error().message,
      "jail 'exec': failed: ENOEXEC; the program must be a static executable for this machine");
}

TEST(JailRefusal, LimitThatIsNoneIsRefused) {
  auto broker = Broker::start(Isolation::standard);
  ASSERT_TRUE(broker.ok()) << broker.error().message;
  JailLimits limits;
  limits.memory_mib = 0;
  auto jail = (*broker)->open(kit::hostile(), {"x"}, limits);
  ASSERT_FALSE(jail.ok());
  EXPECT_EQ(jail.error().message,
            "jail limit 'memory_mib': 0, must be from 4 to 1048576; set it within");
}

TEST(JailRefusal, WeakJailWithoutAProcessNamespaceIsStillKilledWhole) {
  const std::string left = kit::in_child([] {
    deny_namespaces();
    auto broker = Broker::start(Isolation::weak);
    if (!broker.ok()) return broker.error().message;
    const auto outcome =
        kit::attack(**broker, {"daemon"});  // its child holds the socket until it is dead too
    return outcome.answers.at("daemon") + "; " + outcome.cause;
  });
  EXPECT_EQ(left, "left one behind; exited 0");
}

TEST(JailLife, KilledParentLeavesNoProcessMountOrGroup) {
  const std::string mounts = kit::mounts();
  std::array<int, 2> pipe{};
  ASSERT_EQ(::pipe(pipe.data()), 0);
  const pid_t parent = ::fork();
  if (parent == 0) {  // owns a broker and four jails, then waits for its death
    auto broker = Broker::start(Isolation::standard);
    std::vector<Jail> jails;
    std::string pids;
    for (int i = 0; broker.ok() && i < 4; ++i) {
      auto jail =
          (*broker)->open(kit::hostile(), {"seedbed-hostile", i % 2 == 0 ? "sleep" : "hello"}, {});
      if (!jail.ok()) ::_exit(1);
      pids += std::to_string(jail->pid()) + " ";
      jails.push_back(*std::move(jail));
    }
    pids += "\n";
    static_cast<void>(!::write(pipe[1], pids.data(), pids.size()));
    for (;;) ::pause();
  }
  ::close(pipe[1]);
  const std::string line = kit::read_all(pipe[0], 1);
  ::close(pipe[0]);
  std::vector<int> pids;
  for (std::size_t at = 0; at < line.size() && line[at] != '\n'; at = line.find(' ', at) + 1)
    pids.push_back(std::atoi(line.c_str() + at));
  ASSERT_EQ(pids.size(), 4U) << line;
  const auto brokers = kit::brokers_of(parent);
  ASSERT_EQ(brokers.size(), 1U);
  for (const int pid : pids) EXPECT_TRUE(kit::alive(pid));
  EXPECT_GT(kit::groups_of(brokers[0]), 0);
  ::kill(parent, SIGKILL);
  ::waitpid(parent, nullptr, 0);
  EXPECT_TRUE(kit::within(5000, [&] { return !kit::alive(brokers[0]); }));
  for (const int pid : pids) EXPECT_FALSE(kit::alive(pid)) << pid;
  EXPECT_EQ(kit::groups_of(brokers[0]), 0);
  EXPECT_EQ(kit::mounts(), mounts);
}

TEST(JailLife, KilledBrokerTakesItsJailsAndTheNextOneSweeps) {
  auto broker = Broker::start(Isolation::standard);
  ASSERT_TRUE(broker.ok()) << broker.error().message;
  auto jail = (*broker)->open(kit::hostile(), {"seedbed-hostile", "sleep"}, {});
  ASSERT_TRUE(jail.ok()) << jail.error().message;
  EXPECT_EQ(kit::read_all(jail->socket(), 1), "asleep\n");
  const auto brokers = kit::brokers_of(::getpid());
  ASSERT_EQ(brokers.size(), 1U);
  ::kill(brokers[0], SIGKILL);
  EXPECT_EQ(kit::read_all(jail->socket()), "");  // closed by the death of the program inside
  EXPECT_TRUE(kit::within(5000, [&] { return !kit::alive(jail->pid()); }));
  EXPECT_EQ(jail->cause().rfind("lost: broker: ", 0), 0U) << jail->cause();
  auto refused = (*broker)->open(kit::hostile(), {"seedbed-hostile"}, {});
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().message.rfind("broker: ", 0), 0U) << refused.error().message;
  broker->reset();
  auto next = Broker::start(Isolation::standard);
  ASSERT_TRUE(next.ok());
  EXPECT_EQ(kit::groups_of(brokers[0]), 0);
}

TEST(JailLife, JailOutlivingItsBrokerIsDead) {
  auto broker = Broker::start(Isolation::standard);
  ASSERT_TRUE(broker.ok()) << broker.error().message;
  auto jail = (*broker)->open(kit::hostile(), {"seedbed-hostile", "sleep"}, {});
  ASSERT_TRUE(jail.ok()) << jail.error().message;
  const int pid = jail->pid();
  broker->reset();
  EXPECT_FALSE(kit::alive(pid));
  EXPECT_EQ(jail->cause(),
            "lost: broker: is closed; run again; if it stays so, see `seedbed doctor`");
}

TEST(JailLife, ManyCyclesLeakNothingAndOpenFast) {
  auto broker = Broker::start(Isolation::standard);
  ASSERT_TRUE(broker.ok()) << broker.error().message;
  const auto brokers = kit::brokers_of(::getpid());
  ASSERT_EQ(brokers.size(), 1U);
  const std::string theirs = "/proc/" + std::to_string(brokers[0]);
  const auto cycle = [&] {
    const std::int64_t start = monotonic_us();
    auto jail = (*broker)->open(kit::hostile(), {"seedbed-hostile", "hello"}, {});
    const std::int64_t opened = monotonic_us() - start;
    EXPECT_TRUE(jail.ok()) << jail.error().message;
    EXPECT_EQ(kit::read_all(jail->socket(), 1), "hello: hello\n");
    return opened;
  };
  cycle();  // the first makes the copy of the program
  const int fds = kit::count_entries("/proc/self/fd");
  const int their_fds = kit::count_entries(theirs + "/fd");
  const int groups = kit::groups_of(brokers[0]);
  const std::string mounts = kit::mounts();
  std::vector<std::int64_t> us;
  for (int i = 0; i < 200; ++i) us.push_back(cycle());
  EXPECT_EQ(kit::count_entries("/proc/self/fd"), fds);
  EXPECT_EQ(kit::count_entries(theirs + "/fd"), their_fds);
  EXPECT_EQ(kit::groups_of(brokers[0]), groups);
  EXPECT_EQ(kit::mounts(), mounts);
  EXPECT_EQ(kit::first_line(theirs + "/task/" + std::to_string(brokers[0]) + "/children"), "");
  std::sort(us.begin(), us.end());
  std::printf("open a jail: p10 %ld us, p50 %ld us, p95 %ld us\n", us[20], us[100], us[190]);
  broker->reset();
  EXPECT_EQ(kit::groups_of(brokers[0]), 0);
}

TEST(JailLife, ManyThreadsOpenAtOnce) {
  auto broker = Broker::start(Isolation::standard);
  ASSERT_TRUE(broker.ok()) << broker.error().message;
  std::atomic<int> good{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      std::vector<Jail> mine;
      for (int i = 0; i < 10; ++i) {
        auto jail = (*broker)->open(kit::hostile(), {"seedbed-hostile", "hello"}, {});
        if (!jail.ok()) continue;
        if (kit::read_all(jail->socket(), 1) == "hello: hello\n") ++good;
        mine.push_back(*std::move(jail));
      }
    });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(good.load(), 40);
}

TEST(JailLife, CpuQuotaThrottles) {
  auto broker = Broker::start(Isolation::standard);
  ASSERT_TRUE(broker.ok()) << broker.error().message;
  const auto brokers = kit::brokers_of(::getpid());
  ASSERT_EQ(brokers.size(), 1U);
  JailLimits limits;
  limits.cpu_percent = 2;
  auto jail = (*broker)->open(kit::hostile(), {"seedbed-hostile", "burn"}, limits);
  if (!jail.ok() && jail.error().message.rfind("jail 'cgroup_cpu'", 0) == 0)
    GTEST_SKIP() << jail.error().message;
  ASSERT_TRUE(jail.ok()) << jail.error().message;
  const auto throttled = [&] {
    std::error_code error;
    for (auto at = std::filesystem::recursive_directory_iterator("/sys/fs/cgroup", error);
         !error && at != end(at); at.increment(error)) {
      if (at->path().filename() != "cpu.stat" ||
          at->path().string().find("seedbed-" + std::to_string(brokers[0]) + "/jail-") ==
              std::string::npos)
        continue;
      std::ifstream in(at->path());
      std::string key;
      for (long value = 0; in >> key >> value;)
        if (key == "nr_throttled" && value > 0) return true;
    }
    return false;
  };
  EXPECT_TRUE(kit::within(20'000, throttled));
}

// The thread that started a broker may end: the broker serves the process.
TEST(JailLife, BrokerOutlivesTheThreadThatStartedIt) {
  std::shared_ptr<Broker> broker;
  std::thread([&] {
    auto started = Broker::start(Isolation::standard);
    if (started.ok()) broker = *started;
  }).join();
  ASSERT_TRUE(broker);
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_EQ(kit::attack(*broker, {"hello"}).answers["hello"], "hello");
}

TEST(Affinity, PinsThisThreadAndAJail) {
  auto broker = Broker::start(Isolation::standard);
  ASSERT_TRUE(broker.ok()) << broker.error().message;
  auto jail = (*broker)->open(kit::hostile(), {"seedbed-hostile", "sleep"}, {});
  ASSERT_TRUE(jail.ok()) << jail.error().message;
  std::thread([&] {  // a thread of its own: the test program stays unpinned
    EXPECT_FALSE(pin_thread_and(0, jail->pid()));
    for (const pid_t pid : {0, jail->pid()}) {
      cpu_set_t set;
      ASSERT_EQ(::sched_getaffinity(pid, sizeof set, &set), 0);
      EXPECT_EQ(CPU_COUNT(&set), 1);
      EXPECT_TRUE(CPU_ISSET(0, &set));
    }
    const auto refused = pin_thread_and(1000, jail->pid());
    ASSERT_TRUE(refused);
    EXPECT_EQ(refused->message,
              "core '1000': sched_setaffinity failed: EINVAL; name a core that this process may "
              "use, or none");
  })
      .join();
}

}  // namespace
}  // namespace seedbed::sandbox
