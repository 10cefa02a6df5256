// Each attack is really tried by a program inside a strict jail; what the kernel answered is
// compared with what it must say.
#include <gtest/gtest.h>

#include "tests/sandbox/jail_test_kit.h"

namespace seedbed::sandbox {
namespace {

struct Expected {
  const char* attack;
  const char* answer;
};
constexpr Expected kFiles[] = {
    {"read_shadow", "ENOENT"}, {"read_hostname", "ENOENT"}, {"read_proc", "ENOENT"},
    {"read_sys", "ENOENT"},    {"read_dev", "ENOENT"},      {"dotdot", "ENOENT"},
    {"list_root", "EACCES"},   {"write_root", "EROFS"},     {"write_tmp", "ok"},
};
constexpr Expected kCalls[] = {
    {"socket_inet", "EPERM"},
    {"socket_inet6", "EPERM"},
    {"socket_vsock", "EPERM"},
    {"socket_unix", "EPERM"},
    {"socket_netlink", "EPERM"},
    {"socketpair", "EPERM"},
    {"ptrace_me", "EPERM"},
    {"ptrace_attach", "EPERM"},
    {"process_vm", "EPERM"},
    {"pidfd_getfd", "EPERM"},
    {"mount", "EPERM"},
    {"remount", "EPERM"},
    {"umount", "EPERM"},
    {"pivot_root", "EPERM"},
    {"chroot", "EPERM"},
    {"fsopen", "EPERM"},
    {"unshare_user", "EPERM"},
    {"unshare_mount", "EPERM"},
    {"clone_newuser", "EPERM"},
    {"clone3", "ENOSYS"},
    {"setns", "EPERM"},
    {"io_uring", "EPERM"},
    {"keyctl", "EPERM"},
    {"add_key", "EPERM"},
    {"request_key", "EPERM"},
    {"find_key", "EPERM"},
    {"personality", "EPERM"},
    {"bpf", "EPERM"},
    {"userfaultfd", "EPERM"},
    {"perf", "EPERM"},
    {"memfd", "EPERM"},
    {"mknod", "EPERM"},
    {"setuid", "EPERM"},
    {"setgroups", "EPERM"},
    {"unpin", "EPERM"},
    {"dumpable", "0 EPERM"},
    {"second_exec", "EPERM EPERM EBADF EBADF"},
    {"raise_limits", "EPERM EPERM EPERM"},
    {"executable_memory", "EPERM EPERM"},
    {"kill_all", "ESRCH"},
    {"no_new_privs", "1"},
    {"seccomp_mode", "2"},
    {"capabilities", "0 0"},
    {"pid", "1 0"},
    {"environment", "empty"},
};

// "" where every answer is the expected one.
template <std::size_t N>
std::string differences(Broker& broker, const Expected (&table)[N]) {
  std::vector<std::string> names;
  for (const Expected& row : table) names.emplace_back(row.attack);
  auto outcome = kit::attack(broker, names);
  std::string text;
  for (const Expected& row : table)
    if (outcome.answers[row.attack] != row.answer)
      text += std::string(row.attack) + ": '" + outcome.answers[row.attack] + "', wanted '" +
              row.answer + "'\n";
  if (outcome.cause.rfind("exited 0", 0) != 0) text += outcome.cause;
  return text;
}

class JailAttack : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    auto started = Broker::start(Isolation::strict);
    ASSERT_TRUE(started.ok()) << started.error().message;
    broker = *started;
  }
  static void TearDownTestSuite() { broker.reset(); }
  static std::shared_ptr<Broker> broker;
};
std::shared_ptr<Broker> JailAttack::broker;

TEST_F(JailAttack, NothingOfTheHostIsThereAndOnlyTmpIsWritable) {
  EXPECT_EQ(differences(*broker, kFiles), "");
}
TEST_F(JailAttack, DangerousCallsAreRefused) {
  EXPECT_EQ(differences(*broker, kCalls), "");
}

TEST_F(JailAttack, JailsOfAPlainUserRefuseTheSame) {
  if (::geteuid() != 0)
    GTEST_SKIP() << "needs root to become nobody; the other tests run as this user already";
  if (!kit::nobody_reaches_programs()) GTEST_SKIP() << "a plain user cannot reach the build folder";
  const std::string wrong = kit::in_child([] {
    kit::become_nobody();
    auto mine = Broker::start(Isolation::standard);
    if (!mine.ok()) return mine.error().message;
    return differences(**mine, kFiles) + differences(**mine, kCalls);
  });
  EXPECT_EQ(wrong, "");
}

TEST_F(JailAttack, OnlyTheSocketAndNullAreOpen) {
  EXPECT_EQ(kit::attack(*broker, {"descriptors"}).answers["descriptors"], "0,1,2,3");
}

TEST_F(JailAttack, RefusedCallsAreReportedByName) {
  const auto outcome = kit::attack(*broker, {"socket_vsock", "keyctl", "ptrace_me"});
  EXPECT_EQ(outcome.cause, "exited 0; refused system calls: socket, ptrace, keyctl");
}

