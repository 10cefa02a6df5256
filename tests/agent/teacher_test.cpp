// The teacher: it solves what the oracle solves, says where values come from, and its mistakes
// change nothing and are not under loss.
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <set>

#include "agent/export.h"
#include "agent/export_line.h"
#include "agent/scripted.h"
#include "agent/teacher_criteria.h"
#include "agent/teacher_facts.h"
#include "agent/teacher_mistake.h"
#include "agent/teacher_plain.h"
#include "agent/teacher_plan.h"
#include "base/text.h"
#include "clinic_store.h"

namespace seedbed {
namespace {

using TeacherRun = test::ClinicStore;

TEST_F(TeacherRun, EveryEpisodeIsSolvedWithAndWithoutMistakes) {
  auto o = options("teacher");
  o.samples = 40;
  const auto summary = run(o);
  EXPECT_EQ(summary.episodes, 320);
  EXPECT_EQ(summary.solved, 320);
  int wrong = 0, reserved = 0;
  std::set<std::string> codes;
  for (const auto& episode : episodes()) {
    const auto& turns = episode.trajectory.turns;
    EXPECT_EQ(episode.trajectory.policy, "teacher");
    int here = 0;
    for (std::size_t i = 0; i < turns.size(); ++i) {
      if (turns[i].role != "assistant") continue;
      EXPECT_FALSE(turns[i].reasoning.empty());
      EXPECT_LE(split(turns[i].reasoning, ' ').size(), 40U) << turns[i].reasoning;
      if (turns[i].learn.value_or(true)) {
        for (const auto& call : turns[i].calls) EXPECT_EQ(call.result.end, schemas::End::ok);
        continue;
      }
      ++here;
      ASSERT_LT(i + 1, turns.size()) << "a mistake is repaired";
      EXPECT_TRUE(turns[i + 1].learn.value_or(true));
      const auto result = test::json(turns[i].calls[0].result.out);
      if (const auto* error = result.find("error"); error != nullptr) {
        codes.insert(error->text("code"));
        EXPECT_NE(turns[i + 1].reasoning.find(error->text("code")), std::string::npos)
            << turns[i + 1].reasoning;
      }
      reserved += turns[i].calls[0].reserved;
    }
    EXPECT_LE(here, 1);
    wrong += here;
  }
  EXPECT_GT(wrong, 40);
  EXPECT_LT(wrong, 130);
  EXPECT_GT(reserved, 0);
  EXPECT_EQ(codes.count("invalid_arguments") + codes.count("unknown_tool"), 2U);
}

TEST_F(TeacherRun, InAPlainVoiceThePlanComesFirstAndEachReasonEndsWithItsArguments) {
  auto o = options("plain-teacher");
  o.samples = 40;
  EXPECT_EQ(run(o).solved, 320);
  int wrong = 0, calls = 0, plans = 0;
  std::map<std::string, std::set<std::string>>
      first;  // by task: its first reason, where it is right
  for (const auto& episode : episodes()) {
    bool begun = false;
    for (const auto& turn : episode.trajectory.turns) {
      if (turn.role != "assistant") continue;
      if (!turn.learn.value_or(true)) {
        ++wrong;
        begun = true;
        continue;
      }
      if (!begun && turn.reasoning.starts_with("Plan: ")) {
        ++plans;
        first[episode.trajectory.task_id].insert(turn.reasoning);
      }
      begun = true;
      if (turn.calls.empty() || turn.calls[0].tool == schemas::kRefuseTool) continue;
      ++calls;
      const std::string& why = turn.reasoning;
      EXPECT_LE(split(why, ' ').size(), agent::kMostPlainWords + 20) << why;
      std::string end;
      for (const auto& [name, value] : turn.calls[0].args.members()) {
        std::string text = agent::value_text(value);
        if (value.is_array())
          for (const auto& item : value.items()) {
            if (!text.empty()) text += " ";
            text += agent::value_text(item);
          }
        if (!end.empty()) end += ", ";
        end += text.empty() ? "text" : text;
        end += " for " + name;
      }
      if (!end.empty()) end += ".";
      EXPECT_TRUE(why.ends_with(end)) << why << "\n" << end;
    }
  }
  EXPECT_GT(calls, 320);
  EXPECT_GT(plans, 120);  // of episodes that begin rightly
  EXPECT_GT(wrong, 100);
  EXPECT_LT(wrong, 480);
  std::size_t wordings = 0;
  for (const auto& [task, reasons] : first) wordings += reasons.size();
  EXPECT_LE(wordings, 2 * first.size()) << "one for each plan of a task";
}

// The plan that is said before a step.
std::string planned(const std::string& request,
                    std::size_t next,
                    const std::string& args = "{}",
                    bool swapped = false) {
  std::vector<schemas::GoldStep> steps(4);
  steps[0].tool = "list_crates";
  steps[1].tool = "find_member";
  steps[2].tool = "drop_crate";
  steps[2].needs = {0, 1};
  steps[3].kind = schemas::GoldKind::submit;
  for (auto& step : steps) step.args = test::json("{}");
  steps[0].args = test::json(args);
  if (swapped) std::swap(steps[0], steps[1]);
  agent::Facts facts;
  schemas::Turn turn;
  turn.role = "user";
  turn.text = request;
  facts.read({turn});
  const std::vector<std::size_t> calls = {0, 1, 2};
  return agent::plan({.steps = steps, .next = next, .call_of_step = calls}, facts);
}

TEST(TeacherPlan, WhatDependsOnWhatIsSeenIsPlannedWhenItWasSeen) {
  const std::string request = "Drop the crate of the member Ada Lovelace";
  EXPECT_EQ(planned(request + ".", 0),
            "Plan: submit_result; Drop the crate: drop_crate; member: find_member; crate: "
            "list_crates. Order: list_crates, find_member, drop_crate, submit_result. ");
  EXPECT_EQ(planned(request + ".", 2), "");
  const std::string other = request + "; if that cannot be done, lock it.";
  EXPECT_EQ(planned(other, 0),
            "Plan: member: find_member; crate: list_crates. Order: list_crates, find_member. ");
  EXPECT_EQ(planned(other, 1), "");
  EXPECT_EQ(planned(other, 2),
            "Plan: submit_result; Drop the crate: drop_crate. Order: drop_crate, submit_result. ");
  EXPECT_EQ(planned(other, 3), "");
}

TEST(TeacherPlan, WhatIsDoneOtherwiseIsPlannedOnceTheFirstWishWasLookedInto) {
  const std::string request = "Ban the member; should that be impossible, drop the open crate.";
  EXPECT_EQ(planned(request, 0, "{}", true), "Plan: member: find_member. Order: find_member. ");
  EXPECT_EQ(planned(request, 1, "{}", true),
            "Plan: submit_result; drop the open crate: drop_crate; crate: list_crates. Order: "
            "list_crates, drop_crate, submit_result. ");
  EXPECT_EQ(planned(request, 2, "{}", true), "");
}

TEST(TeacherPlan, WhatTheRequestGivesToACallStandsBesideIt) {
  EXPECT_EQ(planned("Drop the open crate of the member.", 0,
                    R"({"state":"open","day":"2031-03-05","note":"a: b"})"),
            "Plan: submit_result; Drop the open crate: drop_crate; member: find_member; crate: "
            "list_crates, open for state. Order: list_crates, find_member, drop_crate, "
            "submit_result. ");
}

TEST(TeacherPlan, AListThatTheRequestHasNoWordOfIsReadForTheNameThatIsLeft) {
  EXPECT_EQ(planned("Drop the crate of Ada Lovelace. LINE BAD STOP", 0),
            "Plan: submit_result; Drop the crate: drop_crate; Ada Lovelace: find_member; crate: "
            "list_crates. Order: list_crates, find_member, drop_crate, submit_result. ");
  EXPECT_EQ(planned("Drop the crate of Ada Lovelace in Quiet Bay.", 0),  // which is it?
            "Plan: submit_result; Drop the crate: drop_crate; find_member; crate: "
            "list_crates. Order: list_crates, find_member, drop_crate, submit_result. ");
}

TEST(TeacherPlan, APhraseIsTheStretchOfTheRequestThatHasMostOfTheToolsWords) {
  using agent::phrase_of;
  const std::string request =
      "Hello, a loan of crates. Please take back each running crate loan handed out at Desert.";
  EXPECT_EQ(phrase_of("take_back_crate_loan", request), "take back each running crate loan");
  EXPECT_EQ(phrase_of("listCrateLoans", request), "crate loan");
  EXPECT_EQ(phrase_of("keeper_find", request), "");
  // The name says it otherwise: the wish from its begin.
  EXPECT_EQ(phrase_of("return_crate_loan", request), "take back each running crate loan");
  EXPECT_EQ(phrase_of("loan_end", "Look up Ada and call off her loan."), "call off her loan");
  EXPECT_EQ(phrase_of("loan_end", "If Ada agrees, call off her loan."), "call off her loan");
}

TEST_F(TeacherRun, AnEpisodeIsAFunctionOfSeedTaskAndSample) {
  auto o = options("teacher");
  o.samples = 6;
  o.jobs = 1;
  run(o);
  const std::string one = runs_digest(*store);
  store = fresh("b.db");
  o.jobs = 2;
  run(o);
  EXPECT_EQ(runs_digest(*store), one);
  store = fresh("c.db");
  o.seed = 6;
  run(o);
  EXPECT_NE(runs_digest(*store), one);
}

TEST_F(TeacherRun, ExportsLeaveOutEpisodesWhoseReasoningHasAText) {
  run(options("plain-teacher"));
  std::int64_t with = 0, all = 0;
  const std::string text = "Order: find_";
  for (const auto& episode : episodes()) {
    const auto& turns = episode.trajectory.turns;
    ++all;
    with += std::any_of(turns.begin(), turns.end(), [&](const auto& turn) {
      return turn.reasoning.find(text) != std::string::npos;
    });
  }
  ASSERT_GT(with, 0);
  ASSERT_LT(with, all);
  agent::ExportOptions e;
  e.format = agent::ExportFormat::trl;
  e.out = (folder / "out").string();
  e.without = text;
  const auto made = agent::export_dataset(*store, e);
  ASSERT_TRUE(made.ok()) << made.error().message;
  EXPECT_EQ(made->left_out, with);
  EXPECT_EQ(made->train + made->heldout, all - with);
  std::ifstream card(folder / "out/README.md");
  const std::string told((std::istreambuf_iterator<char>(card)), {});
  EXPECT_NE(told.find("reasoning with `" + text), std::string::npos);
}

TEST_F(TeacherRun, ExportsTellWhichTurnsAreNotToBeLearnt) {
  auto o = options("teacher");
  o.samples = 12;
  run(o);
  std::size_t marked = 0;
  for (const auto& episode : episodes())
    for (const auto& turn : episode.trajectory.turns) marked += turn.learn == false;
  ASSERT_GT(marked, 0U);
  for (const auto format : {agent::ExportFormat::trl, agent::ExportFormat::openai}) {
    agent::ExportOptions e;
    e.format = format;
    e.out = (folder / "out").string();
    const auto made = agent::export_dataset(*store, e);
    ASSERT_TRUE(made.ok()) << made.error().message;
    std::size_t flags = 0;
    for (const char* split : {"train", "heldout"}) {
      std::ifstream file(folder / "out/data" / (std::string(split) + "-00000.jsonl"));
      for (std::string line; std::getline(file, line);) {
        EXPECT_EQ(agent::check_line(line, format), "");
        const auto whole = test::json(line);
        for (const auto& message : whole.find("messages")->items()) {
          const auto* flag = message.find(format == agent::ExportFormat::trl ? "train" : "weight");
          if (flag == nullptr) continue;
          EXPECT_EQ(message.text("role"), "assistant");
          EXPECT_EQ(*flag,
                    format == agent::ExportFormat::trl ? schemas::Value(false) : schemas::Value(0));
          ++flags;
        }
      }
    }
    EXPECT_EQ(flags, marked);
  }
}

// ---- what it knows ----
schemas::Turn said(const std::string& role, const std::string& text) {
  schemas::Turn turn;
  turn.role = role;
  turn.text = text;
  return turn;
}
schemas::Turn did(const std::string& tool, const std::string& args, const std::string& result) {
  schemas::Turn turn = said("assistant", "");
  turn.calls.push_back(
      {.id = "c", .tool = tool, .args = test::json(args), .result = {schemas::End::ok, result}});
  return turn;
}

TEST(TeacherFacts, ARecordIsPickedByWhatTheUserSaysAndByTheLeastOrGreatest) {
  agent::Facts facts;
  facts.read(
      {said("user", "Close the running inspection of Bird Box with the earliest day."),
       did("find_cage", R"({"name":"Bird Box"})", R"({"items":[{"id":20007,"name":"Bird Box"}]})"),
       did("list_inspections", R"({"cage_id":20007})",
           R"({"items":[{"id":1,"cage_id":20007,"state":"closed","day":"2026-08-01"},
                               {"id":2,"cage_id":20007,"state":"running","day":"2026-08-20"}],
                      "next_offset":2})"),
       did("list_inspections", R"({"cage_id":20007,"offset":2})",
           R"({"items":[{"id":3,"cage_id":20007,"state":"running","day":"2026-08-27"}],
                      "next_offset":null})")});
  const auto cage = facts.find("20007", {});
  ASSERT_TRUE(cage.has_value());
  EXPECT_EQ(cage->field, "id");  // not the inspections' reference to it
  EXPECT_TRUE(facts.pick(*cage).only);
  const auto chosen = facts.find("2", {1});
  ASSERT_TRUE(chosen.has_value());
  const auto pick = facts.pick(*chosen);
  using Match = std::vector<std::pair<std::string, std::string>>;
  EXPECT_EQ(pick.match, (Match{{"state", "running"}}));
  EXPECT_EQ(pick.by, "day");
  EXPECT_TRUE(pick.least);
  EXPECT_EQ(pick.among, std::vector<std::string>{"2026-08-27"});  // of both pages, not the closed
  EXPECT_FALSE(facts.find("4", {}).has_value());
  EXPECT_TRUE(facts.user_says("bird box"));
  EXPECT_FALSE(facts.user_says("ird box"));
}

TEST(TeacherFacts, ALimitOfTheUsersIsSeen) {
  agent::Facts facts;
  facts.read(
      {said("user", "Pay all forms opened before 2026-02-03."),
       did("list_forms", "{}",
           R"({"items":[{"id":"F-1","opened":"2026-01-27"},{"id":"F-2","opened":"2026-02-10"},
                               {"id":"F-3","opened":"2026-01-27"}]})")});
  const auto pick = facts.pick(*facts.find("F-1", {}));
  EXPECT_EQ(pick.by, "opened");
  EXPECT_EQ(pick.limit, "2026-02-03");
  EXPECT_EQ(pick.side, -1);
}

// ---- what tells records apart ----
constexpr const char* kLoans = R"({"items":[
  {"id":1,"holder_id":"P-1","state":"running","due_date":"2031-03-01","fee":12},
  {"id":2,"holder_id":"P-2","state":"running","due_date":"2031-03-20","fee":7},
  {"id":3,"holder_id":"P-1","state":"returned","due_date":"2031-02-01","fee":9},
  {"id":4,"holder_id":"P-1","state":"running","due_date":"2031-03-25","fee":3}],"next_offset":null})";

