// Rows, choices, comparisons, and what training stores share with an evaluation.
#include <gtest/gtest.h>

#include "tasks/eval/estimate.h"
#include "tasks/eval/rows.h"
#include "tasks/eval/seen.h"
#include "tests/tasks/store_fixture.h"

namespace seedbed::tasks::eval {
namespace {

using schemas::EvalTask;

EvalTask task_of(int number, int environment, std::int64_t tries, std::int64_t solved) {
  EvalTask t;
  t.task = "task " + std::to_string(number);
  t.environment = "environment " + std::to_string(environment);
  t.suite = number % 2 == 0 ? "even" : "odd";
  t.kind = "lookup";
  t.level = 1 + number % 2 * 9;
  t.mechanisms = {"ledger", environment == 0 ? "waitlist" : "ledger"};
  for (std::int64_t i = 0; i < tries; ++i) count_try(t, i < solved, ErrorClass::gave_up);
  return t;
}

const schemas::EvalRow& row(const std::vector<schemas::EvalRow>& rows,
                            const std::string& by,
                            const std::string& name) {
  for (const auto& r : rows)
    if (r.by == by && r.name == name) return r;
  ADD_FAILURE() << "no row " << by << " " << name;
  return rows.front();
}

TEST(EvalRows, TasksAreTakenFromAllEnvironmentsBeforeTwoOfOne) {
  const std::vector<std::vector<std::string>> tasks = {{"a1", "a2", "a3"}, {"b1"}, {"c1", "c2"}};
  EXPECT_EQ(spread(tasks, 2), (std::set<std::string>{"a1", "b1"}));
  EXPECT_EQ(spread(tasks, 4), (std::set<std::string>{"a1", "b1", "c1", "a2"}));
  EXPECT_EQ(spread(tasks, 0).size(), 6U);
  EXPECT_EQ(spread(tasks, 100).size(), 6U);
  EXPECT_TRUE(spread({}, 3).empty());
}

TEST(EvalRows, RatesAreOfDoublingsAndTheWhole) {
  EXPECT_EQ(ks_of(1), (std::vector<std::int64_t>{1}));
  EXPECT_EQ(ks_of(6), (std::vector<std::int64_t>{1, 2, 4, 6}));
  EXPECT_EQ(ks_of(8), (std::vector<std::int64_t>{1, 2, 4, 8}));
}

TEST(EvalRows, GroupsCountEachTaskOnceAndTriesAddUp) {
  std::vector<EvalTask> tasks;
  for (int i = 0; i < 24; ++i) tasks.push_back(task_of(i, i % 12, 4, i % 5));
  tasks.push_back(task_of(24, 0, 0, 0));  // met an infrastructure error each time
  tasks.push_back(task_of(26, 1, 2, 2));  // and here twice of four
  const auto rows = rows_of(tasks, 4);
  const auto& all = row(rows, "all", "all");
  EXPECT_EQ(all.tasks, 25) << "what has no try is no task";
  EXPECT_EQ(all.environments, 12);
  EXPECT_EQ(all.episodes, 24 * 4 + 2);
  ASSERT_EQ(all.errors.size(), 1U);
  EXPECT_EQ(all.errors[0].name, "gave_up");
  EXPECT_EQ(all.solved + all.errors[0].count, all.episodes);
  ASSERT_EQ(all.pass_at.size(), 3U);
  double at_4 = 0, all_4 = 0;
  for (int i = 0; i < 24; ++i) {
    at_4 += pass_at(4, i % 5, 4) / 24;
    all_4 += pass_all(4, i % 5, 4) / 24;
  }
  EXPECT_NEAR(all.pass_at[2].value, at_4, 1e-12) << "of the tasks with four tries";
  EXPECT_NEAR(all.pass_all[2].value, all_4, 1e-12);
  EXPECT_EQ(row(rows, "suite", "even").tasks + row(rows, "suite", "odd").tasks, all.tasks);
  EXPECT_EQ(row(rows, "level", "1").tasks, 13);
  EXPECT_EQ(row(rows, "level", "10").tasks, 12);
  EXPECT_EQ(row(rows, "mechanism", "ledger").tasks, 25) << "named twice, counted once";
  EXPECT_EQ(row(rows, "mechanism", "waitlist").tasks, 2);
  EXPECT_EQ(row(rows, "kind", "lookup").solved, all.solved);
}

TEST(EvalRows, NothingTriedIsNoRate) {
  const auto rows = rows_of({}, 2);
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_EQ(rows[0].pass_at[0].interval, "none");
}

TEST(EvalRows, ComparisonsArePairedByTask) {
  schemas::EvalPolicy before, after;
  before.label = "a";
  after.label = "b";
  for (int i = 0; i < 40; ++i) before.tasks.push_back(task_of(i, i, 1, i < 10 ? 1 : 0));
  for (int i = 39; i >= 5; --i) after.tasks.push_back(task_of(i, i, 1, i < 20 && i != 7 ? 1 : 0));
  after.tasks.push_back(task_of(99, 99, 1, 1));
  const auto out = compare(before, after);
  ASSERT_EQ(out.size(), 3U) << "all, and each of two suites";
  EXPECT_EQ(out[0].tasks, 35);
  EXPECT_EQ(out[0].gained, 10);
  EXPECT_EQ(out[0].lost, 1);
  EXPECT_NEAR(out[0].before_pass, 5.0 / 35, 1e-12);
  EXPECT_NEAR(out[0].after_pass, 14.0 / 35, 1e-12);
  EXPECT_NEAR(out[0].difference.value, 9.0 / 35, 1e-12);
  EXPECT_LE(out[0].difference.low, out[0].difference.value);
  EXPECT_EQ(out[1].tasks + out[2].tasks, 35);
  after.tasks.resize(0);
  EXPECT_TRUE(compare(before, after).empty());
}

TEST(EvalRows, CostIsForAThousandEpisodes) {
  Spent spent;
  schemas::Trajectory t;
  t.prompt_tokens = 300;
  t.completion_tokens = 40;
  t.turns.resize(3);
  t.turns[0].role = "user";
  t.turns[1].role = t.turns[2].role = "assistant";
  t.turns[2].calls.resize(5);
  add(spent, t);
  add(spent, t);
  const auto cost = cost_of(spent, 4, 2.0);
  EXPECT_DOUBLE_EQ(cost.seconds_per_1000, 500);
  EXPECT_DOUBLE_EQ(cost.prompt_tokens_per_1000, 300'000);
  EXPECT_DOUBLE_EQ(cost.generated_tokens_per_1000, 40'000);
  EXPECT_DOUBLE_EQ(cost.turns, 2);
  EXPECT_DOUBLE_EQ(cost.calls, 5);
  EXPECT_EQ(cost_of({}, 0, 0).seconds_per_1000, 0);
}

TEST(EvalRows, TheRecordReadsBackAsItWasWritten) {
  schemas::Evaluation evaluation;
  evaluation.policies.emplace_back();
  for (int i = 0; i < 12; ++i) evaluation.policies[0].tasks.push_back(task_of(i, i, 3, i % 4));
  evaluation.policies[0].rows = rows_of(evaluation.policies[0].tasks, 3);
  const auto text = schemas::dump_record(evaluation);
  const auto read = schemas::parse_record<schemas::Evaluation>(text, "evaluation");
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_EQ(schemas::dump_record(*read), text);
}

class SeenStores : public StoreTest {};

TEST_F(SeenStores, AStoreSharesAllWithItselfAndNothingWithAnother) {
  fill(at("a.db"), {0, 1, 2});
  fill(at("b.db"), {4, 6});
  const auto never = [](std::int64_t, std::int64_t) { return true; };
  auto a = must_open(at("a.db"));
  const auto seen = must(read_seen(*a, never));
  EXPECT_EQ(seen.environments.size(), must(a->environment_ids()).size());
  EXPECT_EQ(seen.tasks, std::ssize(must(a->task_ids())));
  EXPECT_FALSE(seen.triples.empty());
  auto b = must_open(at("b.db"));
  for (const auto& id : must(b->environment_ids())) EXPECT_EQ(seen.environments.count(id), 0U);
  const auto stopped = read_seen(*a, [](std::int64_t done, std::int64_t) { return done < 2; });
  ASSERT_FALSE(stopped.ok());
  EXPECT_EQ(stopped.error().where, Where::interrupted);
}

TEST(Seen, ATripleTellsLevelLexiconAndSkeletonApart) {
  schemas::Environment env;
  env.recipe.lexicon = "clinic";
  schemas::TaskSpec task;
  task.skeleton = "abc";
  task.knobs = {{"hops", 2}, {"level", 3}};
  const auto triple = triple_of(env, task);
  task.prompt = "other words";
  EXPECT_EQ(triple_of(env, task), triple);
  task.knobs[1].value = 4;
  EXPECT_NE(triple_of(env, task), triple);
  task.knobs[1].value = 3;
  task.skeleton = "abd";
  EXPECT_NE(triple_of(env, task), triple);
  task.skeleton = "abc";
  env.recipe.lexicon = "library";
  EXPECT_NE(triple_of(env, task), triple);
}

}  // namespace
}  // namespace seedbed::tasks::eval
