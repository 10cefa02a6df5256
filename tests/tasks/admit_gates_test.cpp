// Each gate refuses a draft built to violate exactly it; the drafts they start from pass all of
// them.
//
// G2, the prefixes of G3 and G7 cannot be violated by a draft: a verifier has no way to do without
// an outcome or to switch the frame off. What holds them is tested on the judge.
#include <gtest/gtest.h>

#include <algorithm>

#include "admit_fixture.h"

namespace seedbed::tasks {
namespace {

TEST_F(AdmitTest, HonestDraftsPassAndTheirCertificateNamesEveryGate) {
  for (const auto& draft : {lookup(), achieve(), refuse(), choose(), ask()}) {
    const int before = frames_;
    const auto result = admit(draft);
    const auto* rejected = std::get_if<Rejected>(&result);
    ASSERT_EQ(rejected, nullptr) << draft.task.kind << ": " << rejected->gate << ": "
                                 << rejected->why;
    // And one of play_again; what tasks share is played once more, first-match's call may be new.
    EXPECT_LE(frames_ - before, 4);
    const auto& certificate = std::get<AdmittedTask>(result).certificate();
    EXPECT_EQ(certificate.task_id, schemas::task_id(draft.task));
    std::string names;
    for (const auto& gate : certificate.gates) names += gate.gate + " ";
    EXPECT_EQ(names, "G1 G2 G3 G4 G5 G6 G7 G8 G9 G10 G11 G12 G13 G14 G15 G17 G18 ");
    for (const auto& gate : certificate.gates) {
      EXPECT_TRUE(gate.checked > 0 || gate.gate == "G8" || gate.gate == "G10" || gate.gate == "G12")
          << draft.task.kind << " " << gate.gate;
    }
  }
}

TEST_F(AdmitTest, TheSameDraftGivesTheSameCertificate) {
  const auto text = [&] {
    return dump_record(std::get<AdmittedTask>(admit(achieve())).certificate());
  };
  const auto first = text();
  EXPECT_EQ(text(), first);
  open();
  EXPECT_EQ(text(), first);
}

TEST_F(AdmitTest, BuildRefusesWhatIsNoTask) {
  const auto with = [&](auto&& f) {
    Draft d = achieve();
    f(d);
    return d;
  };
  rejects(with([](Draft& d) { d.verifier = {}; }), "build", "empty verifier");
  rejects(with([](Draft& d) { d.task.environment_id = "x"; }), "build", "environment");
  rejects(with([](Draft& d) { d.task.prompt.clear(); }), "build", "prompt");
  rejects(with([](Draft& d) { d.gold.steps.clear(); }), "build", "gold is empty");
  rejects(with([](Draft& d) { d.gold.steps.pop_back(); }), "build", "end in");
  rejects(with([](Draft& d) { d.gold.steps = {submit({})}; }), "build", "no call");
  rejects(with([](Draft& d) { d.gold.steps[0].tool = "find"; }), "build", "no tool");
  rejects(with([](Draft& d) { d.gold.steps[1].needs = {1}; }), "build", "not before");
  rejects(with([](Draft& d) { d.gold.steps.back().args.set("x", 1); }), "build", "submit_schema");
  rejects(with([](Draft& d) {
            d.task.submit_schema = args({{"type", "nothing"}});
          }),
          "build", "submit_schema");
  rejects(with([](Draft& d) {
            d.verifier.answer = {{"fee", AnswerType::integer, {"5"}}};
          }),
          "build", "no field");
  rejects(with([](Draft& d) { d.gold.steps.insert(d.gold.steps.begin(), say("hello")); }), "build",
          "user");
}

TEST_F(AdmitTest, G1RefusesGoldThatFailsOrDiffers) {
  Draft d = lookup();
  d.verifier.answer[0].accept = {"1038"};
  rejects(d, "G1", "answer:fee");
  d = achieve();
  d.gold.steps.insert(d.gold.steps.begin() + 2, d.gold.steps[2]);  // the second cancel fails
  d.gold.variants.clear();
  rejects(d, "G1", "wrong_state");
}

TEST_F(AdmitTest, G1RefusesAHostThatDiffersFromTheOther) {
  auto player = clinic::player(env_);
  player.play_again = [env = env_](const Plans& plans) {
    auto played = clinic::play(env, clinic::image(), plans);
    (*played)[0].results[0].out += " ";
    return played;
  };
  auto opened = Admission::open(env_, clinic::image(), player, clinic::oracle(), 7);
  ASSERT_TRUE(opened.ok());
  admission_ = std::get<std::unique_ptr<Admission>>(*std::move(opened));
  rejects(lookup(), "G1", "twice");
}

TEST_F(AdmitTest, G3RefusesAWriteThatNobodyMisses) {
  Draft d = achieve();
  d.task.prompt += " Then note that she called.";
  d.gold.variants.clear();
  d.gold.steps.insert(d.gold.steps.end() - 1,
                      step("note_person", {{"person_id", "P-102"}, {"note", "she called"}}));
  rejects(d, "G3", "last write");
}

TEST_F(AdmitTest, G4RefusesAnAnswerThatCanBeEchoed) {
  Draft d = lookup();
  d.task.kind = "if";
  d.task.prompt = "Whose booking costs more, that of Bo AHal or that of Cy ADi?";
  d.task.submit_schema = object_schema({{"name", kText}});
  d.gold.steps = {step("find_person", {{"name", "Bo AHal"}}),
                  step("list_bookings", {{"person_id", "P-102"}}), submit({{"name", "Bo AHal"}})};
  d.verifier.answer = {{"name", AnswerType::text, {"bo ahal"}}};
  rejects(d, "G4", "Bo AHal");
  d = choose();
  d.verifier.choose[0].sql = "SELECT 1";
  rejects(d, "G4", "submit{}");
}

TEST_F(AdmitTest, G5RefusesWhatARandomCallerSolves) {
  Draft d = base("choose", "Name a person who is no gold member.");
  d.task.submit_schema = object_schema({{"person_id", kText}});
  d.task.knobs = {{"feasible", 13}, {"space", 40}};
  d.gold.steps = {step("find_person", {{"name", "Bo AHal"}}), submit({{"person_id", "P-102"}})};
  d.task.prompt += " Bo AHal may be one.";
  d.verifier.choose = {
      {"plain", "tier = plain",
       "SELECT count(*) > 0 FROM v_person WHERE id = :person_id AND tier = 'plain'"}};
  rejects(d, "G5", "random caller");
}

TEST_F(AdmitTest, G6RefusesANearMissThatSolves) {
  Draft d = achieve();
  d.gold.near_misses.push_back(
      {"no_miss", {step("cancel", {{"booking_id", "B-302"}}), submit({})}});
  rejects(d, "G6", "near miss no_miss");
}

TEST_F(AdmitTest, G6RefusesAVerifierThatDoesNotPinAnArgument) {
  Draft d = base("achieve", "Please book slot S-203 for Bo AHal.");
  d.gold.steps = {step("find_person", {{"name", "Bo AHal"}}),
                  step("book", {{"person_id", "P-102"}, {"slot_id", "S-203"}}), submit({})};
  d.verifier.delta = {{ChangeKind::add, "booking", {}, "", {}, args({{"slot", "S-203"}})},
                      {ChangeKind::set, "slot", "S-203", "free", 3, {}}};
  rejects(d, "G6", "person_id");
  d.verifier.delta[0].row.set("holder", "P-102");
  passes(d);
}

TEST_F(AdmitTest, G9RefusesAVerifierThatFailsARightWay) {
  Draft d = achieve();
  d.verifier.obligations = {{"no_reading", "list_slots", "never", "SELECT 0"}};
  rejects(d, "G9", "obligation:no_reading");
}

TEST_F(AdmitTest, G10RefusesAnAnswerThatIsSaid) {
  Draft d = lookup();
  d.task.prompt += " I think it was 1,037.";
  rejects(d, "G10", "1037");
  d = refuse();
  d.task.prompt = "Please cancel booking B-301 of Ada AAda (P-101).";
  rejects(d, "G10", "evidence");
}

TEST_F(AdmitTest, G11RefusesAnArgumentOutOfNowhere) {
  Draft d = achieve();
  d.gold.variants.clear();
  d.gold.steps.erase(d.gold.steps.begin() + 1);
  rejects(d, "G11", "B-302");
  d.gold.steps[1].derived = {"booking_id"};
  passes(d);
  d = ask();
  d.gold.steps[0].text = "Who are you?";  // the user reveals nothing on this
  rejects(d, "G11", "Bo AHal");
}

TEST_F(AdmitTest, G12RefusesAmbiguityAndGuesses) {
  Draft d = lookup();
  d.verifier.answer[0].accept = {"1037", "1000"};
  rejects(d, "G12", "2 answers");
  d.verifier.answer[0].accept = {"1037", "1,037.0"};  // one form, written twice
  passes(d);
  d = lookup();
  d.task.knobs = {{"references_unique", 0}};
  rejects(d, "G12", "reference");
  d = lookup();
  d.task.prompt = "How many bookings has Bo AHal?";
  d.gold.steps.back() = submit({{"fee", 1}});
  d.gold.steps.back().derived = {"fee"};
  d.verifier.answer[0].accept = {"1"};
  rejects(d, "G12", "second field");
  d = choose();
  d.task.knobs[0].value = 16;
  rejects(d, "G12", "16 of 30");
  d.task.knobs.clear();
  rejects(d, "G12", "knobs");
}

TEST_F(AdmitTest, G14RefusesWhatTheOracleDoesNotSee) {
  lie_about_ = "?Bo AHal";  // a call that only the retry of this task makes
  rejects(lookup(), "G14", "find_person");
  lie_about_.clear();
  passes(lookup());
}

TEST_F(AdmitTest, G15RefusesWhatTheFirstMatchingToolSolves) {
  Draft d = lookup();  // its prompt names neither a tool nor what it lists
  passes(d);
  d.task.prompt = "What does the booking of Bo AHal cost, in cents?";
  rejects(d, "G15", "first-match solves it with 2 calls");
}

TEST_F(AdmitTest, G17RefusesAResetThatIsNotExact) {
  broken_digest_ = digests_ + 1;
  rejects(lookup(), "G17", "0000");
  passes(lookup());
}

TEST_F(AdmitTest, G18RefusesGoldBeyondTheBudget) {
  Draft d = achieve();
  d.task.budget.max_calls = 2;
  rejects(d, "G18", "budget");
  d = achieve();
  d.task.budget.max_turns = 3;
  rejects(d, "G18", "budget");
  d = achieve();
  d.task.budget.output_kib = 0;
  rejects(d, "G18", "KiB");
}

TEST_F(AdmitTest, EnvironmentsThatCannotBeTrustedAreRefused) {
  const auto good = env_;
  broken_initial_ = true;
  opens_rejected("G14", "initial facts");
  broken_initial_ = false;
  lie_about_ = "S-2";
  opens_rejected("G14", "oracle");
  lie_about_.clear();
  broken_digest_ = digests_ + 1;
  opens_rejected("G17", "0000");
  env_.policy.reasons.pop_back();
  opens_rejected("build", "5 reason codes");
  env_ = good, env_.image_hash = "x";
  opens_rejected("build", "image_hash");
  env_ = good, env_.tools.push_back(env_.tools[0]);
  opens_rejected("build", "find_person");
  env_ = good, env_.views[0].columns[0] = "colour";
  opens_rejected("build", "v_person");
  env_ = good, env_.tools[0].input.set(
                   "properties", args({{"name", args({{"type", "string"}, {"pattern", "("}})}}));
  opens_rejected("build", "pattern");
  env_ = good, env_.tools[0].input.set(
                   "properties", args({{"name", args({{"type", "string"}, {"minLength", 500}})}}));
  opens_rejected("build", "no schema-valid call");
}

}  // namespace
}  // namespace seedbed::tasks
