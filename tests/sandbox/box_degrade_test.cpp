// A machine that lacks something, each lack played for real by a parent that takes it away: strict
// refuses by name and says what to do, standard goes on and says what is off. Never silence.
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/mount.h>

#include <cstddef>
#include <sstream>

#include "tests/sandbox/box_kit.h"

namespace seedbed::sandbox {
namespace {

using kit::Ran;
using kit::Words;

constexpr std::uint32_t kLandlockCreateRuleset = 444, kClone3 = 435;

// From here on `number` fails with `error`.
void take_away(std::uint32_t number, int error) {
  std::array<sock_filter, 4> code = {
      {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
       BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1),
       BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<std::uint32_t>(error)),
       BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)}};
  const sock_fprog program = {static_cast<unsigned short>(code.size()), code.data()};
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
      ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0U, &program) != 0)
    ::_exit(98);
}

void own_mounts() {
  if (::unshare(CLONE_NEWNS) != 0 ||
      ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)
    ::_exit(98);
}

// Every control group file system below /sys/fs/cgroup, read-only, as in many containers.
void groups_read_only() {
  own_mounts();
  std::ifstream mounts("/proc/self/mountinfo");
  std::vector<std::string> places;
  for (std::string line; std::getline(mounts, line);)
    if (line.find(" - cgroup") != std::string::npos) {
      std::istringstream words(line);
      std::string skip, place;
      words >> skip >> skip >> skip >> skip >> place;
      places.push_back(place);
    }
  for (const auto& place : places)
    if (::mount(nullptr, place.c_str(), nullptr, MS_REMOUNT | MS_BIND | MS_RDONLY, nullptr) != 0)
      ::_exit(98);
}

// A part of /proc is hidden under another file system: the kernel then gives a user's own process
// namespace no new one, as in containers that mask parts of it.
void proc_masked_for_a_user() {
  own_mounts();
  if (::mount("mask", "/proc/sys", "tmpfs", MS_RDONLY, nullptr) != 0) ::_exit(98);
  kit::become_nobody();
}

std::string state_of(const Ran& ran, const char* layer) {
  const auto* enforced = ran.json.find("enforced");
  const auto* state = enforced != nullptr ? enforced->find(layer) : nullptr;
  return state != nullptr && state->is_string() ? state->as_string() : "?";
}

class BoxDegrades : public ::testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  }
  static Ran run(const char* level, const std::function<void()>& lack) {
    return kit::run_box({"--isolation", level, "--json", "--", "sh", "-c", "echo ran"}, lack);
  }
  static void refuses(const Ran& ran, const char* layer, const char* remedy) {
    EXPECT_EQ(ran.code, 125) << ran.out << ran.err;
    EXPECT_NE(ran.err.find(std::string("'") + layer + "'"), std::string::npos) << ran.err;
    EXPECT_NE(ran.err.find(remedy), std::string::npos) << ran.err;
    EXPECT_EQ(ran.out, "");
  }
};

TEST_F(BoxDegrades, WithoutLandlock) {
  const auto lack = [] { take_away(kLandlockCreateRuleset, ENOSYS); };
  refuses(run("strict", lack), "landlock", "ENOSYS");
  const auto ran = run("standard", lack);
  EXPECT_EQ(ran.text("out"), "ran\n") << ran.out << ran.err;
  EXPECT_EQ(state_of(ran, "landlock").rfind("off: ", 0), 0U) << state_of(ran, "landlock");
  EXPECT_EQ(state_of(ran, "seccomp"), "on");
}

TEST_F(BoxDegrades, WithoutWritableControlGroups) {
  refuses(run("strict", groups_read_only), "cgroup_memory", "EROFS");
  const auto ran = run("standard", groups_read_only);
  EXPECT_EQ(ran.text("out"), "ran\n") << ran.out << ran.err;
  EXPECT_EQ(state_of(ran, "cgroup_memory").rfind("off: ", 0), 0U) << state_of(ran, "cgroup_memory");
  EXPECT_EQ(state_of(ran, "cgroup_pids").rfind("off: ", 0), 0U) << state_of(ran, "cgroup_pids");
  // The limit still holds, for each process.
  const auto hog = kit::run_box({"--isolation", "standard", "--memory-mib", "128", "--json", "--",
                                 "python3", "-c", "x = bytearray(400 << 20)"},
                                groups_read_only);
  EXPECT_NE(hog.code, 0);
  EXPECT_NE(hog.text("err").find("MemoryError"), std::string::npos) << hog.out;
}

TEST_F(BoxDegrades, WithoutNamespaces) {
  const auto lack = [] {
    kit::become_nobody();
    take_away(kClone3, EPERM);
  };
  for (const char* level : {"strict", "standard"}) {
    const auto ran = run(level, lack);
    EXPECT_EQ(ran.code, 125) << ran.out << ran.err;
    EXPECT_EQ(ran.out, "");
  }
  const auto ran = run("standard", lack);
  EXPECT_NE(ran.err.find("'namespaces'"), std::string::npos) << ran.err;
  EXPECT_NE(ran.err.find("max_user_namespaces"), std::string::npos) << ran.err;
}

TEST_F(BoxDegrades, WithoutAProcOfItsOwn) {
  if (!kit::nobody_reaches_programs()) GTEST_SKIP() << "nobody cannot reach the build folder";
  const auto ran = run("standard", proc_masked_for_a_user);
  EXPECT_EQ(ran.text("out"), "ran\n") << ran.out << ran.err;
  EXPECT_EQ(state_of(ran, "proc").rfind("off: ", 0), 0U) << state_of(ran, "proc");
  EXPECT_EQ(run("strict", proc_masked_for_a_user).code, 125);
}

}  // namespace
}  // namespace seedbed::sandbox
