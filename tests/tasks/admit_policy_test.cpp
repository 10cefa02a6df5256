// G8 and G13: wrong ways around a rule, and mutants of the verifier.
#include "admit_fixture.h"

namespace seedbed::tasks {
namespace {

class PolicyTest : public AdmitTest {
 protected:
  const schemas::GateResult& gate(const AdmittedTask& task, const std::string& name) {
    for (const auto& g : task.certificate().gates)
      if (g.gate == name) return g;
    ADD_FAILURE() << "no " << name;
    static const schemas::GateResult none;
    return none;
  }
  AdmittedTask admitted(Draft d) {
    auto result = admit(std::move(d));
    const auto* rejected = std::get_if<Rejected>(&result);
    EXPECT_EQ(rejected, nullptr) << rejected->gate << ": " << rejected->why;
    return rejected == nullptr ? std::get<AdmittedTask>(std::move(result)) : AdmittedTask();
  }
  static bool has(const std::vector<std::string>& lines, const std::string& part) {
    return std::any_of(lines.begin(), lines.end(), [&](const std::string& line) {
      return line.find(part) != std::string::npos;
    });
  }
  // Nobody gets the tier gold; tools allow it.
  Draft with_rule(Draft d) {
    d.verifier.obligations = {
        {"no_gold", "set_tier", "tier is not gold", "SELECT :tier <> 'gold'"}};
    return d;
  }
};

TEST_F(PolicyTest, G8SaysWhereNoRuleApplies) {
  const auto task = admitted(lookup());
  EXPECT_EQ(gate(task, "G8").checked, 0);
  EXPECT_EQ(gate(task, "G8").note, "no rule applies to this task");
}

TEST_F(PolicyTest, G8JudgesTheNearMissesOfPolicyInPlaceOfG6) {
  Draft d = with_rule(achieve());
  d.gold.near_misses.push_back(
      {"duty_omitted", {step("cancel", {{"booking_id", "B-303"}}), submit({})}});
  const auto task = admitted(d);
  EXPECT_NE(gate(task, "G8").note.find("1 near misses"), std::string::npos)
      << gate(task, "G8").note;
  d.gold.near_misses.back().steps[0] = step("cancel", {{"booking_id", "B-302"}});
  rejects(d, "G8", "near miss duty_omitted solves it");
  d.gold.near_misses.back().name = "sibling_row";
  rejects(d, "G6", "near miss sibling_row solves it");
}

TEST_F(PolicyTest, G8BreaksTheRuleItselfAndTakesItBack) {
  const auto task = admitted(with_rule(achieve()));
  EXPECT_GT(gate(task, "G8").checked, 0) << gate(task, "G8").note;
  // The tier can be set back, so the transcript alone tells who broke the rule: the mutant without
  // the rule dies.
  EXPECT_FALSE(has(task.certificate().mutation->survivors, "obligation"));
  EXPECT_FALSE(has(task.certificate().mutation->implied, "obligation"));
}

TEST_F(PolicyTest, G8RefusesAVerifierThatLetsARefusalBeAnswered) {
  const auto task = admitted(refuse());
  EXPECT_GT(gate(task, "G8").checked, 0);
}

TEST_F(PolicyTest, G13KillsTheMutantsOfEveryPart) {
  for (const auto& draft : {lookup(), achieve(), refuse(), choose(), with_rule(achieve())}) {
    const auto task = admitted(draft);
    const auto& score = task.certificate().mutation;
    ASSERT_TRUE(score) << draft.task.kind;
    EXPECT_GE(score->made, 5) << draft.task.kind;
    EXPECT_GE(score->weaker, 2) << draft.task.kind;
    std::string left;
    for (const auto& name : score->survivors) left += name + "; ";
    EXPECT_GE(100 * score->weaker_killed, 90 * score->weaker) << draft.task.kind << ": " << left;
    EXPECT_EQ(score->made - score->killed, static_cast<int>(score->survivors.size()));
  }
}

TEST_F(PolicyTest, G13CountsWhatAnotherPartSaysAsImplied) {
  Draft d = achieve();
  d.verifier.post = {{"goal", "cancelled", "SELECT 1"}};
  const auto task = admitted(d);
  EXPECT_TRUE(has(task.certificate().mutation->implied, "post:goal"));
  EXPECT_TRUE(has(admitted(lookup()).certificate().mutation->implied, "outcome"));
}

TEST_F(PolicyTest, G13RefusesATaskWhoseVerifierNoPlayTests) {
  // Two of three conditions can never fail alone: nobody would notice their loss.
  Draft d = choose();
  d.verifier.choose.push_back({"same", "as room", d.verifier.choose[0].sql});
  d.verifier.choose.push_back({"again", "as room", d.verifier.choose[0].sql});
  const auto result = admit(d);
  if (const auto* rejected = std::get_if<Rejected>(&result)) {
    EXPECT_EQ(rejected->gate, "G13") << rejected->why;
  } else {
    const auto& score = *std::get<AdmittedTask>(result).certificate().mutation;
    EXPECT_TRUE(has(score.implied, "choose:same")) << score.survivors.size();
  }
}

}  // namespace
}  // namespace seedbed::tasks
