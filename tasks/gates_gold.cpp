// Gates on gold's own evidence: what is reachable, and that doing less, or anything at random, is
// not enough. A prefix of gold is judged from gold's recorded changes; G1 has shown that they come
// out the same twice.
#include <algorithm>

#include "base/text.h"
#include "tasks/gates.h"

namespace seedbed::tasks {
namespace {

using schemas::GoldKind;
using schemas::Outcome;
using schemas::Stop;
using schemas::Value;

GateOutcome rejected(const char* gate, std::string why) {
  return Rejected{gate, std::move(why)};
}

// The first scalar inside that is not known, else nullptr.
const Value* unknown_in(const Value& value, const Known& known) {
  if (value.is_array()) {
    for (const auto& item : value.items())
      if (const auto* odd = unknown_in(item, known)) return odd;
    return nullptr;
  }
  if (value.is_object()) {
    for (const auto& [name, inner] : value.members())
      if (const auto* odd = unknown_in(inner, known)) return odd;
    return nullptr;
  }
  return known.has(value) ? nullptr : &value;
}

// What the scripted user says to the message; `used` marks reveals that are spent.
std::string reply(const schemas::UserScript& user,
                  const std::string& message,
                  std::vector<bool>& used) {
  const std::string heard = lower_ascii(message);
  for (std::size_t r = 0; r < user.reveals.size(); ++r) {
    if (used[r]) continue;
    for (const auto& word : user.reveals[r].keywords)
      if (heard.find(lower_ascii(word)) != std::string::npos) {
        used[r] = true;
        return user.reveals[r].text;
      }
  }
  return user.fallback;
}

// Every way to fill the submission's fields from `words`, field by field, at most `most`.
std::vector<Value> echoes(const Case& c, const std::vector<std::string>& words, std::size_t most) {
  const Value* properties = c.draft.task.submit_schema.find("properties");
  std::vector<Value> out;
  if (properties == nullptr || !properties->is_object()) return out;
  std::vector<std::vector<Value>> choices;
  for (const auto& [name, schema] : properties->members()) {
    choices.emplace_back();
    for (const auto& word : words) {
      Value one(word);
      if (schema.text("type") == "integer") {
        const auto number = schemas::parse_json(word);
        if (!number.ok() || !number->is_int()) continue;
        one = *number;
      }
      choices.back().push_back(schema.text("type") == "array" ? Value(Value::Array{one}) : one);
    }
    if (choices.back().empty()) choices.pop_back();
  }
  if (choices.size() != properties->members().size()) return out;
  std::size_t all = 1;
  for (const auto& list : choices) all = std::min<std::size_t>(all * list.size(), 1'000'000);
  for (std::size_t n = 0; n < most && n < all; ++n) {
    // Spread over the whole product: neighbours differ in every field.
    std::size_t code =
        all <= most ? n : n * (all / most) + n % std::max<std::size_t>(1, all / most);
    Value args = Value::object();
    for (std::size_t f = 0; f < choices.size(); ++f) {
      args.set(properties->members()[f].first, choices[f][code % choices[f].size()]);
      code /= choices[f].size();
    }
    out.push_back(std::move(args));
  }
  return out;
}

Value refusal(const std::string& code, const std::vector<std::string>& ids) {
  Value evidence = Value::array();
  for (const auto& id : ids) evidence.push(id);
  return Value(Value::Object{{"reason_code", code}, {"evidence_ids", std::move(evidence)}});
}

}  // namespace

Result<GateOutcome> gate_g11_reachable(Case& c) {
  Known known = c.kit.choices;
  known.read(c.draft.task.prompt);
  const Value* properties = c.draft.task.submit_schema.find("properties");
  if (properties != nullptr) known.see_choices(*properties);
  for (const auto& reason : c.kit.env.policy.reasons) known.see(Value(reason.code));
  std::vector<bool> used(c.draft.task.user ? c.draft.task.user->reveals.size() : 0, false);
  std::size_t call = 0;
  int checked = 0, derived = 0;
  for (std::size_t i = 0; i < c.draft.gold.steps.size(); ++i) {
    const auto& step = c.draft.gold.steps[i];
    if (step.kind == GoldKind::say) {
      known.read(reply(*c.draft.task.user, step.text, used));
      continue;
    }
    for (const auto& [name, value] : step.args.members()) {
      if (std::find(step.derived.begin(), step.derived.end(), name) != step.derived.end()) {
        ++derived;
        continue;
      }
      ++checked;
      if (const auto* odd = unknown_in(value, known))
        return rejected("G11", "step " + std::to_string(i) + ": argument '" + name +
                                   "' = " + dump(*odd) +
                                   " stands neither in the prompt, the handbook or the tools nor "
                                   "in an earlier result");
    }
    if (step.kind == GoldKind::call) known.see(c.first.results[call++]);
  }
  return GateOutcome(Passed{"G11", checked, std::to_string(derived) + " derived"});
}

Result<GateOutcome> gate_g2_nop(Case& c) {
  SEEDBED_TRY(const bool solved, c.solves_without_calls(Stop::stopped, {}));
  if (solved) return rejected("G2", "doing nothing solves it");
  return GateOutcome(Passed{"G2", 1, ""});
}

Result<GateOutcome> gate_g3_prefixes(Case& c) {
  int checked = 0, dropped = 0;
  for (std::size_t n = 0; n <= c.gold.calls.size(); ++n) {
    const Script prefix{
        .calls = {c.gold.calls.begin(), c.gold.calls.begin() + static_cast<std::ptrdiff_t>(n)},
        .stop = Stop::stopped,
        .submitted = {}};
    SEEDBED_TRY(const bool solved, c.solves(prefix, c.first));
    ++checked;
    if (solved)
      return rejected(
          "G3", "the first " + std::to_string(n) + " calls of gold solve it without an answer");
  }
  for (const auto& trial : c.trials) {
    if (trial.gate != "G3") continue;
    SEEDBED_TRY(const bool solved,
                c.solves(trial.script, c.plays[static_cast<std::size_t>(trial.plan)]));
    ++checked, ++dropped;
    if (!solved) continue;
    if (c.kit.env.server)
      return rejected("G3",
                      "gold " + trial.name + " solves it too: nothing judges what that changes");
    SEEDBED_TRY(const LineDiff facts,
                c.kit.judge->difference(c.plays[static_cast<std::size_t>(trial.plan)].changes,
                                        static_cast<int>(trial.script.calls.size())));
    if (facts != c.gold_facts)
      return rejected("G3", "gold " + trial.name + " solves it too: " + show(trial.script));
    return rejected("G3", "gold's last write changes nothing in the end: " + trial.name);
  }
  return GateOutcome(
      Passed{"G3", checked, dropped > 0 ? "prefixes, and without the last write" : "prefixes"});
}

Result<GateOutcome> gate_g4_empty_ways(Case& c) {
  const auto words = echo_words(c.draft.task.prompt);
  std::vector<std::string> ids;
  for (const auto& word : words)
    if (is_id_like(word)) ids.push_back(word);
  int checked = 0;
  const auto try_one = [&](Stop stop, const Value& args) -> Result<std::optional<Rejected>> {
    ++checked;
    SEEDBED_TRY(const bool solved, c.solves_without_calls(stop, args));
    if (!solved) return std::optional<Rejected>();
    return std::optional<Rejected>(Rejected{
        "G4", std::string("without any call, ") + (stop == Stop::refused ? "refuse" : "submit") +
                  dump(args) + " solves it"});
  };
  std::vector<std::pair<Stop, Value>> ways = {{Stop::answered, Value::object()}};
  for (const auto& reason : c.kit.env.policy.reasons) {
    ways.emplace_back(Stop::refused, refusal(reason.code, {}));
    if (!ids.empty()) ways.emplace_back(Stop::refused, refusal(reason.code, ids));
    if (ids.size() > 1 && ids.size() <= 4)
      for (const auto& id : ids) ways.emplace_back(Stop::refused, refusal(reason.code, {id}));
  }
  std::vector<std::string> said = words;
  said.push_back(c.draft.task.prompt);
  for (auto& args : echoes(c, said, 128)) ways.emplace_back(Stop::answered, std::move(args));
  for (const auto& [stop, args] : ways) {
    SEEDBED_TRY(auto found, try_one(stop, args));
    if (found) return GateOutcome(*std::move(found));
  }
  return GateOutcome(
      Passed{"G4", checked, "refusals with each code, empty and echoed submissions"});
}

// The walks were made once for the environment; every task judges them, ended early, midway and in
// the end, each with a random well-typed submission (and refusal, where that is what is wanted).
Result<GateOutcome> gate_g5_random(Case& c) {
  int checked = 0;
  for (const auto& walk : c.kit.walks) {
    for (const std::size_t part : {std::size_t{0}, std::size_t{3}, std::size_t{1}}) {
      Script script{.calls = {}, .stop = Stop::answered, .submitted = {}};
      const std::size_t n = part == 0 ? 0 : walk.calls.size() / part;
      script.calls.assign(walk.calls.begin(), walk.calls.begin() + static_cast<std::ptrdiff_t>(n));
      if (c.draft.verifier.outcome == Outcome::refuse) {
        script.stop = Stop::refused;
        const Value word = Value(Value::Object{{"type", "string"}});
        script.submitted = refusal(c.rng.pick(c.kit.env.policy.reasons).code,
                                   {walk.seen.value(word, "id", c.rng).as_string()});
      } else {
        script.submitted = walk.seen.value(c.draft.task.submit_schema, "", c.rng);
      }
      SEEDBED_TRY(const bool solved, c.solves(script, walk.played));
      ++checked;
      if (solved) return rejected("G5", "a random caller solves it: " + show(script));
    }
  }
  return GateOutcome(Passed{
      "G5", checked, std::to_string(c.kit.walks.size()) + " shared walks, random submissions"});
}

}  // namespace seedbed::tasks
