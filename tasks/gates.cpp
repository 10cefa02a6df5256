#include "tasks/gates.h"

#include <algorithm>

#include "tasks/normal.h"

namespace seedbed::tasks {

using schemas::End;
using schemas::GoldKind;
using schemas::Stop;
using schemas::ToolCall;
using schemas::Value;

Script script_of(const std::vector<schemas::GoldStep>& steps) {
  Script out;
  for (const auto& step : steps) {
    if (step.kind == GoldKind::call) out.calls.push_back({step.tool, step.args});
    if (step.kind == GoldKind::submit) out.stop = Stop::answered, out.submitted = step.args;
    if (step.kind == GoldKind::refuse) out.stop = Stop::refused, out.submitted = step.args;
  }
  return out;
}

std::string show(const Script& script) {
  std::string out;
  for (const auto& call : script.calls) out += call.tool + dump(call.args) + " ";
  if (script.stop == Stop::answered) out += "submit" + dump(script.submitted);
  if (script.stop == Stop::refused) out += "refuse" + dump(script.submitted);
  if (out.size() <= 400) return out;
  std::size_t end = 400;  // not inside a character
  while (end > 0 && (out[end] & 0xC0) == 0x80) --end;
  return out.substr(0, end) + "...";
}

bool may_write(const schemas::Tool& tool) {
  const auto& steps = tool.program.steps;
  return std::any_of(steps.begin(), steps.end(), [](const auto& s) { return s.run || s.each; });
}

// ---- Kit ----

const schemas::Tool* Kit::tool(const std::string& name) const {
  const auto it = std::find_if(env.tools.begin(), env.tools.end(),
                               [&](const auto& t) { return t.name == name; });
  return it == env.tools.end() ? nullptr : &*it;
}

bool Kit::writes_facts(const PlayedPlan& played, int call) const {
  return std::any_of(played.changes.begin(), played.changes.end(), [&](const auto& change) {
    if (change.call == call && env.server) return true;
    return change.call == call && std::find(env.bookkeeping.begin(), env.bookkeeping.end(),
                                            change.table) == env.bookkeeping.end();
  });
}

std::optional<ToolCall> Kit::random_call(const schemas::Tool& t, const Draw& from, Rng& rng) const {
  const auto& schema = schemas.at(t.name);
  for (int tries = 0; tries < 20; ++tries) {
    Value args = from.value(t.input, t.name, rng);
    if (args.is_null()) args = Value::object();
    if (schema.validate(args).empty()) return ToolCall{t.name, std::move(args)};
  }
  return std::nullopt;
}

// ---- Case ----

void Case::add(Trial trial) {
  std::string key;
  for (const auto& call : trial.script.calls) {
    key += call.tool;
    schemas::dump_to(call.args, key);
    key.push_back('\n');
  }
  const auto [it, is_new] = plan_of.emplace(std::move(key), static_cast<int>(plans.size()));
  if (is_new) plans.push_back(trial.script.calls);
  trial.plan = it->second;
  trials.push_back(std::move(trial));
}

Step Case::play() {
  if (plays.size() == plans.size()) return std::nullopt;
  const Plans todo(plans.begin() + static_cast<std::ptrdiff_t>(plays.size()), plans.end());
  auto played = kit.player.play(todo);
  if (!played.ok()) return played.error();
  if (played->size() != todo.size())
    return make_error(Where::sandbox, "play", "admission",
                      "found another number of plays than of plans", "replace the host");
  for (std::size_t i = 0; i < todo.size(); ++i)
    if ((*played)[i].results.size() != todo[i].size())
      return make_error(Where::sandbox, "play", "admission",
                        "found another number of results than of calls", "replace the host");
  std::move(played->begin(), played->end(), std::back_inserter(plays));
  return std::nullopt;
}

bool Case::valid_submission(const Value& submitted) const {
  return submit_schema && submitted.is_object() && submit_schema->validate(submitted).empty();
}

Result<bool> Case::solves(const Script& script, const PlayedPlan& played) const {
  const std::size_t n = script.calls.size();
  Episode episode{
      .calls = script.calls,
      .results = {played.results.begin(), played.results.begin() + static_cast<std::ptrdiff_t>(n)},
      .changes = {},
      .stop = script.stop,
      .submitted = script.submitted};
  for (const auto& change : played.changes)
    if (change.call < static_cast<std::int32_t>(n)) episode.changes.push_back(change);
  return kit.judge->solves(draft.verifier, episode);
}

Result<bool> Case::solves_without_calls(Stop stop, const Value& submitted) const {
  return kit.judge->solves(
      draft.verifier,
      {.calls = {}, .results = {}, .changes = {}, .stop = stop, .submitted = submitted});
}

// ---- the second oracle ----

Result<std::string> oracle_differs(Kit& kit,
                                   const std::vector<ToolCall>& calls,
                                   const PlayedPlan& played) {
  SEEDBED_TRY(const auto steps, kit.oracle.run(calls));
  if (steps.size() != calls.size())
    return std::string("the oracle gave " + std::to_string(steps.size()) + " steps for " +
                       std::to_string(calls.size()) + " calls");
  const std::vector<std::string> none;
  const auto *gone = &none, *come = &none;
  LineDiff now;
  std::size_t change = 0;
  for (std::size_t i = 0; i < calls.size(); ++i) {
    const auto at = [&] {
      return "call " + std::to_string(i) + " " + calls[i].tool + dump(calls[i].args);
    };
    const bool ok = played.results[i].end == End::ok;
    if (ok != steps[i].ok)
      return at() + (ok ? " succeeds, and the oracle says it fails"
                        : " fails, and the oracle says it succeeds: " +
                              played.results[i].out.substr(0, 200));
    if (steps[i].changed) gone = &steps[i].gone, come = &steps[i].come;
    bool wrote = false;
    for (; change < played.changes.size() &&
           played.changes[change].call <= static_cast<std::int32_t>(i);
         ++change)
      wrote = true;
    if (wrote) {
      SEEDBED_TRY(now, kit.judge->difference(played.changes, static_cast<int>(i) + 1));
    }
    for (const auto& [ours, theirs] : {std::pair{&now.come, come}, {&now.gone, gone}}) {
      if (*ours == *theirs) continue;
      std::vector<std::string> odd;
      std::set_symmetric_difference(ours->begin(), ours->end(), theirs->begin(), theirs->end(),
                                    std::back_inserter(odd));
      return "after " + at() + " they differ: database and oracle do not agree on '" +
             (odd.empty() ? "the order" : odd.front()) + "'";
    }
  }
  return std::string();
}

}  // namespace seedbed::tasks