std::string told_apart(const std::string& request, const std::set<std::string>& chosen) {
  agent::Facts facts;
  facts.read({said("user", request),
              did("find_person", R"({"name":"Ann"})", R"({"items":[{"id":"P-1","name":"Ann"}]})"),
              did("list_loans", "{}", kLoans)});
  const auto c = agent::criteria(facts, facts.beside(1), chosen, "2031-03-10");
  if (!c) return "nothing";
  std::string out = agent::text_of(c->conditions);
  if (!c->by.empty())
    out += (out.empty() ? "" : "; ") + std::string(c->least ? "least " : "greatest ") + c->by;
  return out + " of " + std::to_string(c->left.size());
}

TEST(TeacherCriteria, TheFewestWordsOfTheUsersTellRecordsApart) {
  EXPECT_EQ(told_apart("Return each running loan.", {"1", "2", "4"}), "running state of 3");
  EXPECT_EQ(told_apart("Return each running loan of Ann.", {"1", "4"}),
            "P-1 holder_id, running state of 2");
  EXPECT_EQ(told_apart("Return the overdue running loan.", {"1"}),
            "running state, due_date before 2031-03-10 of 1");
  EXPECT_EQ(told_apart("Return the running loan with the highest fee.", {"1"}),
            "running state; greatest fee of 3");
  EXPECT_EQ(told_apart("Return the loan whose fee is 9.", {"3"}), "9 fee of 1");
  EXPECT_EQ(told_apart("Return them all.", {"1", "2", "3", "4"}), " of 4");
  // What the user said is said also where it takes no part: that shows only once all is read.
  EXPECT_EQ(told_apart("Return the running loan with the lowest fee.", {"4"}),
            "running state; least fee of 3");
}

