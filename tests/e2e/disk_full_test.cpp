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
  return {"gen", "--envs", "1000", "--tasks-per-env", "10", "--seed", "3", "--out", out};
}

// Runs in a child with mounts of its own; the exit code says which step failed (0: none).
int in_a_small_disk(const std::string& path) {
  if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)
    return 77;
  if (mount("small", path.c_str(), "tmpfs", 0, "size=8m") != 0) return 77;
  const auto store = path + "/a.db";
  const auto full = seedbed(generate(store), 240);
  write_text("/proc/self/fd/2", full.err);
  if (full.code != 3) return 1;
  if (full.err.find("disk full") == std::string::npos || full.err.find(store) == std::string::npos)
    return 2;
  const auto stats = seedbed({"stats", store, "--json"});
  if (stats.code != 0 && stats.code != 3)
    return 3;  // no room for a checkpoint is a refusal, not a crash
  if (mount("small", path.c_str(), "tmpfs", MS_REMOUNT, "size=64m") != 0) return 77;
  const auto rest = seedbed({"gen", "--envs", "1000", "--tasks-per-env", "10", "--seed", "3",
                             "--out", store, "--dry-run"});
  if (rest.code != 0) return 4;
  const auto again = seedbed({"stats", store, "--json"});
  if (again.code != 0) return 5;
  return 0;
}

TEST(DiskFull, WhileGeneratingIsSaidAndLosesNothing) {
  if (geteuid() != 0) GTEST_SKIP() << "mounting a small disk needs root";
  Folder folder;
  const pid_t child = fork();
  if (child == 0) _exit(in_a_small_disk(folder.path()));
  int status = 0;
  waitpid(child, &status, 0);
  ASSERT_TRUE(WIFEXITED(status));
  if (WEXITSTATUS(status) == 77) GTEST_SKIP() << "a tmpfs cannot be mounted here";
  EXPECT_EQ(WEXITSTATUS(status), 0) << "step that failed: 1 exit code, 2 message, 3 stats on a "
                                       "full disk, 4 request, 5 stats with room";
}

}  // namespace
}  // namespace seedbed::e2e
