// What is put comes back the same, is never doubled, and is found by id.
#include "base/text.h"
#include "tests/tasks/store_fixture.h"

namespace seedbed::tasks {
namespace {

TEST_F(StoreTest, SlotsComeBackAsTheyWerePutAfterReopening) {
  fill(at("a.db"), {0, 1, 2, 3, 4, 5, 6, 7});
  auto store = must_open(at("a.db"), {.read_only = true});
  const auto ids = must(store->environment_ids());
  ASSERT_EQ(ids.size(), 4U);  // one a schema class: slots 0, 2, 4, 6
  const auto record = slot_of(2);
  const auto env = must(store->environment(ids[1]));
  EXPECT_EQ(env.id, record.environment->id());
  EXPECT_EQ(env.image, record.environment->image());
  EXPECT_EQ(schemas::dump_record(env.environment),
            schemas::dump_record(record.environment->environment()));
  const auto tasks = must(store->task_ids_of(ids[1]));
  ASSERT_EQ(tasks.size(), 4U);
  const auto task = must(store->task(tasks[3]));
  EXPECT_EQ(schemas::dump_record(task.task), schemas::dump_record(record.tasks[3].draft().task));
  EXPECT_EQ(schemas::dump_record(task.verifier),
            schemas::dump_record(record.tasks[3].draft().verifier));
  EXPECT_EQ(schemas::dump_record(task.gold), schemas::dump_record(record.tasks[3].draft().gold));
  EXPECT_EQ(must(store->certificate(tasks[3])).gates.size(), 1U);
  EXPECT_EQ(must(store->task_ids()).size(), 16U);
  EXPECT_EQ(must(store->finished_slots()), (std::set<std::int64_t>{0, 1, 2, 3, 4, 5, 6, 7}));
  EXPECT_EQ(schemas::dump_record(*must(store->request())), schemas::dump_record(request_of()));
}

TEST_F(StoreTest, RejectionsAreSummedByGateAndSlotsWithoutEnvironmentCountAsFinished) {
  fill(at("a.db"), {1, 2, 3});
  auto store = must_open(at("a.db"));
  const auto counts = must(store->rejections());
  ASSERT_EQ(counts.size(), 2U);
  EXPECT_EQ(counts[0].gate, "G1");
  EXPECT_EQ(counts[0].count, 3);
  EXPECT_EQ(counts[1].count, 3);  // 1 + 2 + 0
}

TEST_F(StoreTest, ASlotPutAgainIsStoredOnceAndAnotherContentIsRefused) {
  auto store = must_open(at("a.db"));
  ASSERT_FINE(store->put_slot(slot_of(1)));
  ASSERT_FINE(store->put_slot(slot_of(1)));
  EXPECT_EQ(must(store->counts()).integer("tasks_stored"), 5);
  const auto refused = store->put_slot(slot_of(1, 4));
  ASSERT_TRUE(refused.has_value());
  EXPECT_NE(refused->message.find("stored already with another content"), std::string::npos)
      << refused->message;
  ASSERT_FINE(store->put_slot(slot_of(2)));  // a refusal before writing ends nothing
}

TEST_F(StoreTest, BrokenPromisesOfAGeneratorAreRefusedAndNothingIsWritten) {
  auto store = must_open(at("a.db"));
  auto record = slot_of(1);
  record.slot = 2;
  EXPECT_TRUE(store->put_slot(std::move(record)).has_value());
  auto foreign = slot_of(1);
  foreign.tasks.push_back(AdmissionForTests::task(draft_of("another", 1, 77)));
  EXPECT_TRUE(store->put_slot(std::move(foreign)).has_value());
  auto twice = slot_of(1);
  twice.tasks.push_back(AdmissionForTests::task(draft_of(twice.environment->id(), 9, 0)));
  EXPECT_TRUE(store->put_slot(std::move(twice)).has_value());
  EXPECT_EQ(must(store->counts()).integer("slots"), 0);
}

TEST_F(StoreTest, AnotherRequestIsRefusedWithTheDifferenceShown) {
  auto store = must_open(at("a.db"));
  ASSERT_FINE(store->set_request(request_of()));
  ASSERT_FINE(store->set_request(request_of()));
  auto other = request_of();
  other.seed = "8";
  const auto refused = store->set_request(other);
  ASSERT_TRUE(refused.has_value());
  EXPECT_NE(refused->message.find("seed \"7\" against \"8\""), std::string::npos)
      << refused->message;
  EXPECT_NE(refused->message.find("--fresh"), std::string::npos);
}

TEST_F(StoreTest, ARequestWithMoreOrLessThanTheStoredOneIsAnother) {
  auto few = request_of();
  few.tools = schemas::ToolRange{8, 12};
  auto plain = must_open(at("a.db"));
  ASSERT_FINE(plain->set_request(request_of()));
  const auto more = plain->set_request(few);
  ASSERT_TRUE(more.has_value());
  EXPECT_NE(more->message.find("tools none against {\"least\":8,\"most\":12}"), std::string::npos)
      << more->message;
  auto limited = must_open(at("b.db"));
  ASSERT_FINE(limited->set_request(few));
  ASSERT_FINE(limited->set_request(few));
  const auto less = limited->set_request(request_of());
  ASSERT_TRUE(less.has_value());
  EXPECT_NE(less->message.find("against none"), std::string::npos) << less->message;
}

TEST_F(StoreTest, EqualBlobsAreKeptOnce) {
  auto store = must_open(at("a.db"));
  const std::string image(5000, 'i');
  for (const std::int64_t slot : {0, 1, 2}) {
    SlotRecord record;
    record.slot = slot;
    record.environment = AdmissionForTests::environment(environment_of(slot, image), image);
    ASSERT_FINE(store->put_slot(std::move(record)));
  }
  EXPECT_EQ(must(store->counts()).integer("blobs"), 4);  // three specs, one image
}

TEST_F(StoreTest, EpisodesComeBackWithTheirEvidenceInOrder) {
  fill(at("a.db"), {0, 2, 4, 6});
  {
    auto store = must_open(at("a.db"));
    const auto tasks = must(store->task_ids());
    const auto run = must(store->begin_run(run_of()));
    EXPECT_EQ(must(store->begin_run(run_of())), run);
    EXPECT_EQ(run, Store::run_id(run_of()));
    for (auto it = tasks.rbegin(); it != tasks.rend(); ++it)
      for (const std::int64_t sample : {1, 0}) ASSERT_FINE(put(*store, run, *it, sample));
    ASSERT_FINE(put(*store, run, tasks[0], 0));  // again: stored once
  }
  auto store = must_open(at("a.db"), {.read_only = true});
  const auto tasks = must(store->task_ids());
  std::size_t n = 0;
  ASSERT_FINE(store->for_each_episode([&](const StoredEpisode& e) -> Step {
    EXPECT_EQ(e.trajectory.task_id, tasks[n / 2]);
    EXPECT_EQ(e.trajectory.sample, static_cast<std::int64_t>(n % 2));
    EXPECT_EQ(e.trajectory.wall_us, 1000 + e.trajectory.sample);
    const auto t =
        trajectory_of(e.trajectory.environment_id, e.trajectory.task_id, e.trajectory.sample);
    EXPECT_EQ(schemas::dump_record(e.trajectory), schemas::dump_record(t));
    const auto wanted = evidence_of(t);
    EXPECT_EQ(e.evidence.calls.size(), wanted.calls.size());
    EXPECT_EQ(e.evidence.results[2].out, wanted.results[2].out);
    EXPECT_EQ(e.evidence.changes, wanted.changes);
    EXPECT_EQ(e.evidence.stop, wanted.stop);
    EXPECT_EQ(e.evidence.submitted, wanted.submitted);
    ++n;
    return std::nullopt;
  }));
  EXPECT_EQ(n, 2 * tasks.size());
  EXPECT_EQ(must(store->finished_episodes(Store::run_id(run_of()))).size(), n);
  const auto rows = must(store->policies());
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_EQ(rows[0].episodes, 32);
  EXPECT_EQ(rows[0].solved, 16);
  EXPECT_EQ(rows[0].tool_calls, 32 * 6);
  EXPECT_DOUBLE_EQ(rows[0].score_sum, 16 + 16 * 0.25);
}

TEST_F(StoreTest, AnEpisodeUnderATakenKeyOrOfAnUnknownTaskOrRunIsRefused) {
  fill(at("a.db"), {0});
  auto store = must_open(at("a.db"));
  const auto run = must(store->begin_run(run_of()));
  const auto task = must(store->task_ids())[0];
  ASSERT_FINE(put(*store, run, task, 0));
  auto t = trajectory_of(must(store->task(task)).task.environment_id, task, 0);
  t.turns[0].text = "something else";
  EXPECT_TRUE(store->put_episode({run, task, 0}, t, evidence_of(t)).has_value());
  EXPECT_TRUE(store->put_episode({run, task, 1}, t, evidence_of(t))
                  .has_value());  // the trajectory says sample 0
  t.sample = 1;
  EXPECT_TRUE(store->put_episode({"0123", task, 1}, t, evidence_of(t)).has_value());
  t.turns[0].text = "\xFF";
  EXPECT_TRUE(store->put_episode({run, task, 1}, t, evidence_of(t)).has_value());
  t.task_id = content_hash("no task");
  EXPECT_TRUE(store->put_episode({run, t.task_id, 1}, t, evidence_of(t)).has_value());
  EXPECT_EQ(must(store->counts()).integer("episodes_stored"), 1);
}

TEST_F(StoreTest, InfrastructureErrorsCountApartUntilTheirKeySucceeds) {
  fill(at("a.db"), {0});
  auto store = must_open(at("a.db"));
  const auto run = must(store->begin_run(run_of()));
  const auto tasks = must(store->task_ids());
  ASSERT_FINE(store->put_infra_error({run, tasks[0], 0}, "the jail died"));
  ASSERT_FINE(store->put_infra_error({run, tasks[0], 0}, "the jail died again"));
  ASSERT_FINE(store->put_infra_error({run, tasks[1], 0}, "the jail died"));
  EXPECT_EQ(must(store->policies())[0].infra_errors, 2);
  EXPECT_EQ(must(store->policies())[0].episodes, 0);
  ASSERT_FINE(put(*store, run, tasks[0], 0));
  EXPECT_EQ(must(store->policies())[0].infra_errors, 1);
  ASSERT_FINE(store->put_infra_error({run, tasks[0], 0}, "late"));
  EXPECT_EQ(must(store->policies())[0].infra_errors, 1);
  EXPECT_TRUE(must(store->finished_episodes(run)).count({tasks[1], 0}) == 0);
}

TEST_F(StoreTest, AVerdictThatDiffersChangesTheRunsDigestAndTheFirstOneRestoresIt) {
  fill(at("a.db"), {0});
  auto store = must_open(at("a.db"));
  const auto run = must(store->begin_run(run_of()));
  ASSERT_FINE(put(*store, run, must(store->task_ids())[0], 0));
  const auto before = must(store->runs_digest());
  std::string id;
  ASSERT_FINE(store->for_each_episode([&](const StoredEpisode& e) -> Step {
    id = e.id;
    auto verdict = e.trajectory.verdict;
    verdict.solved = false;
    verdict.score = 0.5;
    return store->set_verdict(e.id, verdict);  // a callback may write
  }));
  EXPECT_NE(must(store->runs_digest()), before);
  EXPECT_EQ(must(store->policies())[0].solved, 0);
  auto episode = must(store->episode(id));
  EXPECT_EQ(episode.trajectory.verdict.score, 0.5);
  episode.trajectory.verdict.solved = true;
  episode.trajectory.verdict.score = 1.0;
  ASSERT_FINE(store->set_verdict(id, episode.trajectory.verdict));
  EXPECT_EQ(must(store->runs_digest()), before);
}

TEST_F(StoreTest, RunsDifferBySettingsAndNotByTheOrderOfSettings) {
  auto other = run_of();
  other.settings = schemas::Value(schemas::Value::Object{{"temperature", 0.5}, {"model", "m"}});
  EXPECT_EQ(Store::run_id(other), Store::run_id(run_of()));
  other.settings.set("model", "n");
  EXPECT_NE(Store::run_id(other), Store::run_id(run_of()));
}

TEST_F(StoreTest, IdsResolveByUniquePrefixAndAmbiguousOnesAreListed) {
  fill(at("a.db"), {0, 1, 2, 4, 5, 6, 7, 8, 9, 10, 11});
  auto store = must_open(at("a.db"));
  const auto run = must(store->begin_run(run_of()));
  const auto tasks = must(store->task_ids());
  ASSERT_FINE(put(*store, run, tasks[0], 0));
  EXPECT_EQ(must(store->resolve(tasks[3])), std::pair(std::string("task"), tasks[3]));
  EXPECT_EQ(must(store->resolve(tasks[3].substr(0, 12))).second, tasks[3]);
  EXPECT_EQ(must(store->resolve(must(store->environment_ids())[0].substr(0, 14))).first,
            "environment");
  std::string digit;  // 66 ids: some first digit has several
  for (const char c : std::string("0123456789abcdef")) {
    const auto tried = store->resolve(std::string(1, c));
    if (!tried.ok() && tried.error().message.find("ambiguous") != std::string::npos)
      digit = tried.error().message;
  }
  EXPECT_NE(digit.find("task "), std::string::npos) << digit;
  EXPECT_NE(digit.find("give more digits"), std::string::npos);
  for (const auto* bad : {"", "xyz", "ffffffffffffffffffffffffffffffffff", "%"})
    EXPECT_FALSE(store->resolve(bad).ok()) << bad;
}

TEST_F(StoreTest, DigestsDoNotDependOnTheOrderOfInsertionOrOnTimings) {
  fill(at("a.db"), {0, 1, 2, 3, 4, 5, 6, 7});
  fill(at("b.db"), {7, 5, 6, 3, 0, 4, 2, 1});
  auto a = must_open(at("a.db"));
  auto b = must_open(at("b.db"));
  EXPECT_EQ(must(a->content_digest()), must(b->content_digest()));
  EXPECT_EQ(must(a->task_ids()), must(b->task_ids()));
  const auto tasks = must(a->task_ids());
  const auto run = must(a->begin_run(run_of()));
  must(b->begin_run(run_of("nop")));
  must(b->begin_run(run_of()));
  for (std::size_t i = 0; i < tasks.size(); ++i) {
    ASSERT_FINE(put(*a, run, tasks[i], 0));
    auto t = trajectory_of(must(b->task(tasks[tasks.size() - 1 - i])).task.environment_id,
                           tasks[tasks.size() - 1 - i], 0);
    t.wall_us = static_cast<std::int64_t>(i);
    ASSERT_FINE(b->put_episode({run, t.task_id, 0}, t, evidence_of(t)));
  }
  EXPECT_EQ(must(a->runs_digest()), must(b->runs_digest()));
  ASSERT_FINE(put(*a, run, tasks[0], 1));
  EXPECT_NE(must(a->runs_digest()), must(b->runs_digest()));
}

// The digest is part of what users compare between machines and versions: this value changes only
// with the format.
TEST_F(StoreTest, TheContentDigestOfAKnownStoreIsPinned) {
  fill(at("a.db"), {0, 1, 2, 3});
  EXPECT_EQ(must(must_open(at("a.db"))->content_digest()), "b29e62abb2acb606ec3487ca9e7fa1b0");
}

}  // namespace
}  // namespace seedbed::tasks
