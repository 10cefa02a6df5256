// The plans that are tried beside gold: mutants, stray writes, other right ways.
#include <algorithm>
#include <map>
#include <set>

#include "tasks/gates.h"
#include "tasks/judge_match.h"
#include "tasks/normal.h"

namespace seedbed::tasks {
namespace {

using schemas::AnswerType;
using schemas::GoldKind;
using schemas::Outcome;
using schemas::Scalar;
using schemas::Stop;
using schemas::ToolCall;
using schemas::Value;

constexpr std::size_t kMaxDropped = 6;
constexpr std::size_t kMaxSwapped = 6;
constexpr std::size_t kStrays = 3;
constexpr int kMoreStrays = 3;  // of each tool that has none yet

Value to_value(const Scalar& scalar) {
  if (const auto* i = std::get_if<std::int64_t>(&scalar)) return *i;
  if (const auto* s = std::get_if<std::string>(&scalar)) return *s;
  return {};
}

// The column that holds the value: one named like the argument, else a key, else any.
const FactColumn* column_of(const std::vector<FactColumn>& columns,
                            const std::string& name,
                            const Value& value) {
  const FactColumn* best = nullptr;
  int best_rank = 0;
  for (const auto& column : columns) {
    const bool holds = std::any_of(column.values.begin(), column.values.end(),
                                   [&](const Scalar& s) { return same_value(s, value); });
    if (!holds || column.values.size() < 2) continue;
    const int rank = column.column == name ? 3 : column.attribute.empty() ? 2 : 1;
    if (rank > best_rank) best = &column, best_rank = rank;
  }
  return best;
}

// Neighbours of the value in its column's order: below and above by turns.
void add_neighbours(const FactColumn& column,
                    const Value& value,
                    std::size_t most,
                    std::vector<Value>& out) {
  const auto at = std::find_if(column.values.begin(), column.values.end(),
                               [&](const Scalar& s) { return same_value(s, value); });
  const auto index = static_cast<std::size_t>(at - column.values.begin());
  for (std::size_t step = 1; out.size() < most && step <= column.values.size(); ++step) {
    if (index + step < column.values.size()) out.push_back(to_value(column.values[index + step]));
    if (out.size() < most && step <= index) out.push_back(to_value(column.values[index - step]));
  }
}

const Value* property(const Value& schema, const std::string& name) {
  const Value* properties = schema.find("properties");
  return properties == nullptr ? nullptr : properties->find(name);
}

// Each state-changing call left out, the last one first: that one is G3's as well.
void add_dropped(Case& c, const std::vector<int>& writing) {
  for (std::size_t n = 0; n < writing.size() && n < kMaxDropped; ++n) {
    const int i = writing[writing.size() - 1 - n];
    Script script = c.gold;
    script.calls.erase(script.calls.begin() + i);
    c.add({.kind = Trial::Kind::mutant,
           .gate = n == 0 ? "G3" : "G6",
           .name = "without call " + std::to_string(i),
           .script = std::move(script)});
  }
}

void add_swapped(Case& c, const std::vector<int>& writing) {
  std::vector<std::pair<int, std::vector<Value>>> ways;
  for (const int i : writing)
    ways.emplace_back(i, swapped_arguments(c, c.gold.calls[static_cast<std::size_t>(i)]));
  std::size_t made = 0;
  for (std::size_t round = 0; round < 8 && made < kMaxSwapped; ++round)
    for (auto& [i, args] : ways) {
      if (round >= args.size() || made >= kMaxSwapped) continue;
      Script script = c.gold;
      script.calls[static_cast<std::size_t>(i)].args = args[round];
      c.add({.kind = Trial::Kind::mutant,
             .gate = "G6",
             .name = "call " + std::to_string(i) + " with " + dump(args[round]),
             .script = std::move(script)});
      ++made;
    }
}

void add_stray(Case& c, const ToolCall& call) {
  Script script = c.gold;
  script.calls.push_back(call);
  c.add({.kind = Trial::Kind::stray,
         .gate = "G7",
         .name = "stray " + call.tool,
         .script = std::move(script)});
}

// Writes of other callers; and gold's own last write with another argument, which is right by its
// kind and wrong by its place.
void add_strays(Case& c, const std::vector<int>& writing) {
  if (!c.kit.writes.empty()) {
    const auto begin = static_cast<std::size_t>(c.rng.below(c.kit.writes.size()));
    std::set<std::string> tools;
    for (std::size_t n = 0; tools.size() < kStrays && n < c.kit.writes.size(); ++n) {
      const auto& call = c.kit.writes[(begin + n) % c.kit.writes.size()];
      if (tools.insert(call.tool).second) add_stray(c, call);
    }
  }
  if (writing.empty()) return;
  ToolCall again = c.gold.calls[static_cast<std::size_t>(writing.back())];
  const auto ways = swapped_arguments(c, again);
  if (ways.empty()) return;
  again.args = c.rng.pick(ways);
  add_stray(c, again);
}

void add_extra_reads(Case& c) {
  if (c.kit.reads.empty()) return;
  Script script = c.gold;
  const auto middle = static_cast<std::ptrdiff_t>(c.gold.calls.size() / 2);
  script.calls.insert(script.calls.begin() + middle, c.rng.pick(c.kit.reads));
  script.calls.insert(script.calls.begin(), c.rng.pick(c.kit.reads));
  script.calls.push_back(c.rng.pick(c.kit.reads));
  c.add({.kind = Trial::Kind::right,
         .gate = "G9",
         .name = "with extra reads",
         .script = std::move(script)});
}

// A call of the same tool that fails, then the right one: before a write with a value that names
// nothing, before the last call with an argument that there is not.
void add_retry(Case& c, std::size_t at, bool bad_value) {
  ToolCall wrong = c.gold.calls[at];
  bool changed = false;
  for (auto& [name, value] : wrong.args.members())
    if (value.is_string() && bad_value && !changed)
      value = Value("?" + value.as_string()), changed = true;
  if (!changed) wrong.args.set("no_such_argument", 1);
  Script script = c.gold;
  script.calls.insert(script.calls.begin() + static_cast<std::ptrdiff_t>(at), std::move(wrong));
  c.add({.kind = Trial::Kind::retry,
         .gate = "G9",
         .name = "with a failed call " + std::to_string(at) + " retried",
         .script = std::move(script),
         .retried = static_cast<int>(at)});
}

std::string upper_ascii(std::string text) {
  for (auto& ch : text)
    if (ch >= 'a' && ch <= 'z') ch = static_cast<char>(ch - 'a' + 'A');
  return text;
}

// "5 March 2031", "05/03/2031" for a date in normal form, its time kept.
std::vector<Value> respelled_date(const std::string& normal) {
  static const char* const kMonths[] = {"January",   "February", "March",    "April",
                                        "May",       "June",     "July",     "August",
                                        "September", "October",  "November", "December"};
  const auto month = static_cast<std::size_t>(std::stoi(normal.substr(5, 2)));
  const std::string time = normal.substr(10);
  return {std::to_string(std::stoi(normal.substr(8, 2))) + " " + kMonths[month - 1] + " " +
              normal.substr(0, 4) + time,
          normal.substr(8, 2) + "/" + normal.substr(5, 2) + "/" + normal.substr(0, 4) + time};
}

std::vector<Value> respelled(const schemas::AnswerField& field, const Value& value) {
  if (field.type == AnswerType::set && value.is_array()) {
    Value turned = Value(Value::Array(value.items().rbegin(), value.items().rend()));
    Value loud = turned;
    for (auto& item : loud.items())
      if (item.is_string()) item = Value(upper_ascii(item.as_string()));
    return {turned, loud};
  }
  const auto form = normal_form(field.type, value);
  if (!form) return {};
  switch (field.type) {
    case AnswerType::integer:
      return {Value(static_cast<double>(std::stoll(*form))), Value(*form),
              Value(" " + *form + ".0 "), Value(std::int64_t{std::stoll(*form)})};
    case AnswerType::date:
      return respelled_date(*form);
    case AnswerType::text:
      return {Value(upper_ascii(*form)), Value("  " + *form + "."), Value(*form)};
    case AnswerType::set:
      break;
  }
  return {};
}

}  // namespace

std::vector<int> writing_calls(const Case& c) {
  std::vector<int> out;
  for (int i = 0; i < static_cast<int>(c.gold.calls.size()); ++i)
    if (c.kit.writes_facts(c.first, i)) out.push_back(i);
  return out;
}

// The call with one argument replaced; arrays lose an item.
std::vector<Value> swapped_arguments(const Case& c, const ToolCall& call) {
  std::vector<Value> out;
  const auto* tool = c.kit.tool(call.tool);
  for (const auto& [name, value] : call.args.members()) {
    const Value* schema = property(tool->input, name);
    std::vector<Value> others;
    if (value.is_array() && !value.items().empty()) {
      Value shorter = value;
      shorter.items().pop_back();
      others.push_back(std::move(shorter));
    } else {
      others = siblings(c.kit, schema == nullptr ? Value::object() : *schema, name, value, 2);
    }
    for (auto& other : others) {
      Value args = call.args;
      args.set(name, std::move(other));
      if (c.kit.schemas.at(call.tool).validate(args).empty()) out.push_back(std::move(args));
    }
  }
  return out;
}

std::vector<Value> siblings(const Kit& kit,
                            const Value& schema,
                            const std::string& name,
                            const Value& value,
                            std::size_t most) {
  std::vector<Value> out;
  if (!value.is_string() && !value.is_int()) return out;
  if (const Value* words = schema.find("enum"); words != nullptr && words->is_array()) {
    for (const auto& word : words->items())
      if (word != value && out.size() < most) out.push_back(word);
    return out;
  }
  if (const auto* column = column_of(kit.judge->columns(), name, value))
    add_neighbours(*column, value, most, out);
  if (value.is_int())
    for (const std::int64_t step : {1, -1, 2, -2})
      if (out.size() < most) out.emplace_back(value.as_int() + step);
  return out;
}

std::vector<Value> mutated_submissions(const Case& c) {
  std::vector<Value> out;
  const Value& gold = c.gold.submitted;
  const auto with = [&](const std::string& name, Value value) {
    Value args = gold;
    args.set(name, std::move(value));
    return args;
  };
  if (c.draft.verifier.outcome == Outcome::refuse) {
    for (const auto& reason : c.kit.env.policy.reasons)
      if (std::find(c.draft.verifier.refuse_codes.begin(), c.draft.verifier.refuse_codes.end(),
                    reason.code) == c.draft.verifier.refuse_codes.end())
        out.push_back(with("reason_code", reason.code));
    const Value* ids = gold.find("evidence_ids");
    if (ids == nullptr || !ids->is_array()) return out;
    for (std::size_t i = 0; i < ids->items().size() && i < 4; ++i) {
      Value fewer = *ids;
      fewer.items().erase(fewer.items().begin() + static_cast<std::ptrdiff_t>(i));
      out.push_back(with("evidence_ids", fewer));
      for (auto& other : siblings(c.kit, Value::object(), "", ids->items()[i], 1)) {
        fewer.push(std::move(other));
        out.push_back(with("evidence_ids", fewer));
      }
    }
    return out;
  }
  for (const auto& [name, value] : gold.members()) {
    const Value* schema = property(c.draft.task.submit_schema, name);
    std::vector<Value> others =
        siblings(c.kit, schema == nullptr ? Value::object() : *schema, name, value, 4);
    if (c.kit.env.server && value.is_string()) others = shown_instead(c, name, value, 4);
    if (value.is_array())
      for (std::size_t i = 0; i < value.items().size() && i < 4; ++i) {
        others.push_back(value);
        others.back().items().erase(others.back().items().begin() + static_cast<std::ptrdiff_t>(i));
      }
    if (const auto day = value.is_string() ? normal_date(value.as_string()) : std::nullopt;
        day && others.empty())
      others = {Value("2001-02-03"), Value("2001-02-03 04:05")};
    for (auto& other : others)
      if (Value args = with(name, std::move(other)); c.valid_submission(args))
        out.push_back(std::move(args));
  }
  return out;
}

std::vector<Value> respelled_submissions(const Case& c) {
  std::vector<Value> out;
  const Value& gold = c.gold.submitted;
  const auto add = [&](const schemas::AnswerField& field, bool check) {
    const Value* value = gold.find(field.name);
    if (value == nullptr) return;
    for (auto& other : respelled(field, *value)) {
      Value args = gold;
      args.set(field.name, std::move(other));
      if (!check || c.valid_submission(args)) out.push_back(std::move(args));
    }
  };
  for (const auto& field : c.draft.verifier.answer) add(field, true);
  if (c.draft.verifier.outcome == Outcome::refuse)
    add({.name = "evidence_ids", .type = AnswerType::set, .accept = {}}, false);
  return out;
}

Step add_trials(Case& c) {
  const auto writing = writing_calls(c);
  c.add({.kind = Trial::Kind::right, .gate = "G1", .name = "gold", .script = c.gold});
  add_dropped(c, writing);
  add_swapped(c, writing);
  for (const auto& miss : c.draft.gold.near_misses)
    c.add({.kind = Trial::Kind::wrong,
           .gate = is_policy_miss(miss.name) ? "G8" : "G6",
           .name = "near miss " + miss.name,
           .script = script_of(miss.steps)});
  add_strays(c, writing);
  for (std::size_t i = 0; i < c.draft.gold.variants.size(); ++i)
    c.add({.kind = Trial::Kind::right,
           .gate = "G9",
           .name = "variant " + std::to_string(i),
           .script = script_of(c.draft.gold.variants[i])});
  add_extra_reads(c);
  add_retry(c, static_cast<std::size_t>(writing.empty() ? 0 : writing.front()), true);
  add_retry(c, c.gold.calls.size() - 1, false);
  return add_policy_trials(c);
}

Step add_server_trials(Case& c) {
  c.add({.kind = Trial::Kind::right, .gate = "G1", .name = "gold", .script = c.gold});
  add_dropped(c, writing_calls(c));
  return std::nullopt;
}

void add_more_strays(Case& c, const std::set<std::string>& seen) {
  for (const int i : writing_calls(c)) {  // each of gold's writes elsewhere, and as it was
    ToolCall again = c.gold.calls[static_cast<std::size_t>(i)];
    add_stray(c, again);
    for (auto& args : swapped_arguments(c, again)) {
      again.args = std::move(args);
      add_stray(c, again);
    }
  }
  std::map<std::string, int> tried;
  for (const auto& call : c.kit.writes)
    if (seen.count(call.tool) == 0 && ++tried[call.tool] <= kMoreStrays) add_stray(c, call);
}

}  // namespace seedbed::tasks
