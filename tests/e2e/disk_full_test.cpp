// A full disk while generating: a clear end, nothing half-written, and once there is room the same
// command goes on to the very bytes that an undisturbed run gives.
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "program.h"

namespace seedbed::e2e {
namespace {

std::vector<std::string> generate(const std::string& out) {
  return {"gen", "--envs", "200", "--tasks-per-env", "10", "--seed", "3", "--out", out};
}

constexpr int kNoDisk = 77;

// Runs in a child with mounts of its own; the exit code says which step failed (0: none).
int in_a_small_disk(const std::string& path, const std::string& wanted) {
  if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
      mount("small", path.c_str(), "tmpfs", 0, "size=8m") != 0)
    return kNoDisk;
  const auto store = path + "/a.db";
  const auto full = seedbed(generate(store), 300);
  if (full.code != 3) return 1;
  if (full.err.find("disk full") == std::string::npos || full.err.find(store) == std::string::npos)
    return 2;
  if (const auto stats = seedbed({"stats", store}); stats.code != 0 && stats.code != 3) return 3;
  if (mount("small", path.c_str(), "tmpfs", MS_REMOUNT, "size=256m") != 0) return kNoDisk;
  if (seedbed(generate(store), 300).code != 0) return 4;
  return digest(store) == wanted ? 0 : 5;
}

TEST(DiskFull, WhileGeneratingIsSaidAndLosesNothing) {
  if (geteuid() != 0) GTEST_SKIP() << "mounting a small disk needs root";
  Folder folder, small;
  const auto whole = seedbed(generate(folder.file("whole.db")));
  ASSERT_EQ(whole.code, 0) << whole.err;
  const auto wanted = digest(folder.file("whole.db"));
  ASSERT_GT(read_text(folder.file("whole.db")).size(), 8U << 20) << "would fit on the small disk";
  const pid_t child = fork();
  if (child == 0) _exit(in_a_small_disk(small.path(), wanted));
  int status = 0;
  waitpid(child, &status, 0);
  ASSERT_TRUE(WIFEXITED(status));
  if (WEXITSTATUS(status) == kNoDisk) GTEST_SKIP() << "a small tmpfs cannot be mounted here";
  EXPECT_EQ(WEXITSTATUS(status), 0)
      << "failed: 1 exit code, 2 message, 3 stats on the full disk, 4 going on, 5 another digest";
}

}  // namespace
}  // namespace seedbed::e2e
