// G8: who breaks a rule that tools do not enforce, leaves out a duty, or refuses where an exception
// allows, fails. Whether a rule bears on a task is read from its verifier: obligations, or a
// refusal.
#include <algorithm>
#include <array>
#include <string_view>

#include "tasks/gates.h"
#include "tasks/judge_state.h"

namespace seedbed::tasks {
namespace {

using schemas::End;
using schemas::Obligation;
using schemas::Outcome;
using schemas::Stop;
using schemas::ToolCall;
using schemas::Value;

constexpr std::array<std::string_view, 4> kPolicyMisses = {"rule_ignored", "duty_omitted",
                                                           "exception_refused", "policy_shortcut"};
constexpr int kRandomCalls = 24;    // drawn to find one that breaks a rule
constexpr std::size_t kPlayed = 6;  // of those that break it
constexpr std::size_t kUndos = 24;
constexpr std::size_t kRulesATask = 2;

Result<bool> breaks(Kit& kit, const Obligation& rule, const Value& args) {
  SEEDBED_TRY(const bool held, kit.judge->state().holds(rule.sql, "obligation " + rule.rule, args));
  return !held;
}

// Calls of the rule's tool that break it in the initial state: known ones, then random ones.
Result<std::vector<ToolCall>> breaking_calls(Kit& kit, const Obligation& rule, BrokenRule& out) {
  std::vector<ToolCall> tried;
  for (const auto& call : kit.writes)
    if (call.tool == rule.tool) tried.push_back(call);
  const auto* tool = kit.tool(rule.tool);
  Rng rng = rng_for(kit.seed, kit.id, 0, "break " + rule.rule + " " + rule.tool);
  for (int n = 0; tool != nullptr && n < kRandomCalls; ++n)
    if (auto call = kit.random_call(*tool, kit.draw, rng)) tried.push_back(*std::move(call));
  std::vector<ToolCall> found;
  for (auto& call : tried) {
    if (found.size() == kPlayed) break;
    ++out.tried;
    SEEDBED_TRY(const bool broken, breaks(kit, rule, call.args));
    if (broken) found.push_back(std::move(call));
  }
  return found;
}

// Calls that may take back what `call` did: the same call with one other value, and every known
// write of another tool, pointed at the call's own records by the names of their arguments.
std::vector<ToolCall> undo_candidates(const Kit& kit, const ToolCall& call) {
  std::vector<ToolCall> out;
  const auto add = [&](ToolCall other) {
    const auto same = [&](const ToolCall& x) {
      return x.tool == other.tool && x.args == other.args;
    };
    if (out.size() < kUndos && !same(call) && std::none_of(out.begin(), out.end(), same) &&
        kit.schemas.at(other.tool).validate(other.args).empty())
      out.push_back(std::move(other));
  };
  const Value* properties = kit.tool(call.tool)->input.find("properties");
  for (const auto& [name, value] : call.args.members()) {
    const Value* schema = properties == nullptr ? nullptr : properties->find(name);
    for (auto& sibling :
         siblings(kit, schema == nullptr ? Value::object() : *schema, name, value, 4)) {
      ToolCall other = call;
      other.args.set(name, std::move(sibling));
      add(std::move(other));
    }
  }
  for (const auto& known : kit.writes) {
    ToolCall other = known;
    bool shares = false;
    for (auto& [name, value] : other.args.members())
      if (const Value* same = call.args.find(name); same != nullptr) value = *same, shares = true;
    if (shares && known.tool != call.tool) add(std::move(other));
  }
  return out;
}

Result<std::vector<PlayedPlan>> play(Kit& kit, const Plans& plans) {
  if (plans.empty()) return std::vector<PlayedPlan>();
  SEEDBED_TRY(auto played, kit.player.play(plans));
  for (std::size_t i = 0; i < plans.size(); ++i)
    if (played.size() != plans.size() || played[i].results.size() != plans[i].size())
      return make_error(Where::sandbox, "play", "admission",
                        "found another number of results than of calls", "replace the host");
  return played;
}

Step find_undo(Kit& kit, BrokenRule& out) {
  Plans plans;
  for (const auto& undo : undo_candidates(kit, *out.call)) plans.push_back({*out.call, undo});
  out.undos_tried = static_cast<int>(plans.size());
  auto played = play(kit, plans);
  if (!played.ok()) return played.error();
  for (std::size_t i = 0; i < plans.size(); ++i) {
    if ((*played)[i].results[1].end != End::ok) continue;
    auto left = kit.judge->difference((*played)[i].changes, 2);
    if (!left.ok()) return left.error();
    if (*left != LineDiff{}) continue;
    out.undo = plans[i][1];
    return std::nullopt;
  }
  return std::nullopt;
}

Result<const BrokenRule*> broken_rule(Kit& kit, const Obligation& rule) {
  const auto [it, is_new] = kit.broken_rules.try_emplace(rule.tool + "\n" + rule.sql);
  BrokenRule& out = it->second;
  if (!is_new) return &out;
  SEEDBED_TRY(const auto calls, breaking_calls(kit, rule, out));
  Plans plans;
  for (const auto& call : calls) plans.push_back({call});
  SEEDBED_TRY(const auto played, play(kit, plans));
  for (std::size_t i = 0; i < plans.size() && !out.call; ++i)
    if (played[i].results[0].end == End::ok && kit.writes_facts(played[i], 0)) out.call = calls[i];
  if (out.call)
    if (auto e = find_undo(kit, out)) return *std::move(e);
  return &out;
}

}  // namespace

bool is_policy_miss(const std::string& name) {
  return std::any_of(kPolicyMisses.begin(), kPolicyMisses.end(), [&](std::string_view miss) {
    return name.rfind(miss, 0) == 0 && (name.size() == miss.size() || name[miss.size()] == ' ');
  });
}

// A rule broken and taken back leaves the facts as they were: the transcript alone tells.
Step add_policy_trials(Case& c) {
  const auto& rules = c.draft.verifier.obligations;
  const auto start = static_cast<std::size_t>(c.draft.task.number);
  for (std::size_t n = 0, added = 0; n < rules.size() && added < kRulesATask; ++n) {
    const auto& rule = rules[(start + n) % rules.size()];
    auto broken = broken_rule(c.kit, rule);
    if (!broken.ok()) return broken.error();
    if (!(*broken)->call) continue;
    ++added;
    Script script = c.gold;
    if ((*broken)->undo) script.calls.insert(script.calls.begin(), *(*broken)->undo);
    script.calls.insert(script.calls.begin(), *(*broken)->call);
    c.add({.kind = Trial::Kind::wrong,
           .gate = "G8",
           .name = "breaks " + rule.rule + ((*broken)->undo ? " and takes it back" : ""),
           .script = std::move(script)});
  }
  return std::nullopt;
}

Result<GateOutcome> gate_g8_policy(Case& c) {
  const auto& verifier = c.draft.verifier;
  const bool refuses = verifier.outcome == Outcome::refuse;
  if (!refuses && verifier.obligations.empty())
    return GateOutcome(Passed{"G8", 0, "no rule applies to this task"});
  int misses = 0, broken = 0;
  const auto solves = [&](const Trial& trial) {
    return c.solves(trial.script, c.plays[static_cast<std::size_t>(trial.plan)]);
  };
  for (const auto& trial : c.trials) {
    if (trial.gate != "G8") continue;
    SEEDBED_TRY(const bool solved, solves(trial));
    if (solved)
      return GateOutcome(Rejected{"G8", trial.name + " solves it: " + show(trial.script)});
    ++(trial.name.rfind("near miss", 0) == 0 ? misses : broken);
  }
  if (refuses) {  // gold's reading, and then an answer as if the rule were not there
    Trial answers{.gate = "G8", .name = "answered instead of refused", .script = c.gold, .plan = 0};
    answers.script.stop = Stop::answered;
    answers.script.submitted = Value::object();
    SEEDBED_TRY(const bool solved, solves(answers));
    if (solved) return GateOutcome(Rejected{"G8", answers.name + " solves it"});
    ++broken;
  }
  std::string note = std::to_string(misses) + " near misses and " + std::to_string(broken) +
                     " plays beside a rule fail";
  if (misses + broken == 0)
    note = "rules bear on tools that the task does not need, and no call in this state breaks one";
  return GateOutcome(Passed{"G8", misses + broken, std::move(note)});
}

}  // namespace seedbed::tasks
