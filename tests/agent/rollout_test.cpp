#include "agent/rollout.h"

#include <gtest/gtest.h>

#include "agent/scripted.h"
#include "fixtures.h"

namespace seedbed {
namespace {

using agent::Rollout;
using schemas::End;
using schemas::Stop;
using test::a_call;
using test::calls_of;
using test::FakeHost;
using test::says;

class RolloutTest : public ::testing::Test {
 protected:
  schemas::Environment env = test::clinic();
  schemas::TaskSpec task = test::task_for(env);
  schemas::Gold gold = test::gold_plan();
  std::string task_id = schemas::task_id(task);
  test::HandClock clock;
  std::unique_ptr<sandbox::ToolHost> host = std::make_unique<FakeHost>();
  int opened = 0;

  FakeHost& fake() { return static_cast<FakeHost&>(*host); }

  Result<Rollout> go(agent::ModelClient& client, agent::OpenHost open = {}) {
    const agent::Offered offered(env, task);
    const agent::RolloutSpec spec{.environment = env,
                                  .task = task,
                                  .offered = offered,
                                  .task_id = task_id,
                                  .policy = "p",
                                  .policy_version = "1",
                                  .sample = 3,
                                  .seed = 7,
                                  .budget = task.budget,
                                  .gold = &gold};
    if (!open)
      open = [this]() -> Result<std::unique_ptr<sandbox::ToolHost>> {
        ++opened;
        return std::unique_ptr<sandbox::ToolHost>(std::make_unique<FakeHost>());
      };
    return agent::rollout(spec, client, host, open, clock);
  }
  Rollout recite(std::deque<agent::Reply> replies) {
    test::Recited client(std::move(replies));
    auto made = go(client);
    EXPECT_TRUE(made.ok()) << made.error().message;
    return made.ok() ? *std::move(made) : Rollout{};
  }
};

TEST_F(RolloutTest, OraclePlaysTheGoldPlanToItsEnd) {
  auto client = agent::scripted_client("oracle");
  auto made = go(*client);
  ASSERT_TRUE(made.ok()) << made.error().message;
  EXPECT_EQ(made->trajectory.stop, Stop::answered);
  EXPECT_EQ(made->evidence.stop, Stop::answered);
  EXPECT_EQ(dump(made->evidence.submitted), R"({"fee":250})");
  ASSERT_EQ(made->evidence.calls.size(), 2U);  // host calls only
  EXPECT_EQ(made->evidence.calls[1].tool, "cancel_booking");
  ASSERT_EQ(made->trajectory.turns.size(), 5U);  // system, user, three of the assistant
  EXPECT_EQ(made->trajectory.turns[0].role, "system");
  EXPECT_TRUE(made->trajectory.turns[0].text.empty());
  EXPECT_EQ(made->trajectory.turns[1].text, task.prompt);
  EXPECT_TRUE(made->trajectory.turns[4].calls.at(0).reserved);
  EXPECT_EQ(made->trajectory.sample, 3);
  EXPECT_EQ(made->trajectory.seed, "7");
  EXPECT_EQ(fake().resets, 1);
}

TEST_F(RolloutTest, OracleStopsWhereAGoldCallFails) {
  host = std::make_unique<FakeHost>([](const schemas::ToolCall&) -> Result<schemas::ToolResult> {
    return schemas::ToolResult{End::tool_error, R"({"error":{"code":"not_found","message":"no"}})"};
  });
  auto client = agent::scripted_client("oracle");
  auto made = go(*client);
  ASSERT_TRUE(made.ok());
  EXPECT_EQ(made->trajectory.stop, Stop::stopped);
  EXPECT_EQ(made->evidence.calls.size(), 1U);
  EXPECT_TRUE(made->evidence.submitted.is_null());
}

TEST_F(RolloutTest, OracleFitsALongPlanIntoFewTurns) {
  gold.steps.clear();
  for (int i = 0; i < 50; ++i) gold.steps.push_back(test::gold_plan().steps[0]);
  gold.steps.push_back(test::gold_plan().steps[2]);
  auto client = agent::scripted_client("oracle");
  auto made = go(*client);
  ASSERT_TRUE(made.ok());
  EXPECT_EQ(made->trajectory.stop, Stop::answered);
}

TEST_F(RolloutTest, NopEndsStoppedWithoutASubmission) {
  auto client = agent::scripted_client("nop");
  auto made = go(*client);
  ASSERT_TRUE(made.ok());
  EXPECT_EQ(made->trajectory.stop, Stop::stopped);
  EXPECT_TRUE(made->evidence.calls.empty());
  EXPECT_TRUE(made->evidence.submitted.is_null());
}

TEST_F(RolloutTest, AnInvalidSubmissionIsAToolErrorAndTheNextOneCounts) {
  const Rollout made = recite({calls_of({a_call("submit_result", R"({"fee":"much"})")}),
                               calls_of({a_call("submit_result", R"({"fee":9})")})});
  EXPECT_EQ(made.trajectory.stop, Stop::answered);
  EXPECT_EQ(made.trajectory.malformed_calls, 1);
  EXPECT_EQ(made.trajectory.turns.at(2).calls.at(0).result.end, End::tool_error);
  EXPECT_NE(made.trajectory.turns.at(2).calls.at(0).result.out.find("/fee"), std::string::npos);
  EXPECT_EQ(dump(made.evidence.submitted), R"({"fee":9})");
}

TEST_F(RolloutTest, ARefusalNeedsAReasonOfTheHandbook) {
  const Rollout made = recite(
      {calls_of({a_call("refuse", R"({"reason_code":"bored","evidence_ids":[]})")}),
       calls_of({a_call("refuse", R"({"reason_code":"too_late","evidence_ids":["BK-17"]})")})});
  EXPECT_EQ(made.trajectory.stop, Stop::refused);
  EXPECT_EQ(made.trajectory.malformed_calls, 1);
  EXPECT_EQ(made.evidence.submitted.text("reason_code"), "too_late");
}

TEST_F(RolloutTest, ArgumentsThatAreNoObjectReachNoHost) {
  const Rollout made = recite(
      {calls_of({a_call("find_booking", "{\"booking_id\": "), a_call("find_booking", "[1]")}),
       says("bye")});
  EXPECT_EQ(made.trajectory.malformed_calls, 2);
  EXPECT_TRUE(fake().calls.empty());
  EXPECT_TRUE(made.evidence.calls.empty());
  EXPECT_TRUE(made.trajectory.turns.at(2).calls.at(0).malformed);
  EXPECT_EQ(made.trajectory.turns.at(2).calls.at(0).args.as_string(), "{\"booking_id\": ");
}

TEST_F(RolloutTest, CallsOfOneTurnRunInOrderAndNoneAfterAValidSubmit) {
  const Rollout made = recite({calls_of({a_call("find_booking", R"({"booking_id":"A"})"),
                                         a_call("cancel_booking", R"({"booking_id":"B"})"),
                                         a_call("submit_result", R"({"fee":1})"),
                                         a_call("cancel_booking", R"({"booking_id":"C"})")})});
  EXPECT_EQ(made.trajectory.stop, Stop::answered);
  ASSERT_EQ(fake().calls.size(), 2U);
  EXPECT_EQ(fake().calls[0].args.text("booking_id"), "A");
  EXPECT_EQ(fake().calls[1].args.text("booking_id"), "B");
  EXPECT_EQ(made.trajectory.turns.at(2).calls.size(), 3U);
}

TEST_F(RolloutTest, CallIdsAreUniqueInTheTrajectory) {
  const Rollout made =
      recite({calls_of({a_call("find_booking", "{}", "x"), a_call("find_booking", "{}", "x"),
                        a_call("find_booking", "{}")}),
              says("bye")});
  const auto& calls = made.trajectory.turns.at(2).calls;
  EXPECT_EQ(calls.at(0).id, "x");
  EXPECT_NE(calls.at(1).id, "x");
  EXPECT_NE(calls.at(1).id, calls.at(2).id);
  EXPECT_FALSE(calls.at(2).id.empty());
}

TEST_F(RolloutTest, EachBudgetEndsTheEpisodeByItsOwnName) {
  const auto look = [] { return calls_of({a_call("find_booking", R"({"booking_id":"A"})")}); };
  task.budget.max_turns = 2;
  EXPECT_EQ(recite({look(), look(), look()}).trajectory.stop, Stop::out_of_turns);
  task.budget = {};
  task.budget.max_calls = 1;
  EXPECT_EQ(recite({look(), look()}).trajectory.stop, Stop::out_of_calls);
  task.budget = {};
  task.budget.wall_ms = 50;
  clock.step = 20'000;
  EXPECT_EQ(recite({look(), look(), look(), look()}).trajectory.stop, Stop::out_of_time);
  clock.step = 0;
  task.budget = {};
  task.budget.output_kib = 1;
  host = std::make_unique<FakeHost>([](const schemas::ToolCall&) -> Result<schemas::ToolResult> {
    return schemas::ToolResult{End::ok, "\"" + std::string(2000, 'x') + "\""};
  });
  EXPECT_EQ(recite({look(), look()}).trajectory.stop, Stop::out_of_tokens);
}

TEST_F(RolloutTest, AMalformedReplyIsToldToTheModelAndCounted) {
  agent::Reply bad;
  bad.what = agent::Malformed{"<tool>", "a call without a name"};
  const Rollout made = recite({bad, calls_of({a_call("submit_result", R"({"fee":1})")})});
  EXPECT_EQ(made.trajectory.malformed_calls, 1);
  EXPECT_NE(made.trajectory.turns.at(3).text.find("a call without a name"), std::string::npos);
  EXPECT_EQ(made.trajectory.stop, Stop::answered);
}

TEST_F(RolloutTest, InvalidUtf8OfAToolNeverReachesTheRecord) {
  host = std::make_unique<FakeHost>([](const schemas::ToolCall&) -> Result<schemas::ToolResult> {
    return schemas::ToolResult{End::ok, "\"\xff\xfe\""};
  });
  const Rollout made = recite({calls_of({a_call("find_booking", "{}")}), says("bye")});
  EXPECT_EQ(made.trajectory.turns.at(2).calls.at(0).result.end, End::tool_error);
  EXPECT_EQ(made.evidence.results.at(0).out.find('\xff'), std::string::npos);
}

TEST_F(RolloutTest, AFailedJailIsReplacedOnceAndTheRolloutMadeAgain) {
  host = std::make_unique<FakeHost>(
      [n = 0](const schemas::ToolCall&) mutable -> Result<schemas::ToolResult> {
        if (++n == 2) return Error{Where::sandbox, "jail died"};
        return schemas::ToolResult{End::ok, "{}"};
      });
  auto client = agent::scripted_client("oracle");
  auto made = go(*client);
  ASSERT_TRUE(made.ok()) << made.error().message;
  EXPECT_EQ(made->trajectory.retries, 1);
  EXPECT_EQ(made->trajectory.stop, Stop::answered);
  EXPECT_EQ(made->evidence.calls.size(), 2U);  // of the second attempt alone
  EXPECT_EQ(opened, 1);
}

TEST_F(RolloutTest, AJailThatFailsTwiceIsAnInfrastructureErrorAndNoTrajectory) {
  const auto dies = [](const schemas::ToolCall&) -> Result<schemas::ToolResult> {
    return Error{Where::sandbox, "jail died"};
  };
  host = std::make_unique<FakeHost>(dies);
  auto client = agent::scripted_client("oracle");
  auto made = go(*client, [&]() -> Result<std::unique_ptr<sandbox::ToolHost>> {
    ++opened;
    return std::unique_ptr<sandbox::ToolHost>(std::make_unique<FakeHost>(dies));
  });
  ASSERT_FALSE(made.ok());
  EXPECT_EQ(made.error().where, Where::sandbox);
  EXPECT_EQ(opened, 1);
  EXPECT_EQ(host, nullptr);
}

TEST_F(RolloutTest, TheScriptedUserRevealsOnAskingAndLeaves) {
  task.user = schemas::UserScript{
      {{{"which booking", "booking id"}, "It is BK-17."}, {{"fee"}, "I do not know."}},
      "Sorry?",
      2};
  const Rollout made = recite(
      {says("WHICH Booking do you mean?"), says("What colour?"), says("And the booking id?")});
  EXPECT_EQ(made.trajectory.stop, Stop::stopped);
  EXPECT_EQ(made.trajectory.stop_detail, "the user has left");
  EXPECT_EQ(made.trajectory.turns.at(3).text, "It is BK-17.");
  EXPECT_EQ(made.trajectory.turns.at(5).text, "Sorry?");
}

TEST_F(RolloutTest, ARevealIsSaidOnce) {
  const schemas::UserScript script{{{{"id"}, "first"}}, "again?", 6};
  agent::User user(script);
  EXPECT_EQ(user.answer("the ID?"), "first");
  EXPECT_EQ(user.answer("the id?"), "again?");
}

TEST_F(RolloutTest, RandomSubmitsMostlyAndItsCallsAreSchemaValid) {
  auto tool_schema = schemas::JsonSchema::compile(env.tools[0].input);
  auto other_schema = schemas::JsonSchema::compile(env.tools[1].input);
  ASSERT_TRUE(tool_schema.ok() && other_schema.ok());
  auto client = agent::scripted_client("random");
  int submitted = 0, refused = 0, read_back = 0;
  constexpr int kEpisodes = 300;
  std::string first;
  for (int i = 0; i < kEpisodes; ++i) {
    task_id = "task" + std::to_string(i % 150);  // the second half repeats the first
    auto made = go(*client);
    ASSERT_TRUE(made.ok());
    if (made->trajectory.stop == Stop::answered) ++submitted;
    if (made->trajectory.stop == Stop::refused) ++refused;
    EXPECT_GE(made->evidence.calls.size(), 5U);
    EXPECT_LE(made->evidence.calls.size(), 12U);
    for (const auto& call : made->evidence.calls) {
      const auto& schema = call.tool == "find_booking" ? *tool_schema : *other_schema;
      EXPECT_TRUE(schema.validate(call.args).empty()) << dump(call.args);
      if (call.args.text("booking_id") == "BK-17" || call.args.text("booking_id") == "Ada Low")
        ++read_back;
    }
    if (i == 0) first = schemas::dump_record(made->trajectory);
    if (i == 150) {
      EXPECT_EQ(schemas::dump_record(made->trajectory),
                first);  // (seed, task, sample) alone decides
    }
  }
  EXPECT_GE(submitted, kEpisodes * 80 / 100);
  EXPECT_GT(refused, 0);
  EXPECT_GT(read_back, 0);
}

TEST(Prompt, SaysThePlaceTheRulesTheTimeAndHowToFinish) {
  const std::string text = agent::system_text(test::clinic());
  for (const char* part : {"a veterinary clinic", "24 hours", "submit_result", "refuse", "too_late",
                           "evidence_ids", "2031-03-14 06:20"})
    EXPECT_NE(text.find(part), std::string::npos) << part;
  EXPECT_EQ(agent::date_time(0), "2000-01-01 00:00");
  EXPECT_EQ(agent::date_time(59 * 1440 + 61), "2000-02-29 01:01");
  EXPECT_EQ(agent::date_time(-1), "1999-12-31 23:59");
}

TEST(Prompt, OffersTheReservedToolsLastAndNoPrograms) {
  const auto env = test::clinic();
  const auto tools = agent::offered_tools(env, test::task_for(env));
  ASSERT_EQ(tools.size(), 4U);
  EXPECT_EQ(tools[2].name, "submit_result");
  EXPECT_EQ(tools[3].name, "refuse");
  for (const auto& tool : tools) EXPECT_TRUE(tool.program.result.empty());
}

}  // namespace
}  // namespace seedbed
