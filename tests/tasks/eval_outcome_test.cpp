// Each unsolved episode has one error class: an episode for each, and for the borders between them.
#include <gtest/gtest.h>

#include "tasks/eval/outcome.h"
#include "tests/tasks/judge_clinic.h"

namespace seedbed::tasks::eval {
namespace {

using schemas::GoldKind;
using schemas::GoldStep;
using schemas::MadeCall;
using schemas::Stop;
using schemas::Trajectory;
using schemas::Value;

// A clinic where `find` and `get` read and `book` and `cancel` write. The plan: find, get, book,
// submit.
class ErrorClasses : public testing::Test {
 protected:
  ErrorClasses() {
    tool("find", "SELECT 1", "");
    tool("get", "SELECT 1", "");
    tool("book", "SELECT 1", "INSERT INTO booking (slot) VALUES (:slot)");
    tool("cancel", "SELECT 1", "DELETE FROM booking WHERE id = :id");
    gold_.steps = {step("find", args({{"name", "Rex"}})), step("get", args({{"id", 7}})),
                   step("book", args({{"slot", 3}}))};
    GoldStep submit;
    submit.kind = GoldKind::submit;
    gold_.steps.push_back(submit);
    verifier_.outcome = schemas::Outcome::submit;
    play("find", args({{"name", "Rex"}}));
    play("get", args({{"id", 7}}));
  }

  static Value args(std::vector<std::pair<std::string, Value>> members) {
    return clinic::args(std::move(members));
  }
  void tool(const std::string& name, const std::string& result, const std::string& write) {
    schemas::Tool t;
    t.name = name;
    t.input = Value::object();
    t.program.result = result;
    if (!write.empty()) {
      schemas::ProgramStep run;
      run.run = write;
      t.program.steps.push_back(run);
    }
    env_.tools.push_back(t);
  }
  static GoldStep step(const std::string& name, Value arguments) {
    GoldStep s;
    s.kind = GoldKind::call;
    s.tool = name;
    s.args = std::move(arguments);
    return s;
  }
  // A call that reached the host; `writes` says that it changed a row.
  void play(const std::string& name, Value arguments, bool writes = false) {
    if (writes)
      episode_.changes.push_back(
          {static_cast<std::int32_t>(episode_.calls.size()), "booking", {}, {}});
    episode_.calls.push_back({name, arguments});
    episode_.results.push_back({});
    say(name, std::move(arguments), false);
  }
  void say(const std::string& name, Value arguments, bool malformed) {
    schemas::Turn turn;
    turn.role = "assistant";
    MadeCall call;
    call.tool = name;
    call.args = std::move(arguments);
    call.malformed = malformed;
    turn.calls.push_back(call);
    t_.turns.push_back(turn);
    t_.malformed_calls += malformed ? 1 : 0;
  }
  void unreadable() {
    schemas::Turn turn;
    turn.role = "assistant";
    turn.text = "<call get(";
    t_.turns.push_back(turn);
    ++t_.malformed_calls;
  }
  void part(const std::string& name, bool holds) {
    schemas::ScorePart p;
    p.name = name;
    p.holds = holds;
    t_.verdict.parts.push_back(p);
  }
  std::string found() {
    episode_.stop = t_.stop;
    return std::string(name_of(error_class(env_, verifier_, gold_, t_, episode_)));
  }