TEST(TeacherCriteria, ARecordIsMeantByTheNameThatTheUserSays) {
  agent::Facts facts;
  const auto people = R"({"items":[{"id":"P-1","name":"Ann"},{"id":"P-2","name":"Bo"}]})";
  facts.read({said("user", "Return the loan of Bo."), did("list_people", "{}", people),
              did("list_loans", "{}", kLoans)});
  ASSERT_TRUE(facts.named("P-2").has_value());
  EXPECT_EQ(facts.named("P-2")->field, "name");
  EXPECT_FALSE(facts.named("P-1").has_value());
  const auto c = agent::criteria(facts, facts.beside(1), {"2"}, "2031-03-10");
  ASSERT_TRUE(c.has_value());
  EXPECT_EQ(agent::text_of(c->conditions), "P-2 holder_id");
}

TEST(TeacherCriteria, WhatNobodyToldOfIsNoReason) {
  EXPECT_EQ(told_apart("Return it.", {"3"}), "nothing");  // though it alone is returned
}

TEST(TeacherCriteria, WhatTwoConditionsDoNotTellApartIsNotExplained) {
  EXPECT_EQ(told_apart("Return some.", {"2", "3"}), "nothing");
  EXPECT_EQ(told_apart("Return some.", {"9"}), "nothing");
}

