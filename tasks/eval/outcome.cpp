#include "tasks/eval/outcome.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "tasks/diversity/facts.h"

namespace seedbed::tasks::eval {
namespace {

using schemas::GoldKind;
using schemas::GoldStep;
using schemas::Outcome;
using schemas::Stop;
using schemas::ToolCall;
using schemas::Trajectory;
using schemas::Value;
using schemas::Verdict;

// Replies and calls that could not be read, among all that were made.
bool mostly_unreadable(const Trajectory& t) {
  std::int64_t calls = 0, bad_calls = 0;
  for (const auto& turn : t.turns)
    for (const auto& call : turn.calls) {
      ++calls;
      bad_calls += call.malformed ? 1 : 0;
    }
  const std::int64_t bad_replies = std::max<std::int64_t>(0, t.malformed_calls - bad_calls);
  return t.malformed_calls > 0 && 2 * std::int64_t{t.malformed_calls} >= calls + bad_replies;
}

bool fails(const Verdict& verdict, std::initializer_list<std::string_view> parts) {
  return std::any_of(verdict.parts.begin(), verdict.parts.end(), [&](const auto& part) {
    if (part.holds) return false;
    const auto name = std::string_view(part.name).substr(0, part.name.find(':'));
    return std::find(parts.begin(), parts.end(), name) != parts.end();
  });
}

// The gold call's arguments, all of them, are among the made call's; a read may say more than it
// must (a page of its own, an argument's default).
bool same_arguments(const Value& gold, const Value& made, bool exact) {
  if (exact || !gold.is_object() || !made.is_object()) return gold == made;
  return std::all_of(gold.members().begin(), gold.members().end(), [&](const auto& member) {
    const Value* other = made.find(member.first);
    return other != nullptr && *other == member.second;
  });
}

struct Missing {
  bool tool = false;      // one of the wanted steps' tools was not called at all
  bool argument = false;  // called, but not so
};
// Each made call stands for one step at most where `exact`.
Missing missing_of(const std::vector<const GoldStep*>& wanted,
                   const std::vector<const ToolCall*>& made,
                   bool exact) {
  Missing out;
  std::vector<bool> used(made.size());
  for (const auto* step : wanted) {
    bool tool = false, whole = false;
    for (std::size_t i = 0; i < made.size() && !whole; ++i) {
      if (made[i]->tool != step->tool) continue;
      tool = true;
      if (used[i] || !same_arguments(step->args, made[i]->args, exact)) continue;
      whole = true;
      used[i] = exact;
    }
    out.tool = out.tool || !tool;
    out.argument = out.argument || (tool && !whole);
  }
  return out;
}

// The state is not what was asked for: the calls that wrote against the plan's that write.
ErrorClass of_state(const std::set<std::string>& writers,
                    const std::vector<const GoldStep*>& plan,
                    const Episode& episode) {
  std::set<std::int32_t> wrote;
  for (const auto& change : episode.changes) wrote.insert(change.call);
  std::vector<const ToolCall*> calls, writes;
  for (std::size_t i = 0; i < episode.calls.size(); ++i) {
    calls.push_back(&episode.calls[i]);
    if (wrote.count(static_cast<std::int32_t>(i)) != 0) writes.push_back(&episode.calls[i]);
  }
  std::vector<const GoldStep*> wanted;
  std::set<std::string> tools;
  for (const auto* step : plan)
    if (writers.count(step->tool) != 0) {
      wanted.push_back(step);
      tools.insert(step->tool);
    }
  for (const auto* call : writes)
    if (tools.count(call->tool) == 0) return ErrorClass::wrong_tool;
  if (missing_of(wanted, calls, true).tool) return ErrorClass::wrong_tool;
  const auto of_writes = missing_of(wanted, writes, true);
  if (of_writes.tool || of_writes.argument || writes.size() > wanted.size())
    return ErrorClass::wrong_argument;
  return ErrorClass::wrong_tool;  // the right calls at the wrong time
}

}  // namespace

ErrorClass error_class(const schemas::Environment& env,
                       const schemas::Verifier& verifier,
                       const schemas::Gold& gold,
                       const Trajectory& trajectory,
                       const Episode& episode) {
  const Stop stop = trajectory.stop;
  const bool ended = stop == Stop::answered || stop == Stop::refused;
  if (!ended && mostly_unreadable(trajectory)) return ErrorClass::malformed;
  if (!ended)
    return stop == Stop::stopped || stop == Stop::broken ? ErrorClass::gave_up
                                                         : ErrorClass::out_of_budget;
  const bool submits = verifier.outcome == Outcome::submit;
  if (submits && stop == Stop::refused) return ErrorClass::gave_up;
  if (!submits && stop == Stop::answered) return ErrorClass::rule_broken;
  const Verdict& verdict = trajectory.verdict;
  if (fails(verdict, {"obligation"})) return ErrorClass::rule_broken;

  std::set<std::string> writers;
  for (const auto& tool : env.tools)
    if (diversity::role_of(tool) == diversity::Role::write) writers.insert(tool.name);
  std::vector<const GoldStep*> plan;
  for (const auto& step : gold.steps)
    if (step.kind == GoldKind::call) plan.push_back(&step);
  if (fails(verdict, {"delta", "frame", "post"})) return of_state(writers, plan, episode);

  // The state is right, so what was written is: what was read, or not, explains a wrong answer.
  std::vector<const GoldStep*> reads;
  for (const auto* step : plan)
    if (writers.count(step->tool) == 0) reads.push_back(step);
  std::vector<const ToolCall*> calls;
  for (const auto& call : episode.calls) calls.push_back(&call);
  const auto missing = missing_of(reads, calls, false);
  return missing.tool       ? ErrorClass::wrong_tool
         : missing.argument ? ErrorClass::wrong_argument
                            : ErrorClass::wrong_answer;
}

}  // namespace seedbed::tasks::eval
