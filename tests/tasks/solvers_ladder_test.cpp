#include <gtest/gtest.h>

#include "judge_clinic.h"
#include "tasks/solvers/ladder.h"

namespace seedbed::tasks::solvers {
namespace {

using clinic::args;
using schemas::GoldKind;

class LadderTest : public ::testing::Test {
 protected:
  void SetUp() override {
    env_ = clinic::environment();
    auto judge = Judge::open(env_, clinic::image());
    ASSERT_TRUE(judge.ok());
    judge_ = *std::move(judge);
    open();
  }
  void open() {
    ladder_ = std::make_unique<Ladder>(
        env_,
        [this](const Plans& plans) {
          ++frames_;
          return clinic::play(env_, clinic::image(), plans);
        },
        *judge_);
  }
  // Bo AHal's booking B-302 is to be cancelled.
  Draft cancel() const {
    Draft d;
    d.task.environment_id = schemas::environment_id(env_);
    d.task.kind = "achieve";
    d.task.prompt = "Please cancel the booking of Bo AHal.";
    d.task.submit_schema = args({{"type", "object"}, {"properties", schemas::Value::object()}});
    const auto add = [&](const char* tool, schemas::Value arguments, std::vector<int> needs) {
      d.gold.steps.push_back(
          {GoldKind::call, tool, std::move(arguments), "", std::move(needs), {}});
    };
    add("find_person", args({{"name", "Bo AHal"}}), {});
    add("list_bookings", args({{"person_id", "P-102"}}), {0});
    add("cancel", args({{"booking_id", "B-302"}}), {1});
    d.gold.steps.push_back({GoldKind::submit, "", schemas::Value::object(), "", {}, {}});
    d.verifier.delta = {{schemas::ChangeKind::set, "booking", "B-302", "state", "cancelled", {}},
                        {schemas::ChangeKind::set, "slot", "S-202", "free", 3, {}}};
    return d;
  }
  Try attempt(std::string_view solver, const Draft& d) {
    auto made = ladder_->attempt(solver, d.task, d.verifier);
    EXPECT_TRUE(made.ok()) << (made.ok() ? "" : made.error().message);
    return made.ok() ? *std::move(made) : Try{};
  }

  schemas::Environment env_;
  std::unique_ptr<Judge> judge_;
  std::unique_ptr<Ladder> ladder_;
  int frames_ = 0;
};

TEST_F(LadderTest, GreedySolvesWhatItCanRead) {
  const Try made = attempt("greedy", cancel());
  EXPECT_TRUE(made.solved);
  EXPECT_GE(made.calls, 3);
  EXPECT_FALSE(attempt("refuse-all", cancel()).solved);
  EXPECT_FALSE(attempt("prompt-echo", cancel()).solved);
}

TEST_F(LadderTest, AWrongWriteIsNoSolution) {
  Draft d = cancel();
  d.verifier.delta[0].key = "B-303";
  EXPECT_FALSE(attempt("greedy", d).solved);
}

TEST_F(LadderTest, ReadsAreSharedByTheTasksOfAnEnvironment) {
  const Try first = attempt("greedy", cancel());
  const int once = frames_;
  const Try second = attempt("greedy", cancel());
  EXPECT_EQ(frames_ - once, 1);  // the write alone
  EXPECT_GT(once, 1);
  EXPECT_EQ(first.calls, second.calls);
  EXPECT_EQ(first.solved, second.solved);
}

TEST_F(LadderTest, TheNoteSaysTheLevelAndWhoTried) {
  const Draft d = cancel();
  const auto climbed = ladder_->climb(d);
  ASSERT_TRUE(climbed.ok());
  EXPECT_EQ(climbed->level, level_of(hardness_of(env_, d.task, d.gold, d.verifier)));
  EXPECT_EQ(climbed->tries.size(), climbed->sampled ? 1 + std::size(kLadder) : 1U);
  auto gate = ladder_->gate(d);
  ASSERT_TRUE(gate.ok());
  const auto* passed = std::get_if<schemas::GateResult>(&*gate);
  ASSERT_NE(passed, nullptr);
  EXPECT_EQ(passed->gate, "G15");
  EXPECT_NE(passed->note.find("level "), std::string::npos);
  EXPECT_NE(passed->note.find("first-match"), std::string::npos);
  EXPECT_EQ(passed->note.find("not this one") == std::string::npos, climbed->sampled);
  open();  // the same again from nothing
  const auto again = ladder_->gate(d);
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(std::get<schemas::GateResult>(*again).note, passed->note);
}

TEST_F(LadderTest, ALongPlanIsTriedInTheSampleAlone) {
  Draft d = cancel();
  const auto read = d.gold.steps[0];
  while (hardness_of(env_, d.task, d.gold, d.verifier).plan_calls < kShortPlan)
    d.gold.steps.insert(d.gold.steps.begin(), read);
  int tried = 0, passed_over = 0;
  for (int i = 0; i < 40; ++i) {
    d.task.number = i;
    const auto climbed = ladder_->climb(d);
    ASSERT_TRUE(climbed.ok());
    EXPECT_EQ(climbed->tries.size(), climbed->sampled ? 1 + std::size(kLadder) : 0U);
    ++(climbed->sampled ? tried : passed_over);
    const auto gate = ladder_->gate(d);
    ASSERT_TRUE(gate.ok());
    const std::string note = std::get<schemas::GateResult>(*gate).note;
    EXPECT_EQ(note.find("; first-match, greedy, bfs-3 and no-policy try 1 task in 8") ==
                  std::string::npos,
              climbed->sampled)
        << note;
  }
  EXPECT_GT(tried, 0);
  EXPECT_GT(passed_over, 20);
}

TEST_F(LadderTest, OneTaskInEightIsInTheSample) {
  Draft d = cancel();
  int sampled = 0;
  for (int i = 0; i < 400; ++i) {
    d.task.number = i;
    const auto climbed = ladder_->climb(d);
    ASSERT_TRUE(climbed.ok());
    sampled += climbed->sampled ? 1 : 0;
  }
  EXPECT_GT(sampled, 25);
  EXPECT_LT(sampled, 80);
}

TEST_F(LadderTest, WhatFirstMatchSolvesAtOnceIsRejected) {
  Draft d = cancel();
  d.task.prompt = "leave a note about Bo AHal.";
  d.verifier = {};
  d.verifier.answer = {};
  d.verifier.post = {{"always", "true", "SELECT 1"}};
  const Try made = attempt("first-match", d);
  ASSERT_TRUE(made.solved);
  ASSERT_LT(made.calls, kTrivialCalls);
  const auto gate = ladder_->gate(d);
  ASSERT_TRUE(gate.ok());
  ASSERT_TRUE(std::holds_alternative<Rejected>(*gate));
  EXPECT_EQ(std::get<Rejected>(*gate).gate, "G15");
}

TEST_F(LadderTest, ABrokenHostIsAnError) {
  Ladder broken(
      env_, [](const Plans&) { return std::vector<PlayedPlan>(); }, *judge_);
  const auto made = broken.attempt("greedy", cancel().task, cancel().verifier);
  ASSERT_FALSE(made.ok());
  EXPECT_EQ(made.error().where, Where::sandbox);
}

}  // namespace
}  // namespace seedbed::tasks::solvers
