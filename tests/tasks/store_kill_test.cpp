// SIGKILL at random moments of writing: what was committed stays, every record is whole, resuming
// gives the undisturbed store.
#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/tasks/store_fixture.h"

namespace seedbed::tasks {
namespace {

constexpr std::int64_t kSlots = 600;
constexpr std::int64_t kSamples = 40;

// What `gen` then `run` do, resuming: true where all is done. Says each slot (s) and each episode
// (e) that was committed into `said`.
bool work(const std::string& path, int said = -1) {
  const auto say = [said](char what) { return said < 0 || write(said, &what, 1) == 1; };
  auto opened = Store::open(path, {.create = true});
  if (!opened.ok()) return false;
  Store& store = **opened;
  if (store.set_request(request_of(40))) return false;
  const auto done = store.finished_slots();
  for (std::int64_t slot = 0; slot < kSlots; ++slot)
    if (done->count(slot) == 0 && (store.put_slot(slot_of(slot)) || !say('s'))) return false;
  if (store.select()) return false;
  const auto run = store.begin_run(run_of());
  const auto finished = store.finished_episodes(*run);
  const auto tasks = store.task_ids();
  for (const auto& task : *tasks)
    for (std::int64_t sample = 0; sample < kSamples; ++sample)
      if (finished->count({task, sample}) == 0 && (put(store, *run, task, sample) || !say('e')))
        return false;
  return !store.checkpoint();
}

std::string integrity(const std::string& path) {
  sqlite3* db = nullptr;
  std::string out = "cannot open";
  if (sqlite3_open_v2(path.c_str(), &db, SQLITE_OPEN_READWRITE, nullptr) == SQLITE_OK) {
    out.clear();
    for (const char* sql : {"PRAGMA integrity_check", "PRAGMA foreign_key_check"})
      sqlite3_exec(
          db, sql,
          [](void* text, int, char** values, char**) {
            static_cast<std::string*>(text)->append(values[0]).append("\n");
            return 0;
          },
          &out, nullptr);
  }
  sqlite3_close(db);
  return out;
}

std::string whole(const std::string& path) {
  auto store = Store::open(path, {});
  if (!store.ok()) return store.error().message;
  return *(*store)->content_digest() + " " + *(*store)->runs_digest() + " " +
         dump(*(*store)->counts());
}

struct Progress {
  std::int64_t slots = 0, episodes = 0;
};

// What a killed store must be; its progress.
Progress check_killed(const std::string& path) {
  if (!std::filesystem::exists(path)) return {};  // killed before the store was there
  EXPECT_EQ(integrity(path), "ok\n");
  auto opened = Store::open(path, {});
  EXPECT_TRUE(opened.ok()) << opened.error().message;
  if (!opened.ok()) return {};
  Store& store = **opened;
  const auto counts = *store.counts();
  const auto slots = *store.finished_slots();
  // Every slot is whole.
  EXPECT_EQ(counts.integer("environments_stored"),
            static_cast<std::int64_t>(slots.size() - slots.count(3)));
  EXPECT_EQ(counts.integer("tasks_stored"), 5 * counts.integer("environments_stored"));
  const auto read = store.for_each_episode([](const StoredEpisode& e) -> Step {
    EXPECT_EQ(e.evidence.calls.size(), 6U);
    return std::nullopt;
  });
  EXPECT_FALSE(read.has_value()) << read->message;
  return {.slots = counts.integer("slots"), .episodes = counts.integer("episodes_stored")};
}

// Waits until `child` has said `what` so often, or has ended.
void hear(int said, char what, std::uint64_t times) {
  char got = 0;
  while (times > 0 && read(said, &got, 1) == 1) times -= got == what ? 1 : 0;
}

// Four stores, each killed twice among its slots and three times among its episodes (a kill that
// came too late does not count), and then finished. The moment is so many commits and a random
// while, so that a slow machine is hit in the same places as a fast one.
TEST_F(StoreTest, KilledAtRandomMomentsAndResumedIsTheUndisturbedStore) {
  ASSERT_TRUE(work(at("calm.db")));
  const std::string calm = whole(at("calm.db"));
  Rng rng(17);
  int hits = 0, in_slots = 0, in_episodes = 0;
  for (int series = 0; series < 4; ++series) {
    const std::string path = at("killed" + std::to_string(series) + ".db");
    Progress last;
    int kills = 0;
    for (int tries = 0; kills < 5 && tries < 40; ++tries) {
      int pipe_ends[2];
      ASSERT_EQ(pipe2(pipe_ends, O_CLOEXEC), 0);
      const pid_t child = fork();
      ASSERT_GE(child, 0);
      if (child == 0) _exit(work(path, pipe_ends[1]) ? 0 : 1);
      close(pipe_ends[1]);
      if (kills < 2)
        hear(pipe_ends[0], 's', rng.below(kSlots / 3));
      else
        hear(pipe_ends[0], 'e', 1 + rng.below(kSlots));
      usleep(static_cast<useconds_t>(rng.below(3000)));
      kill(child, SIGKILL);
      close(pipe_ends[0]);
      int status = 0;
      ASSERT_EQ(waitpid(child, &status, 0), child);
      if (WIFEXITED(status)) {
        ASSERT_EQ(WEXITSTATUS(status), 0);
        std::filesystem::remove(path);
        last = {};
        continue;
      }
      ++kills;
      const Progress now = check_killed(path);
      EXPECT_GE(now.slots, last.slots);  // nothing committed is lost
      EXPECT_GE(now.episodes, last.episodes);
      in_slots += now.slots > 0 && now.slots < kSlots ? 1 : 0;
      in_episodes += now.episodes > last.episodes ? 1 : 0;
      last = now;
    }
    hits += kills;
    ASSERT_TRUE(work(path));
    EXPECT_EQ(whole(path), calm);
  }
  EXPECT_EQ(hits, 20);
  EXPECT_GT(in_slots, 0);     // some kills found a part of the slots committed,
  EXPECT_GT(in_episodes, 0);  // some found new episodes
  RecordProperty("kills_among_slots", in_slots);
  RecordProperty("kills_among_episodes", in_episodes);
}

}  // namespace
}  // namespace seedbed::tasks
