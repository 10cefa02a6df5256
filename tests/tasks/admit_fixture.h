// Drafts over the clinic that pass every gate, and what a test does with them.
#pragma once
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "judge_clinic.h"

namespace seedbed::tasks {

using clinic::args;
using clinic::call;
using schemas::AnswerType;
using schemas::ChangeKind;
using schemas::GoldKind;
using schemas::GoldStep;
using schemas::Outcome;
using schemas::Value;

inline GoldStep step(const std::string& tool, std::vector<std::pair<std::string, Value>> members) {
  return {GoldKind::call, tool, args(std::move(members)), "", {}, {}};
}
inline GoldStep submit(std::vector<std::pair<std::string, Value>> members) {
  return {GoldKind::submit, "", args(std::move(members)), "", {}, {}};
}
inline GoldStep say(const std::string& text) {
  return {GoldKind::say, "", {}, text, {}, {}};
}

inline Value object_schema(std::vector<std::pair<std::string, Value>> properties) {
  Value required = Value::array();
  for (const auto& [name, schema] : properties) required.push(name);
  return args({{"type", "object"},
               {"properties", args(std::move(properties))},
               {"required", required},
               {"additionalProperties", false}});
}
inline const Value kInteger = args({{"type", "integer"}});
inline const Value kText = args({{"type", "string"}});

class AdmitTest : public testing::Test {
 protected:
  void SetUp() override { open(); }

  void open() {
    auto player = clinic::player(env_);
    const auto play = player.play;
    player.play = [this, play](const Plans& plans) {
      return ++frames_, plans_ += plans.size(), play(plans);
    };
    player.digest = [this]() -> Result<std::string> {
      return ++digests_ == broken_digest_ ? std::string(32, '0') : env_.image_hash;
    };
    auto oracle = clinic::oracle();
    const auto run = oracle.run;
    oracle.run = [this, run](const std::vector<schemas::ToolCall>& calls) {
      auto steps = run(calls);
      for (std::size_t i = 0; i < calls.size(); ++i)
        if (!lie_about_.empty() && dump(calls[i].args).find(lie_about_) != std::string::npos)
          (*steps)[i].ok = !(*steps)[i].ok;
      return steps;
    };
    if (broken_initial_)
      oracle.initial = []() -> Result<std::vector<std::string>> {
        return std::vector<std::string>{"booking|B-1"};
      };
    auto opened = Admission::open(env_, clinic::image(), player, oracle, 7);
    ASSERT_TRUE(opened.ok()) << opened.error().message;
    rejected_ = Rejected{};
    if (auto* admission = std::get_if<std::unique_ptr<Admission>>(&*opened))
      admission_ = std::move(*admission);
    else
      rejected_ = std::get<Rejected>(*opened);
  }

  Draft base(const std::string& kind, const std::string& prompt) {
    Draft d;
    d.task.environment_id = schemas::environment_id(env_);
    d.task.kind = kind, d.task.prompt = prompt;
    d.task.submit_schema = object_schema({});
    return d;
  }
  Draft lookup() {
    Draft d = base("lookup", "What does Bo AHal owe for the visit, in cents?");
    d.task.submit_schema = object_schema({{"fee", kInteger}});
    d.gold.steps = {step("find_person", {{"name", "Bo AHal"}}),
                    step("list_bookings", {{"person_id", "P-102"}}), submit({{"fee", 1037}})};
    d.verifier.answer = {{"fee", AnswerType::integer, {"1037"}}};
    return d;
  }
  Draft achieve() {
    Draft d = base("achieve", "Please cancel the booking of Bo AHal.");
    d.gold.steps = {step("find_person", {{"name", "Bo AHal"}}),
                    step("list_bookings", {{"person_id", "P-102"}}),
                    step("cancel", {{"booking_id", "B-302"}}), submit({})};
    d.gold.near_misses = {{"sibling_row", {step("cancel", {{"booking_id", "B-303"}}), submit({})}}};
    d.gold.variants = {{step("list_slots", {}), step("find_person", {{"name", "Bo AHal"}}),
                        step("list_bookings", {{"person_id", "P-102"}}),
                        step("cancel", {{"booking_id", "B-302"}}), submit({})}};
    d.verifier.delta = {{ChangeKind::set, "booking", "B-302", "state", "cancelled", {}},
                        {ChangeKind::set, "slot", "S-202", "free", 3, {}}};
    return d;
  }
  Draft refuse() {
    Draft d = base("refuse", "Please cancel the booking of Ada AAda.");
    d.gold.steps = {step("find_person", {{"name", "Ada AAda"}}),
                    step("list_bookings", {{"person_id", "P-101"}}),
                    {GoldKind::refuse,
                     "",
                     args({{"reason_code", "gold_member"},
                           {"evidence_ids", Value(Value::Array{"P-101", "B-301"})}}),
                     "",
                     {},
                     {}}};
    d.verifier.outcome = Outcome::refuse;
    d.verifier.refuse_codes = {"gold_member"};
    d.verifier.refuse_evidence = {"P-101", "B-301"};
    return d;
  }
  Draft choose() {
    Draft d = base("choose",
                   "Name a slot with room for at least 4 that starts before minute 9000300 and has "
                   "id below S-220.");
    d.task.submit_schema = object_schema({{"slot_id", kText}});
    d.task.knobs = {{"feasible", 2}, {"space", 30}};
    d.gold.steps = {step("list_slots", {}), submit({{"slot_id", "S-202"}})};
    d.verifier.choose = {{"room", "capacity >= 4 and start < 9000240",
                          "SELECT count(*) > 0 FROM v_slot WHERE id = :slot_id AND capacity >= 5 - "
                          "1 AND start < 9000200"}};
    return d;
  }
  Draft ask() {
    Draft d = lookup();
    d.task.kind = "ask";
    d.task.prompt = "What do I owe for my visit, in cents?";
    d.task.user = schemas::UserScript{
        .reveals = {{{"name"}, "I am Bo AHal."}}, .fallback = "I do not know.", .max_replies = 3};
    d.gold.steps.insert(d.gold.steps.begin(), say("What is your name?"));
    return d;
  }

  std::variant<AdmittedTask, Rejected> admit(Draft d) {
    auto result = admission_->admit(std::move(d));
    EXPECT_TRUE(result.ok()) << result.error().message;
    if (!result.ok()) return Rejected{"error", result.error().message};
    return *std::move(result);
  }
  void passes(const Draft& d) {
    const auto result = admit(d);
    const auto* rejected = std::get_if<Rejected>(&result);
    EXPECT_EQ(rejected, nullptr) << d.task.kind << ": " << rejected->gate << ": " << rejected->why;
  }
  void rejects(const Draft& d, const std::string& gate, const std::string& word) {
    const auto result = admit(d);
    const auto* rejected = std::get_if<Rejected>(&result);
    ASSERT_NE(rejected, nullptr) << gate << " let it pass";
    EXPECT_EQ(rejected->gate, gate) << rejected->why;
    EXPECT_NE(rejected->why.find(word), std::string::npos) << rejected->why;
  }
  void opens_rejected(const std::string& gate, const std::string& word) {
    open();
    EXPECT_EQ(rejected_.gate, gate) << rejected_.why;
    EXPECT_NE(rejected_.why.find(word), std::string::npos) << rejected_.why;
  }

  schemas::Environment env_ = clinic::environment();
  std::unique_ptr<Admission> admission_;
  Rejected rejected_;
  int frames_ = 0, digests_ = 0, broken_digest_ = -1;
  std::size_t plans_ = 0;
  bool broken_initial_ = false;
  std::string lie_about_;
};

}  // namespace seedbed::tasks