TEST_F(JailAttack, EachJailHasARealUidOfItsOwn) {
  auto first = broker->open(kit::hostile(), {"seedbed-hostile", "uid"}, {});
  auto second = broker->open(kit::hostile(), {"seedbed-hostile", "uid"}, {});
  ASSERT_TRUE(first.ok() && second.ok());
  const std::string one = kit::read_all(first->socket(), 1);
  const std::string two = kit::read_all(second->socket(), 1);
  EXPECT_NE(one, two);
  for (const std::string& text : {one, two}) {
    unsigned uid = 0, effective = 0, gid = 0, groups = 9;
    ASSERT_EQ(std::sscanf(text.c_str(), "uid: %u %u %u %u", &uid, &effective, &gid, &groups), 4)
        << text;
    EXPECT_GE(uid, 600'000U);
    EXPECT_EQ(effective, uid);
    EXPECT_EQ(gid, uid);
    EXPECT_EQ(groups, 0U);
  }
}

TEST_F(JailAttack, TmpIsBoundedInBytesAndFiles) {
  JailLimits limits;
  limits.tmpfs_mib = 4;
  EXPECT_EQ(kit::attack(*broker, {"fill_tmp"}, limits).answers["fill_tmp"], "ENOSPC 4");
  const std::string files = kit::attack(*broker, {"fill_inodes"}, limits).answers["fill_inodes"];
  EXPECT_EQ(files.rfind("ENOSPC ", 0), 0U) << files;
  EXPECT_LE(std::atoi(files.c_str() + 7), 4096) << files;
}

TEST_F(JailAttack, ForkBombMeetsThePidsLimit) {
  JailLimits limits;
  limits.pids = 8;
  const auto outcome = kit::attack(*broker, {"fork_bomb"}, limits);
  EXPECT_EQ(outcome.answers.at("fork_bomb"), "EAGAIN 7");
  EXPECT_EQ(outcome.cause, "exited 0; pids limit 8 reached");
}

TEST_F(JailAttack, MemoryHogIsKilledByItsLimitAndSaysSo) {
  JailLimits limits;
  limits.memory_mib = 32;
  EXPECT_EQ(kit::attack(*broker, {"eat_memory"}, limits).cause, "killed: memory limit 32 MiB");
  const auto child = kit::attack(*broker, {"eat_memory_child"}, limits);
  EXPECT_NE(child.cause.find("memory limit 32 MiB"), std::string::npos) << child.cause;
}

TEST_F(JailAttack, ForeignSystemCallAbiKills) {
  for (const char* name : {"int80", "x32"})
    EXPECT_EQ(kit::attack(*broker, {name}).cause,
              "killed: seccomp violation (a call of a foreign system call ABI)")
        << name;
}

TEST_F(JailAttack, EndlessRefusedCallsEndTheJail) {
  EXPECT_EQ(kit::attack(*broker, {"spam"}).cause,
            "killed: seccomp violation (too many refused calls); refused system calls: bpf");
}

TEST_F(JailAttack, CausesAreToldApart) {
  EXPECT_EQ(kit::attack(*broker, {"exit_3"}).cause, "exited 3");
  EXPECT_EQ(kit::attack(*broker, {"crash"}).cause, "killed: signal 11 (SIGSEGV)");
  EXPECT_EQ(kit::attack(*broker, {"abort"}).cause,
            "killed: signal 11 (SIGSEGV)");  // pid 1 cannot die by its own SIGABRT
  for (const char* name : {"sleep", "stop"}) {
    auto jail = broker->open(kit::hostile(), {"seedbed-hostile", name}, {});
    ASSERT_TRUE(jail.ok()) << jail.error().message;
    EXPECT_NE(kit::read_all(jail->socket(), 1), "");
    EXPECT_EQ(jail->cause(), "running");
    jail->kill();
    EXPECT_EQ(kit::read_all(jail->socket()), "");
    EXPECT_EQ(jail->cause(), "killed by us");
  }
}

TEST_F(JailAttack, ProcessLeftBehindDiesWithTheFirst) {
  const auto outcome =
      kit::attack(*broker, {"daemon"});  // it holds the socket: only its death closes that
  EXPECT_EQ(outcome.answers.at("daemon"), "left one behind");
  EXPECT_EQ(outcome.cause, "exited 0");
}

TEST_F(JailAttack, CoreIsHonoured) {
  JailLimits limits;
  limits.core = 1;
  EXPECT_EQ(kit::attack(*broker, {"cores"}, limits).answers["cores"], "1 1");
  limits.core = 1000;
  EXPECT_EQ(
      kit::attack(*broker, {"cores"}, limits).cause.rfind("jail 'affinity': failed: EINVAL; ", 0),
      0U);
}

}  // namespace
}  // namespace seedbed::sandbox
