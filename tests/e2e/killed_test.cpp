// SIGKILL at random moments: the same command then goes on to the very bytes of an undisturbed run,
// and no process, mount or control group is left behind.
#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>

#include "base/clock.h"
#include "base/rng.h"
#include "program.h"

namespace seedbed::e2e {
namespace {

constexpr int kKills = 20;

struct Killed {
  const char* name;
  std::vector<std::string> (*command)(const std::string& store);
  bool on_small_store;  // else on nothing
};

std::vector<std::string> generate(const std::string& store) {
  return {program(), "gen", "--envs", "12", "--tasks-per-env", "8",
          "--seed",  "21",  "--jobs", "2",  "--out",           store};
}
std::vector<std::string> roll(const std::string& store) {
  return {program(), "run",    store, "--policy", "random", "--samples",
          "60",      "--seed", "4",   "--jobs",   "2"};
}

void begin(const Killed& what, const std::string& store) {
  for (const char* ending : {"", "-wal", "-shm", "-lock"}) unlink((store + ending).c_str());
  if (what.on_small_store) copy_file(small_store(), store);
}

// Starts the command and kills it after so long; true where the kill hit it alive.
bool kill_after(const std::vector<std::string>& command, double seconds) {
  Running running(command);
  const auto until = monotonic_us() + static_cast<std::int64_t>(seconds * 1e6);
  while (!running.ended() && monotonic_us() < until) usleep(500);
  if (running.ended()) return false;
  running.signal(SIGKILL);
  return running.wait() == 128 + SIGKILL;
}

void check_nothing_left(std::set<pid_t>& seen) {
  const auto left = children_left(5, seen);
  EXPECT_TRUE(left.empty()) << left.size() << " processes live on";
  for (const pid_t pid : left) kill(pid, SIGKILL);
  std::vector<std::string> groups;
  for (int tries = 0; tries < 50 && !(groups = groups_of(seen)).empty(); ++tries) usleep(20'000);
  EXPECT_TRUE(groups.empty()) << groups[0];
  EXPECT_TRUE(own_mounts().empty());
}

void kill_and_go_on(const Killed& what) {
  adopt_orphans();
  Folder folder;
  const auto store = folder.file("a.db");
  begin(what, store);
  const auto whole = run_words(what.command(store));
  ASSERT_EQ(whole.code, 0) << whole.err;
  const auto wanted = digest(store);
  ASSERT_NE(wanted, "");

  auto rng = rng_for(1, what.name, 0, "kills");
  double least = whole.seconds;
  int hits = 0;
  for (int i = 0; i < kKills; ++i) {
    begin(what, store);
    double after = static_cast<double>(rng.between(5, 95)) / 100 * least;
    bool hit = false;
    for (int tries = 0; tries < 6 && !hit; ++tries, after /= 2) {
      begin(what, store);
      hit = kill_after(what.command(store), after);
    }
    ASSERT_TRUE(hit) << "kill " << i << " never met the program alive";
    ++hits;
    std::set<pid_t> seen;
    check_nothing_left(seen);
    const auto rest = run_words(what.command(store));
    ASSERT_EQ(rest.code, 0) << "kill " << i << " after " << after << " s: " << rest.err;
    ASSERT_EQ(digest(store), wanted) << "kill " << i << " after " << after << " s";
  }
  EXPECT_EQ(hits, kKills);
}

TEST(Killed, GenerationGoesOnToTheSameBytes) {
  kill_and_go_on({"gen", generate, false});
}

TEST(Killed, ARunGoesOnToTheSameBytes) {
  ASSERT_TRUE(exists(small_store())) << small_store();
  kill_and_go_on({"run", roll, true});
}

// In the middle of thousands of calls of which four in ten crash, hang, flood or fork without end.
TEST(Killed, NothingOfAPoolOfJailsSurvivesItsSupervisor) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root";
  adopt_orphans();
  auto rng = rng_for(1, "jails", 0, "kills");
  const std::vector<std::string> command = {program(), "sandbox", "bench",  "--rounds",
                                            "10",      "--open",  "1",      "--resident-gib",
                                            "0",       "--mixed", "1000000"};
  for (int i = 0; i < 6; ++i) {
    const bool server_too = i % 2 == 1;
    Running running(command);
    usleep(static_cast<useconds_t>(rng.between(1'500'000, 3'500'000)));
    ASSERT_FALSE(running.ended());
    const auto servers = server_too ? children_of(running.pid()) : std::set<pid_t>();
    EXPECT_EQ(servers.empty(), !server_too);
    for (const pid_t server : servers) kill(server, SIGKILL);
    running.signal(SIGKILL);
    EXPECT_EQ(running.wait(), 128 + SIGKILL);
    std::set<pid_t> seen;
    EXPECT_TRUE(children_left(10, seen).empty());
    // Whoever starts next sweeps the groups of a server that was killed itself.
    if (server_too)
      EXPECT_EQ(run_words({"sh", "-c", "echo true | " + program() + " sandbox session"}).code, 0);
    check_nothing_left(seen);
  }
}

TEST(Interrupted, ASignalEndsCleanlyAndTheSameCommandGoesOn) {
  adopt_orphans();
  ASSERT_TRUE(exists(small_store())) << small_store();
  Folder folder;
  const auto store = folder.file("a.db");
  const Killed what{"run", roll, true};
  begin(what, store);
  const auto whole = run_words(roll(store));
  ASSERT_EQ(whole.code, 0) << whole.err;
  const auto wanted = digest(store);
  for (const int signal : {SIGINT, SIGTERM}) {
    int code = 0;
    for (double after = whole.seconds / 2; code == 0 && after > 0.01; after /= 2) {
      begin(what, store);
      Running running(roll(store));
      usleep(static_cast<useconds_t>(after * 1e6));
      running.signal(signal);
      code = running.wait(20);
    }
    EXPECT_EQ(code, 130);
    EXPECT_FALSE(exists(store + "-wal")) << "an interrupted command ends with a checkpoint too";
    std::set<pid_t> seen;
    check_nothing_left(seen);
    EXPECT_EQ(run_words(roll(store)).code, 0);
    EXPECT_EQ(digest(store), wanted);
  }
}

}  // namespace
}  // namespace seedbed::e2e