TEST(TeacherMistake, NothingThatWritesCanBeRun) {
  const auto environment = test::clinic_world::environment();
  auto task = test::clinic_tasks("e")[1].task;
  const agent::Offered offered(environment, task);
  const std::vector<schemas::Turn> turns{said("system", ""), said("user", task.prompt)};
  const agent::View view{environment, task, offered, turns, 1000};
  agent::Facts facts;
  facts.read(turns);
  std::set<agent::MistakeKind> kinds;
  for (std::uint64_t seed = 0; seed < 400; ++seed) {
    Rng rng = rng_for(seed, "mistakes", 0, "test");
    const agent::ReplyCall right{"", "cancel", test::json(R"({"booking_id":"B-302"})")};
    const auto made = agent::make_mistake(view, right, facts, rng);
    ASSERT_TRUE(made.has_value());
    kinds.insert(made->kind);
    EXPECT_FALSE(made->call.tool == right.tool && made->call.args == right.args);
    for (const auto& tool : environment.tools) {
      if (tool.name != made->call.tool) continue;
      const bool writes = std::any_of(tool.program.steps.begin(), tool.program.steps.end(),
                                      [](const auto& s) { return s.run || s.each; });
      const auto schema = schemas::JsonSchema::compile(tool.input);
      ASSERT_TRUE(schema.ok());
      EXPECT_TRUE(!writes || !schema->validate(made->call.args).empty()) << dump(made->call.args);
    }
  }
  EXPECT_GE(kinds.size(), 4U);
  EXPECT_EQ(kinds.count(agent::MistakeKind::unknown_id), 0U);  // cancel writes
}

