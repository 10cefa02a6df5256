// Merge laws: order and grouping do not matter, merging twice changes nothing, a merge of shards
// equals the single run.
#include <sqlite3.h>

#include "tests/tasks/store_fixture.h"

namespace seedbed::tasks {
namespace {

constexpr std::int64_t kSlots = 16;

std::vector<std::int64_t> all_slots() {
  std::vector<std::int64_t> out;
  for (std::int64_t s = 0; s < kSlots; ++s) out.push_back(s);
  return out;
}

class MergeTest : public StoreTest {
 protected:
  // Episodes of `samples` for the tasks that are selected in the single run, where they are in this
  // store.
  void play(const std::string& path,
            const std::vector<std::string>& tasks,
            const std::vector<std::int64_t>& samples) const {
    auto store = must_open(path);
    const auto run = must(store->begin_run(run_of()));
    for (const auto& task : tasks) {
      if (!store->task(task).ok()) continue;
      for (const auto sample : samples) ASSERT_FINE(put(*store, run, task, sample));
    }
  }
  [[nodiscard]] std::string digests(const std::string& path) const {
    auto store = must_open(path);
    return must(store->content_digest()) + " " + must(store->runs_digest());
  }
  static std::string absorbed(const std::string& into, const std::vector<std::string>& from) {
    auto store = must_open(into);
    for (const auto& path : from)
      if (auto e = store->absorb(path)) return e->message;
    return "";
  }
};

TEST_F(MergeTest, RandomPartitionsMergedInRandomOrderGiveTheSingleRun) {
  fill(at("one.db"), all_slots(), 6);
  const auto tasks = must(must_open(at("one.db"))->task_ids());
  ASSERT_GT(tasks.size(), 15U);
  play(at("one.db"), tasks, {0, 1});
  const std::string wanted = digests(at("one.db"));
  Rng rng(21);
  for (int round = 0; round < 6; ++round) {
    const std::size_t n = 2 + rng.below(3);
    std::vector<std::vector<std::int64_t>> parts(n);
    for (const auto slot : all_slots()) {
      parts[rng.below(n)].push_back(slot);
      if (rng.chance(1, 5)) parts[rng.below(n)].push_back(slot);  // some slots are in two
    }
    std::vector<std::string> paths;
    for (std::size_t i = 0; i < n; ++i) {
      paths.push_back(at("r" + std::to_string(round) + "p" + std::to_string(i) + ".db"));
      rng.shuffle(parts[i]);
      fill(paths.back(), parts[i], 6);
      play(paths.back(), tasks, {static_cast<std::int64_t>(i % 2), 0, 1});
    }
    rng.shuffle(paths);
    const std::string into = at("r" + std::to_string(round) + ".db");
    EXPECT_EQ(absorbed(into, paths), "");
    EXPECT_EQ(digests(into), wanted);
    EXPECT_EQ(must(must_open(into)->task_ids()), tasks);
    EXPECT_EQ(absorbed(into, {paths[0], at("one.db")}), "");
    EXPECT_EQ(digests(into), wanted);
    if (n < 3) continue;
    // Another grouping: (p1 + p2) into p0.
    EXPECT_EQ(absorbed(paths[1], {paths[2]}), "");
    std::vector<std::string> rest(paths.begin() + 3, paths.end());
    rest.push_back(paths[1]);
    EXPECT_EQ(absorbed(paths[0], rest), "");
    EXPECT_EQ(digests(paths[0]), wanted);
  }
}

TEST_F(MergeTest, AnotherRequestIsRefusedWithTheDifferenceAndNothingIsTaken) {
  fill(at("a.db"), {0}, 4);
  fill(at("b.db"), {1}, 5);
  const std::string said = absorbed(at("a.db"), {at("b.db")});
  EXPECT_NE(said.find("envs 4 against 5"), std::string::npos) << said;
  EXPECT_EQ(must(must_open(at("a.db"))->finished_slots()).size(), 1U);
}

TEST_F(MergeTest, TheSameSlotWithAnotherContentIsRefused) {
  fill(at("a.db"), {0, 1});
  {
    auto store = must_open(at("b.db"));
    ASSERT_FINE(store->set_request(request_of()));
    ASSERT_FINE(store->put_slot(slot_of(2)));
    ASSERT_FINE(store->put_slot(slot_of(1, 4)));
  }
  const std::string said = absorbed(at("a.db"), {at("b.db")});
  EXPECT_NE(said.find("slot 1 has another content"), std::string::npos) << said;
  EXPECT_EQ(must(must_open(at("a.db"))->finished_slots()), (std::set<std::int64_t>{0, 1}));
}

TEST_F(MergeTest, ADamagedStoreIsTakenNotAtAll) {
  fill(at("a.db"), {0});
  fill(at("b.db"), {1, 2, 4});
  sqlite3* db = nullptr;
  ASSERT_EQ(sqlite3_open(at("b.db").c_str(), &db), SQLITE_OK);
  ASSERT_EQ(
      sqlite3_exec(
          db,
          "UPDATE blob SET data = x'00' WHERE id = (SELECT image FROM environment WHERE slot = 4)",
          nullptr, nullptr, nullptr),
      SQLITE_OK);
  sqlite3_close(db);
  auto store = must_open(at("a.db"));
  const auto failed = store->absorb(at("b.db"));
  ASSERT_TRUE(failed.has_value());
  EXPECT_NE(failed->message.find("b.db': damaged"), std::string::npos) << failed->message;
  EXPECT_EQ(must(store->finished_slots()), (std::set<std::int64_t>{0}));
  fill(at("c.db"), {5});
  ASSERT_FINE(store->absorb(at("c.db")));  // a bad source does not end the writing
  EXPECT_EQ(must(store->finished_slots()), (std::set<std::int64_t>{0, 5}));
}

TEST_F(MergeTest, OfTwoEpisodesUnderOneKeyTheSameOneStaysWhicheverComesFirst) {
  std::vector<std::string> ids;
  for (const std::string name : {"a.db", "b.db"}) {
    fill(at(name), {0});
    auto store = must_open(at(name));
    const auto run = must(store->begin_run(run_of()));
    const auto task = must(store->task_ids())[0];
    auto t = trajectory_of(must(store->task(task)).task.environment_id, task, 0);
    t.turns[0].text = "sampled in " + name;
    ASSERT_FINE(store->put_episode({run, task, 0}, t, evidence_of(t)));
    ASSERT_FINE(store->put_infra_error({run, must(store->task_ids())[1], 0}, "in " + name));
  }
  std::filesystem::copy_file(at("a.db"), at("ab.db"));
  std::filesystem::copy_file(at("b.db"), at("ba.db"));
  EXPECT_EQ(absorbed(at("ab.db"), {at("b.db")}), "");
  EXPECT_EQ(absorbed(at("ba.db"), {at("a.db")}), "");
  EXPECT_EQ(digests(at("ab.db")), digests(at("ba.db")));
  auto store = must_open(at("ab.db"));
  EXPECT_EQ(must(store->policies())[0].episodes, 1);
  EXPECT_EQ(must(store->policies())[0].infra_errors, 1);
  // One side found the episode later: its error is gone in the merge.
  play(at("b.db"), {must(store->task_ids())[1]}, {0});
  ASSERT_FINE(store->absorb(at("b.db")));
  EXPECT_EQ(must(store->policies())[0].infra_errors, 0);
  EXPECT_EQ(must(store->policies())[0].episodes, 2);
}

TEST_F(MergeTest, ALaterVerdictIsTakenOver) {
  fill(at("a.db"), {0});
  const auto tasks = must(must_open(at("a.db"))->task_ids());
  play(at("a.db"), tasks, {0});
  std::filesystem::copy_file(at("a.db"), at("b.db"));
  {
    auto store = must_open(at("b.db"));
    ASSERT_FINE(store->for_each_episode([&](const StoredEpisode& e) -> Step {
      return store->set_verdict(e.id,
                                {.solved = false, .score = 0.125, .parts = {}, .why = "anew"});
    }));
  }
  EXPECT_EQ(absorbed(at("a.db"), {at("b.db")}), "");
  EXPECT_EQ(digests(at("a.db")), digests(at("b.db")));
  EXPECT_EQ(must(must_open(at("a.db"))->policies())[0].solved, 0);
}

}  // namespace
}  // namespace seedbed::tasks