  schemas::Environment env_;
  schemas::Verifier verifier_;
  schemas::Gold gold_;
  Trajectory t_;
  Episode episode_;
};

TEST_F(ErrorClasses, AMessageThatEndsTheEpisodeGivesUp) {
  t_.stop = Stop::stopped;
  part("outcome", false);
  EXPECT_EQ(found(), "gave_up");
}

TEST_F(ErrorClasses, ARefusalOfWhatCouldBeDoneGivesUp) {
  t_.stop = Stop::refused;
  part("outcome", false);
  EXPECT_EQ(found(), "gave_up");
}

TEST_F(ErrorClasses, EachLimitIsOutOfBudget) {
  part("outcome", false);
  for (const auto stop :
       {Stop::out_of_turns, Stop::out_of_calls, Stop::out_of_tokens, Stop::out_of_time}) {
    t_.stop = stop;
    EXPECT_EQ(found(), "out_of_budget");
  }
}

TEST_F(ErrorClasses, HalfUnreadableWithoutAnEndIsMalformedAndLessIsNot) {
  part("outcome", false);
  t_.stop = Stop::out_of_turns;
  unreadable();
  EXPECT_EQ(found(), "out_of_budget") << "one of three";
  say("submit_result", Value("{"), true);
  EXPECT_EQ(found(), "malformed") << "two of four, a reply and a call";
  t_.stop = Stop::stopped;
  EXPECT_EQ(found(), "malformed");
}

TEST_F(ErrorClasses, AnAcceptedEndIsNeverMalformed) {
  for (int i = 0; i < 5; ++i) unreadable();
  t_.stop = Stop::answered;
  part("outcome", true);
  part("answer:count", false);
  play("book", args({{"slot", 3}}), true);
  EXPECT_EQ(found(), "wrong_answer");
}

TEST_F(ErrorClasses, ABrokenObligationComesBeforeWhatItSpoilt) {
  t_.stop = Stop::answered;
  part("outcome", true);
  part("delta", false);
  part("obligation:cap", false);
  EXPECT_EQ(found(), "rule_broken");
}

TEST_F(ErrorClasses, AnAnswerWhereARuleForbidsOneBreaksIt) {
  verifier_.outcome = schemas::Outcome::refuse;
  t_.stop = Stop::answered;
  part("outcome", false);
  EXPECT_EQ(found(), "rule_broken");
}

TEST_F(ErrorClasses, ARefusalForTheWrongReasonIsAWrongAnswer) {
  verifier_.outcome = schemas::Outcome::refuse;
  t_.stop = Stop::refused;
  part("outcome", true);
  part("refuse_code", false);
  EXPECT_EQ(found(), "wrong_answer");
}

TEST_F(ErrorClasses, AWriteThatWasNeverCalledIsTheWrongTool) {
  t_.stop = Stop::answered;
  part("delta", false);
  EXPECT_EQ(found(), "wrong_tool");
}

TEST_F(ErrorClasses, AWriteByAToolThatThePlanLacksIsTheWrongTool) {
  t_.stop = Stop::answered;
  part("delta", true);
  part("frame", false);
  play("book", args({{"slot", 3}}), true);
  play("cancel", args({{"id", 1}}), true);
  EXPECT_EQ(found(), "wrong_tool");
}

TEST_F(ErrorClasses, TheRightWriteWithOtherArgumentsIsAWrongArgument) {
  t_.stop = Stop::answered;
  part("delta", false);
  play("book", args({{"slot", 4}}), true);
  EXPECT_EQ(found(), "wrong_argument");
}

TEST_F(ErrorClasses, AWriteThatTheToolRefusedIsAWrongArgument) {
  t_.stop = Stop::answered;
  part("delta", false);
  play("book", args({{"slot", 9}}));
  EXPECT_EQ(found(), "wrong_argument");
}

TEST_F(ErrorClasses, TheRightWriteTwiceIsAWrongArgument) {
  t_.stop = Stop::answered;
  part("delta", true);
  part("frame", false);
  play("book", args({{"slot", 3}}), true);
  play("book", args({{"slot", 3}}), true);
  EXPECT_EQ(found(), "wrong_argument");
}

TEST_F(ErrorClasses, TheRightWritesInAWrongStateAreTheWrongTool) {
  t_.stop = Stop::answered;
  part("post:later", false);
  play("book", args({{"slot", 3}}), true);
  EXPECT_EQ(found(), "wrong_tool") << "at that time";
}

TEST_F(ErrorClasses, AWrongAnswerIsExplainedByWhatWasRead) {
  t_.stop = Stop::answered;
  part("delta", true);
  part("answer:count", false);
  play("book", args({{"slot", 3}}), true);
  EXPECT_EQ(found(), "wrong_answer") << "all was read";
  gold_.steps[1].args = args({{"id", 8}});
  EXPECT_EQ(found(), "wrong_argument") << "the right read of another record";
  gold_.steps[1].tool = "cost";
  EXPECT_EQ(found(), "wrong_tool") << "a read that was not made";
}

TEST_F(ErrorClasses, AReadMaySayMoreThanThePlan) {
  t_.stop = Stop::answered;
  part("answer:count", false);
  gold_.steps[1].args = Value::object();
  EXPECT_EQ(found(), "wrong_answer") << "get with an id that the plan leaves out";
}

TEST_F(ErrorClasses, EveryClassHasAName) {
  EXPECT_EQ(enum_names(ErrorClass{}).size(), kErrorClasses);
  EXPECT_EQ(name_of(ErrorClass::wrong_answer), "wrong_answer");
}

}  // namespace
}  // namespace seedbed::tasks::eval