TEST(TeacherMistake, ANameIsSoughtAmongRecordsOfAnotherKind) {
  auto environment = test::clinic_world::environment();
  for (const char* name : {"find_doctor", "find_patient"}) {
    schemas::Tool tool;
    tool.name = name;
    tool.input = test::json(R"({"type":"object","properties":{"name":{"type":"string"}},
                                "required":["name"],"additionalProperties":false})");
    environment.tools.push_back(std::move(tool));
  }
  auto task = test::clinic_tasks("e")[1].task;
  task.prompt = "Please call the patient Ada Lovelace.";
  const agent::Offered offered(environment, task);
  const std::vector<schemas::Turn> turns{said("system", ""), said("user", task.prompt)};
  const agent::View view{environment, task, offered, turns, 1000};
  agent::Facts facts;
  facts.read(turns);
  Rng rng = rng_for(1, "mistakes", 0, "test");
  const agent::ReplyCall right{"", "find_patient", test::json(R"({"name":"Ada Lovelace"})")};
  const auto made = agent::make_wrong_tool(view, right, facts, true, rng);
  ASSERT_TRUE(made.has_value());
  EXPECT_EQ(made->kind, agent::MistakeKind::other_finder);
  EXPECT_EQ(made->call.tool, "find_doctor");
  EXPECT_EQ(made->call.args, right.args);
  const auto named = agent::make_wrong_tool(view, right, facts, false, rng);
  ASSERT_TRUE(named.has_value());
  EXPECT_EQ(named->kind, agent::MistakeKind::tool_name);
  EXPECT_NE(named->call.tool, right.tool);
}

}  // namespace
}  // namespace seedbed
