// Gates on what was played: gold twice, mutants, stray writes, other right ways, the second oracle,
// the reset.
#include <algorithm>
#include <set>

#include "tasks/gates.h"

namespace seedbed::tasks {
namespace {

using schemas::End;
using schemas::Outcome;
using schemas::Value;
using Kind = Trial::Kind;

constexpr std::size_t kStrayTools = 3;  // different ones, where the environment has as many

GateOutcome rejected(const char* gate, std::string why) {
  return Rejected{gate, std::move(why)};
}

const PlayedPlan& play_of(const Case& c, const Trial& trial) {
  return c.plays[static_cast<std::size_t>(trial.plan)];
}

bool same_results(const PlayedPlan& a, const PlayedPlan& b) {
  return a.changes == b.changes &&
         std::equal(a.results.begin(), a.results.end(), b.results.begin(), b.results.end(),
                    [](const auto& x, const auto& y) { return x.end == y.end && x.out == y.out; });
}

Result<LineDiff> facts_after(const Case& c, const Trial& trial) {
  return c.kit.judge->difference(play_of(c, trial).changes,
                                 static_cast<int>(trial.script.calls.size()));
}

// A choice may have several right ways, so a mutant of it may be right too; a delta has one.
bool many_ways(const Case& c) {
  return !c.draft.verifier.choose.empty() || !c.draft.verifier.post.empty();
}

}  // namespace

Result<GateOutcome> gate_g1_gold(Case& c) {
  const PlayedPlan& second = c.plays.front();
  for (std::size_t i = 0; i < c.gold.calls.size(); ++i)
    if (second.results[i].end != End::ok)
      return rejected("G1", "gold's call " + std::to_string(i) + " " + c.gold.calls[i].tool +
                                dump(c.gold.calls[i].args) +
                                " fails: " + second.results[i].out.substr(0, 200));
  if (!same_results(c.first, second))
    return rejected("G1", "gold does not come out the same twice: " + show(c.gold));
  Episode episode{.calls = c.gold.calls,
                  .results = second.results,
                  .changes = second.changes,
                  .stop = c.gold.stop,
                  .submitted = c.gold.submitted};
  SEEDBED_TRY(const auto verdict, c.kit.judge->judge(c.draft.verifier, episode));
  if (!verdict.solved)
    return rejected("G1", "gold is not solved: " + verdict.why + "; " + show(c.gold));
  std::size_t bytes = 0;
  for (const auto& result : second.results) bytes += result.out.size();
  if (bytes > static_cast<std::size_t>(std::max(0, c.draft.task.budget.output_kib)) * 1024)
    return rejected("G18", "gold reads " + std::to_string(bytes) + " bytes, the budget is " +
                               std::to_string(c.draft.task.budget.output_kib) + " KiB");
  SEEDBED_TRY(c.gold_facts,
              c.kit.judge->difference(second.changes, static_cast<int>(c.gold.calls.size())));
  return GateOutcome(Passed{"G1", 2, "same transcript in two hosts"});
}

Result<GateOutcome> gate_g6_mutants(Case& c) {
  int failed = 0, same = 0, also_right = 0, misses = 0;
  for (const auto& trial : c.trials) {
    if (trial.kind != Kind::mutant && trial.kind != Kind::wrong) continue;
    if (trial.gate == "G8") continue;
    if (trial.gate == "G3") {  // judged there, and failed
      ++failed;
      continue;
    }
    SEEDBED_TRY(const bool solved, c.solves(trial.script, play_of(c, trial)));
    if (!solved) {
      ++(trial.kind == Kind::wrong ? misses : failed);
      continue;
    }
    if (c.kit.env.server && trial.kind == Kind::mutant &&
        trial.script.calls.size() < c.gold.calls.size() &&
        !same_rows_after(play_of(c, trial).changes, c.plays.front().changes))
      return rejected("G6",
                      "gold " + trial.name + " solves it too: nothing judges what that changes");
    SEEDBED_TRY(const LineDiff facts, facts_after(c, trial));
    if (trial.kind == Kind::mutant && facts == c.gold_facts)
      ++same;
    else if (trial.kind == Kind::mutant && many_ways(c))
      ++also_right;
    else
      return rejected("G6", trial.name + " solves it: " + show(trial.script));
  }
  for (const auto& args : mutated_submissions(c)) {
    Script script = c.gold;
    script.submitted = args;
    SEEDBED_TRY(const bool solved, c.solves(script, c.plays.front()));
    if (!solved)
      ++failed;
    else if (many_ways(c))
      ++also_right;
    else
      return rejected("G6", "another submission solves it: " + dump(args));
  }
  if (failed == 0)
    return rejected("G6", "no mutant of gold fails (" + std::to_string(same) + " change nothing, " +
                              std::to_string(also_right) + " are right too)");
  std::string note =
      std::to_string(failed) + " mutants and " + std::to_string(misses) + " near misses fail";
  if (same > 0) note += ", " + std::to_string(same) + " equal gold";
  if (also_right > 0) note += ", " + std::to_string(also_right) + " are right too";
  return GateOutcome(Passed{"G6", failed + misses, std::move(note)});
}

Result<GateOutcome> gate_g7_stray(Case& c) {
  std::set<std::string> known, seen;  // tools that write; those whose stray took effect
  for (const auto& call : c.kit.writes) known.insert(call.tool);
  const std::size_t wanted = std::min(kStrayTools, known.size());
  int effective = 0;
  std::size_t at = 0;
  for (int round = 0; round < 2 && (effective == 0 || seen.size() < wanted); ++round) {
    if (round == 1) add_more_strays(c, seen);
    if (auto e = c.play()) return *std::move(e);
    for (; at < c.trials.size(); ++at) {
      const auto& trial = c.trials[at];
      if (trial.kind != Kind::stray || play_of(c, trial).results.back().end != End::ok) continue;
      SEEDBED_TRY(const LineDiff facts, facts_after(c, trial));
      if (facts == c.gold_facts) continue;  // wrote nothing that shows
      ++effective;
      seen.insert(trial.script.calls.back().tool);
      SEEDBED_TRY(const bool solved, c.solves(trial.script, play_of(c, trial)));
      if (solved)
        return rejected("G7", "gold and a " + trial.name + " solves it: " + show(trial.script));
    }
  }
  const auto& tools = c.kit.env.tools;
  if (effective == 0 && std::any_of(tools.begin(), tools.end(), may_write))
    return rejected("G7", "no stray write took effect after gold");
  return GateOutcome(Passed{
      "G7", effective,
      effective == 0 ? "no tool of the environment writes"
                     : "stray writes of " + std::to_string(seen.size()) + " tools after gold"});
}

Result<GateOutcome> gate_g9_other_ways(Case& c) {
  int checked = 0, variants = 0;
  for (const auto& trial : c.trials) {
    if (trial.gate != "G9") continue;
    const auto& played = play_of(c, trial);
    if (trial.kind == Kind::retry) {
      const auto at = static_cast<std::size_t>(trial.retried);
      if (played.results[at].end == End::ok) continue;  // it did not fail after all
      if (std::any_of(played.changes.begin(), played.changes.end(),
                      [&](const auto& x) { return x.call == trial.retried; }))
        return rejected("G9",
                        "a failed call of " + trial.script.calls[at].tool + " changed the state");
    }
    SEEDBED_TRY(const bool solved, c.solves(trial.script, played));
    if (!solved) {
      const Script& s = trial.script;
      SEEDBED_TRY(const auto verdict,
                  c.kit.judge->judge(c.draft.verifier, {s.calls, played.results, played.changes,
                                                        s.stop, s.submitted}));
      return rejected("G9", "gold, " + trial.name + ", fails: " + verdict.why + "; " + show(s));
    }
    ++checked;
    variants += trial.name.rfind("variant", 0) == 0 ? 1 : 0;
  }
  const auto spelled = respelled_submissions(c);
  for (const auto& args : spelled) {
    Script script = c.gold;
    script.submitted = args;
    SEEDBED_TRY(const bool solved, c.solves(script, c.plays.front()));
    ++checked;
    if (!solved) return rejected("G9", "the right answer spelled " + dump(args) + " fails");
  }
  return GateOutcome(Passed{"G9", checked,
                            std::to_string(variants) + " permutations, " +
                                std::to_string(spelled.size()) +
                                " spellings, extra reads, a retry"});
}

Result<GateOutcome> gate_g14_oracle(Case& c) {
  int steps = 0;
  for (std::size_t i = 0; i < c.plans.size(); ++i) {
    SEEDBED_TRY(const std::string differs, oracle_differs(c.kit, c.plans[i], c.plays[i]));
    if (!differs.empty())
      return rejected(
          "G14", differs + "; in " +
                     show({.calls = c.plans[i], .stop = schemas::Stop::stopped, .submitted = {}}));
    steps += static_cast<int>(c.plans[i].size());
  }
  return GateOutcome(Passed{
      "G14", steps, std::to_string(c.plans.size()) + " plans, facts and outcome of every step"});
}

Result<GateOutcome> gate_g15_ladder(Case& c) {
  SEEDBED_TRY(auto outcome, c.kit.ladder->gate(c.draft));
  if (auto* passed = std::get_if<schemas::GateResult>(&outcome))
    return GateOutcome(std::move(*passed));
  return GateOutcome(std::get<Rejected>(std::move(outcome)));
}

Result<GateOutcome> gate_g17_reset(Case& c) {
  SEEDBED_TRY(const std::string digest, c.kit.player.digest());
  if (digest != c.kit.image_hash)
    return rejected("G17", "after the plays the host's state is " + digest + ", the image is " +
                               c.kit.image_hash);
  return GateOutcome(Passed{"G17", 1, std::to_string(c.plans.size()) + " plans before it"});
}

}  // namespace seedbed::tasks
