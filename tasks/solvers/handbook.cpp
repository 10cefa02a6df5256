#include "tasks/solvers/handbook.h"

#include <algorithm>

#include "base/text.h"

namespace seedbed::tasks::solvers {
namespace {

using schemas::Value;
using Stems = std::vector<std::string>;

const Row& row_of(const Knowledge& known, const RowRef& ref) {
  return known.rows[static_cast<std::size_t>(ref.noun)][ref.row];
}

std::string plain_code(std::string_view code) {
  std::string out = lower_ascii(code);
  return out.starts_with("e_") ? out.substr(2) : out;
}

const std::string* reason_like(const Catalog& c, std::string_view code) {
  for (const auto& reason : c.reasons)
    if (plain_code(reason.code) == plain_code(code)) return &reason.code;
  return nullptr;
}

// The record of the kind among the rows, else one that they point to.
std::optional<RowRef> record_of(const Knowledge& known, const std::vector<RowRef>& rows, int noun) {
  for (const auto& ref : rows)
    if (ref.noun == noun) return ref;
  const auto& table = known.rows[static_cast<std::size_t>(noun)];
  for (const auto& ref : rows)
    for (std::size_t r = 0; r < table.size(); ++r)
      if (Knowledge::points(row_of(known, ref), table[r])) return RowRef{noun, r};
  return std::nullopt;
}

// The code that the rule gives: "(reason code too_rare; evidence: ...)".
std::string code_in(std::string_view rule) {
  constexpr std::string_view kMark = "reason code ";
  const auto at = rule.find(kMark);
  if (at == std::string_view::npos) return "";
  const auto rest = rule.substr(at + kMark.size());
  return std::string(rest.substr(0, rest.find_first_of(";,) ")));
}

bool concerns(const Catalog& c, std::string_view rule, const SeenTool& tool) {
  if (find_phrase(rule, tool.name) != std::string_view::npos) return true;
  Stems stems;
  for (auto& token : tokens_of(rule)) stems.push_back(std::move(token.stem));
  if (tool.noun >= 0 && !c.mentions(stems, tool.noun)) return false;
  const auto no = find_phrase(rule, "may");
  if (no == std::string_view::npos) return false;
  Stems own;  // the verb: what the tool's name says beside its noun
  for (const auto& stem : stems_of_name(tool.name))
    if (tool.noun < 0 ||
        find_run(c.nouns[static_cast<std::size_t>(tool.noun)].stems, {stem}) == std::string::npos)
      own.push_back(stem);
  const auto condition = tokens_of(rule.substr(no));
  for (std::size_t i = 0; i < condition.size() && i < 6; ++i)
    if (std::find(own.begin(), own.end(), condition[i].stem) != own.end()) return true;
  return false;
}

// Whether the rule's number and column make it hold against the records.
bool breaks(const Catalog& c,
            const Knowledge& known,
            std::string_view rule,
            const std::vector<RowRef>& rows) {
  const std::string_view body = rule.substr(0, rule.find(" (reason code"));
  if (find_phrase(body, "may number") != std::string_view::npos) return false;  // counts records
  const auto held = rule_holds(c, known, body, rows);
  return held && *held != (find_phrase(body, "must") != std::string_view::npos);
}

}  // namespace

std::optional<bool> rule_holds(const Catalog& c,
                               const Knowledge& known,
                               std::string_view body,
                               const std::vector<RowRef>& rows) {
  const auto comparison = comparison_in(body);
  if (!comparison) return std::nullopt;
  std::size_t from = 0;
  for (const std::string_view word : {"when", "while", "with", "if", "unless", "must"})
    if (const auto at = find_phrase(body, word); at != std::string_view::npos && at > from)
      from = at;
  const std::string_view part = body.substr(std::min(from, comparison->begin));
  Stems stems;
  for (auto& token : tokens_of(part)) stems.push_back(std::move(token.stem));
  const bool days = find_phrase(part, "days away") != std::string_view::npos;
  if (days) stems.push_back("dat"), stems.push_back("day");
  std::vector<RowRef> all = rows;
  for (std::size_t n = 0; n < known.rows.size(); ++n)
    if (const auto other = record_of(known, rows, static_cast<int>(n))) all.push_back(*other);
  for (const auto& ref : all) {
    const std::vector<Row> one = {row_of(known, ref)};
    const std::string* column = column_like(c, one, stems, true);
    if (column == nullptr) continue;
    const Value* v = one[0].column(*column);
    if (days != v->is_string()) continue;
    const auto n = quantity(v);
    if (!n) continue;
    return comparison->holds(days ? *n - c.today : *n);
  }
  return std::nullopt;
}

std::string_view rule_of(const Catalog& c, std::string_view code) {
  const std::string* reason = reason_like(c, code);
  if (reason != nullptr)
    for (const auto& rule : c.rules)
      if (code_in(rule) == *reason) return rule;
  return "";
}

std::optional<Value> refusal_for(const Catalog& c,
                                 const Knowledge& known,
                                 const std::vector<RowRef>& rows,
                                 std::string_view code) {
  const std::string* reason = reason_like(c, code);
  if (reason == nullptr) return std::nullopt;
  Value ids = Value::array();
  for (const auto& rule : c.rules) {
    if (code_in(rule) != *reason) continue;
    const auto at = rule.find("evidence:");
    if (at == std::string::npos) continue;
    Stems stems;
    for (auto& token : tokens_of(std::string_view(rule).substr(at)))
      stems.push_back(std::move(token.stem));
    for (std::size_t i = 0; i < stems.size(); ++i) {
      const int noun = c.noun_at(stems, i);
      if (noun < 0) continue;
      if (const auto ref = record_of(known, rows, noun)) ids.push(row_of(known, *ref).id);
      i += c.nouns[static_cast<std::size_t>(noun)].stems.size() - 1;
    }
    break;
  }
  Value out = Value::object();
  out.set("reason_code", *reason).set("evidence_ids", std::move(ids));
  return out;
}

std::optional<std::string> broken_rule(const Catalog& c,
                                       const Knowledge& known,
                                       int tool,
                                       const std::vector<RowRef>& rows) {
  for (const auto& rule : c.rules) {
    const std::string code = code_in(rule);
    if (code.empty() || reason_like(c, code) == nullptr) continue;
    if (!concerns(c, rule, c.tools[static_cast<std::size_t>(tool)])) continue;
    if (breaks(c, known, rule, rows)) return code;
  }
  return std::nullopt;
}

}  // namespace seedbed::tasks::solvers
