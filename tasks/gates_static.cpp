// Gates that need no play: the draft's form, leaks, uniqueness, budget.
#include <algorithm>
#include <set>

#include "tasks/gates.h"
#include "tasks/normal.h"

namespace seedbed::tasks {
namespace {

using schemas::AnswerType;
using schemas::GoldKind;
using schemas::GoldStep;
using schemas::Outcome;
using schemas::Value;

constexpr std::int64_t kGuesses =
    50;  // an answer must be one of at least so many well-typed values
constexpr std::int64_t kSmallInteger =
    1'000;  // smaller ones occur in any text, so G10 leaves them out
constexpr std::int64_t kTinyInteger = 10;

GateOutcome rejected(const char* gate, std::string why) {
  return Rejected{gate, std::move(why)};
}

std::optional<std::int64_t> knob(const Draft& draft, const std::string& name) {
  for (const auto& k : draft.task.knobs)
    if (k.name == name) return k.value;
  return std::nullopt;
}

std::string steps_fault(const std::vector<GoldStep>& steps, const Kit& kit, bool is_gold) {
  for (std::size_t i = 0; i < steps.size(); ++i) {
    const auto& step = steps[i];
    const std::string at = "step " + std::to_string(i);
    const bool ends = step.kind == GoldKind::submit || step.kind == GoldKind::refuse;
    if (ends && i + 1 != steps.size()) return at + " ends the plan before its last step";
    if (step.kind == GoldKind::call && kit.tool(step.tool) == nullptr)
      return at + " calls '" + step.tool + "', which is no tool";
    if (step.kind != GoldKind::say && !step.args.is_object())
      return at + " has no arguments object";
    if (step.kind == GoldKind::say && step.text.empty()) return at + " says nothing";
    for (const int need : step.needs)
      if (is_gold && (need < 0 || need >= static_cast<int>(i)))
        return at + " needs step " + std::to_string(need) + ", which is not before it";
  }
  return "";
}

// The number of well-typed values among which a caller without knowledge would have to guess, at
// most a thousand a field.
std::int64_t guesses(const Case& c, const schemas::AnswerField& field) {
  constexpr std::int64_t kMany = 1'000;
  const Value* properties = c.draft.task.submit_schema.find("properties");
  const Value* schema = properties == nullptr ? nullptr : properties->find(field.name);
  if (const Value* words = schema == nullptr ? nullptr : schema->find("enum");
      words != nullptr && words->is_array())
    return std::min(kMany, static_cast<std::int64_t>(words->items().size()));
  const auto accept = normal_accept(field);
  const std::string form = accept && !accept->empty() ? accept->front() : "";
  switch (field.type) {
    case AnswerType::integer: {
      const auto n = std::stoll(form);
      if (n > -kTinyInteger && n < kTinyInteger) return kTinyInteger;
      return std::min(kMany, c.kit.integers);
    }
    case AnswerType::text:
      if (form == "yes" || form == "no" || form == "true" || form == "false") return 2;
      return std::min(kMany, c.kit.texts);
    case AnswerType::date:
    case AnswerType::set:
      break;
  }
  return kMany;
}

}  // namespace

Result<GateOutcome> gate_build(Case& c) {
  const auto& [task, gold, verifier] = c.draft;
  const auto reject = [](std::string why) { return rejected("build", std::move(why)); };
  if (task.environment_id != c.kit.id)
    return reject("the task names environment " + task.environment_id + ", this is " + c.kit.id);
  if (task.prompt.empty() || task.kind.empty()) return reject("the task has no prompt or no kind");
  if (auto e = c.kit.judge->check(verifier)) return reject(e->message);
  if (gold.steps.empty()) return reject("gold is empty");
  if (const auto fault = steps_fault(gold.steps, c.kit, true); !fault.empty())
    return reject("gold: " + fault);
  const bool submits = verifier.outcome == Outcome::submit;
  if (gold.steps.back().kind != (submits ? GoldKind::submit : GoldKind::refuse))
    return reject("gold does not end in what the verifier wants");
  for (const auto& variant : gold.variants)
    if (const auto fault = steps_fault(variant, c.kit, false); !fault.empty())
      return reject("a variant: " + fault);
  for (const auto& miss : gold.near_misses)
    if (const auto fault = steps_fault(miss.steps, c.kit, false); !fault.empty())
      return reject("near miss " + miss.name + ": " + fault);
  const bool says = std::any_of(gold.steps.begin(), gold.steps.end(),
                                [](const GoldStep& s) { return s.kind == GoldKind::say; });
  if (says && !task.user) return reject("gold speaks to a user, and the task has none");
  auto schema = schemas::JsonSchema::compile(task.submit_schema);
  if (!schema.ok()) return reject("submit_schema: " + schema.error().message);
  c.submit_schema = *std::move(schema);
  c.gold = script_of(gold.steps);
  if (c.gold.calls.empty())
    return reject("gold makes no call: whoever reads the prompt could answer");
  if (submits && !c.valid_submission(c.gold.submitted))
    return reject("gold's submission does not meet submit_schema: " + dump(c.gold.submitted));
  const Value* properties = task.submit_schema.find("properties");
  for (const auto& field : verifier.answer)
    if (properties == nullptr || properties->find(field.name) == nullptr)
      return reject("submit_schema has no field '" + field.name + "', which the verifier wants");
  return GateOutcome(Passed{"build", 1, ""});
}

// The answer is not there to be copied. Refusals: at least one record of the evidence is readable
// by tools alone, so that the exact set cannot be copied.
Result<GateOutcome> gate_g10_no_leak(Case& c) {
  Known prompt;
  prompt.read(c.draft.task.prompt);
  const auto leaks = [&](const Value& v) { return prompt.has(v) || c.kit.docs.has(v); };
  int checked = 0;
  const bool is_question = c.draft.task.kind == "lookup" || c.draft.task.kind == "aggregate";
  for (const auto& field : c.draft.verifier.answer) {
    if (!is_question) continue;
    std::size_t leaked = 0;
    for (const auto& form : field.accept) {
      ++checked;
      if (field.type == AnswerType::integer) {
        const auto n = normal_integer(form);
        const std::int64_t number = n ? std::stoll(*n) : 0;
        if (number > -kSmallInteger && number < kSmallInteger) continue;
        leaked += leaks(Value(number)) ? 1 : 0;
      } else {
        leaked += leaks(Value(form)) ? 1 : 0;
      }
    }
    if (leaked == field.accept.size() && leaked > 0)
      return rejected("G10", "the answer to '" + field.name + "', " + field.accept.front() +
                                 ", stands in the prompt, the handbook or a tool's text");
  }
  std::size_t hidden = 0;
  for (const auto& id : c.draft.verifier.refuse_evidence) {
    ++checked;
    hidden += leaks(Value(id)) ? 0 : 1;
  }
  if (!c.draft.verifier.refuse_evidence.empty() && hidden == 0)
    return rejected(
        "G10", "every record of the evidence stands in the prompt, the handbook or a tool's text");
  return GateOutcome(Passed{"G10", checked, "no answer in prompt, handbook or tools"});
}

Result<GateOutcome> gate_g12_unique(Case& c) {
  const auto& verifier = c.draft.verifier;
  int checked = 0;
  std::int64_t space = 1;
  for (const auto& field : verifier.answer) {
    ++checked;
    const auto forms = normal_accept(field);
    if (field.type != AnswerType::set && (!forms || forms->size() != 1))
      return rejected("G12", "'" + field.name + "' accepts " +
                                 std::to_string(forms ? forms->size() : 0) +
                                 " answers, wanted one");
    space = std::min<std::int64_t>(space * guesses(c, field), 1'000'000);
  }
  bool more = !verifier.delta.empty() || !verifier.post.empty() || !verifier.choose.empty();
  if (c.kit.env.server && more) {  // conditions that hold from the start ask for nothing
    SEEDBED_TRY(const bool there,
                c.solves_without_calls(schemas::Stop::answered, c.gold.submitted));
    more = !there;
  }
  if (verifier.outcome == Outcome::submit && !more && space < kGuesses)
    return rejected("G12", "the answer is one of " + std::to_string(space) +
                               " well-typed values, wanted at least 50: ask for a second field");
  if (const auto unique = knob(c.draft, "references_unique"); unique && *unique != 1)
    return rejected("G12", "a reference of the prompt does not resolve to one record");
  const auto feasible = knob(c.draft, "feasible"), all = knob(c.draft, "space");
  if (!verifier.choose.empty() && (!feasible || !all))
    return rejected("G12", "a choice without the knobs feasible and space");
  if (feasible && all && (*feasible < 1 || *feasible > *all / 2))
    return rejected("G12", std::to_string(*feasible) + " of " + std::to_string(*all) +
                               " choices are right, wanted at least one and at most half");
  return GateOutcome(
      Passed{"G12", checked, space > 1 ? "one answer among " + std::to_string(space) : ""});
}

Result<GateOutcome> gate_g18_budget(Case& c) {
  const auto& budget = c.draft.task.budget;
  const int calls = static_cast<int>(c.gold.calls.size());
  const int turns = static_cast<int>(c.draft.gold.steps.size());
  if (calls > budget.max_calls || turns > budget.max_turns)
    return rejected("G18", "gold takes " + std::to_string(calls) + " calls in " +
                               std::to_string(turns) + " turns, the budget is " +
                               std::to_string(budget.max_calls) + " in " +
                               std::to_string(budget.max_turns));
  return GateOutcome(Passed{"G18", turns, "calls and turns"});
}

}  // namespace seedbed::tasks
