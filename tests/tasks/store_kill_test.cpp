// SIGKILL at random moments of writing: what was committed stays, every record is whole, resuming gives the undisturbed store.
#include <signal.h>
#include <sqlite3.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/tasks/store_fixture.h"

namespace seedbed::tasks {
namespace {

constexpr std::int64_t kSlots = 120;
constexpr std::int64_t kSamples = 20;

// What `gen` then `run` do, resuming: true where all is done.
bool work(const std::string& path) {
  auto opened = Store::open(path, {.create = true});
  if (!opened.ok()) return false;
  Store& store = **opened;
  if (store.set_request(request_of(40))) return false;
  const auto done = store.finished_slots();
  for (std::int64_t slot = 0; slot < kSlots; ++slot)
    if (done->count(slot) == 0 && store.put_slot(slot_of(slot))) return false;
  if (store.select()) return false;
  const auto run = store.begin_run(run_of());
  const auto finished = store.finished_episodes(*run);
  const auto tasks = store.task_ids();
  for (const auto& task : *tasks)
    for (std::int64_t sample = 0; sample < kSamples; ++sample)
      if (finished->count({task, sample}) == 0 && put(store, *run, task, sample)) return false;
  return !store.checkpoint();
}

std::string integrity(const std::string& path) {
  sqlite3* db = nullptr;
  std::string out = "cannot open";
  if (sqlite3_open_v2(path.c_str(), &db, SQLITE_OPEN_READWRITE, nullptr) == SQLITE_OK) {
    out.clear();
    for (const char* sql : {"PRAGMA integrity_check", "PRAGMA foreign_key_check"})
      sqlite3_exec(db, sql, [](void* text, int, char** values, char**) { static_cast<std::string*>(text)->append(values[0]).append("\n"); return 0; }, &out, nullptr);
  }
  sqlite3_close(db);
  return out;
}

TEST_F(StoreTest, KilledAtRandomMomentsAndResumedIsTheUndisturbedStore) {
  const auto begin = std::chrono::steady_clock::now();
  ASSERT_TRUE(work(at("calm.db")));
  const auto whole_us = std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - begin).count();
  Rng rng(17);
  int hits = 0, rounds = 0;
  std::int64_t last_slots = 0, last_episodes = 0;
  const auto wait_us = [&] { return 1000 + static_cast<useconds_t>(rng.below(static_cast<std::uint64_t>(whole_us) / 8 + 1)); };
  // A finished store starts over, until 20 kills have hit.
  for (; hits < 20 && rounds < 100; ++rounds) {
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) _exit(work(at("killed.db")) ? 0 : 1);
    usleep(wait_us());
    kill(child, SIGKILL);
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    if (WIFEXITED(status)) {
      ASSERT_EQ(WEXITSTATUS(status), 0);
      EXPECT_EQ(must(must_open(at("killed.db"))->runs_digest()), must(must_open(at("calm.db"))->runs_digest()));
      std::filesystem::remove(at("killed.db"));
      last_slots = last_episodes = 0;
      continue;
    }
    ++hits;
    if (!std::filesystem::exists(at("killed.db"))) continue;  // killed before the store was there
    ASSERT_EQ(integrity(at("killed.db")), "ok\n");
    auto store = must_open(at("killed.db"));
    ASSERT_NE(store, nullptr);
    const auto counts = must(store->counts());
    const auto slots = must(store->finished_slots());
    EXPECT_EQ(counts.integer("environments_stored"), static_cast<std::int64_t>(slots.size() - slots.count(3)));
    EXPECT_EQ(counts.integer("tasks_stored"), 5 * counts.integer("environments_stored"));  // every slot whole
    EXPECT_GE(counts.integer("slots"), last_slots);                                       // nothing committed is lost
    EXPECT_GE(counts.integer("episodes_stored"), last_episodes);
    last_slots = counts.integer("slots");
    last_episodes = counts.integer("episodes_stored");
    ASSERT_FINE(store->for_each_episode([](const StoredEpisode& e) -> Step {
      EXPECT_EQ(e.evidence.calls.size(), 6U);
      return std::nullopt;
    }));
  }
  EXPECT_EQ(hits, 20);
  ASSERT_TRUE(work(at("killed.db")));
  auto calm = must_open(at("calm.db"));
  auto killed = must_open(at("killed.db"));
  EXPECT_EQ(must(killed->content_digest()), must(calm->content_digest()));
  EXPECT_EQ(must(killed->runs_digest()), must(calm->runs_digest()));
  EXPECT_EQ(dump(must(killed->counts())), dump(must(calm->counts())));
}

}  // namespace
}  // namespace seedbed::tasks
