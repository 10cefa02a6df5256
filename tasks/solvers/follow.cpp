#include "tasks/solvers/follow.h"

#include <algorithm>

#include "tasks/solvers/handbook.h"

namespace seedbed::tasks::solvers {
namespace {

using schemas::Value;
using Kind = SeenParam::Kind;
using Stems = std::vector<std::string>;

bool any_phrase(std::string_view text, std::initializer_list<std::string_view> phrases) {
  return std::any_of(phrases.begin(), phrases.end(), [&](std::string_view phrase) {
    return find_phrase(text, phrase) != std::string_view::npos;
  });
}

const Row& row_of(const Knowledge& known, const RowRef& ref) {
  return known.rows[static_cast<std::size_t>(ref.noun)][ref.row];
}

Stems stems_in(std::string_view text) {
  Stems out;
  for (auto& token : tokens_of(text)) out.push_back(std::move(token.stem));
  return out;
}

bool holds(const std::vector<RowRef>& refs, const RowRef& what) {
  return std::find(refs.begin(), refs.end(), what) != refs.end();
}

// Records of the kind: those among `rows`, then their neighbours.
std::vector<RowRef> beside(const Knowledge& known, const std::vector<RowRef>& rows, int noun) {
  std::vector<RowRef> out;
  for (const auto& ref : rows)
    if (ref.noun == noun && !holds(out, ref)) out.push_back(ref);
  const auto& table = known.rows[static_cast<std::size_t>(noun)];
  for (const auto& ref : rows)
    for (std::size_t r = 0; r < table.size(); ++r) {
      const Row& row = row_of(known, ref);
      if (!Knowledge::points(row, table[r]) && !Knowledge::points(table[r], row)) continue;
      if (const RowRef near{noun, r}; !holds(out, near)) out.push_back(near);
    }
  return out;
}

// The choices in brackets behind a tool's name.
void read_given(const Catalog& c, std::string_view after, NamedTool& out) {
  if (!after.starts_with(" (")) return;
  const auto words = tokens_of(after.substr(2, after.find(')') - 2));
  for (const auto& p : c.tools[static_cast<std::size_t>(out.tool)].params)
    for (std::size_t i = 0; i + 1 < words.size(); ++i)
      if (p.kind == Kind::choice && p.name == words[i].text &&
          std::find(p.choices.begin(), p.choices.end(), words[i + 1].text) != p.choices.end())
        out.given.emplace_back(p.name, words[i + 1].text);
}

bool given_alike(const NamedTool& named, const Operation& o) {
  return named.tool == o.tool &&
         std::all_of(named.given.begin(), named.given.end(), [&](const auto& g) {
           const Value* v = o.args.find(g.first);
           return v != nullptr && v->is_string() && v->as_string() == g.second;
         });
}

// The rule speaks of a record in a state ("some offered package") that this one is not in.
bool in_another_state(const Catalog& c, std::string_view rule, int noun, const Row& row) {
  const auto stems = stems_in(rule);
  const auto tokens = tokens_of(rule);
  for (std::size_t i = 1; i < stems.size(); ++i) {
    if (c.noun_at(stems, i) != noun || !c.choices.contains(tokens[i - 1].text)) continue;
    return std::none_of(row.columns.begin(), row.columns.end(), [&](const auto& column) {
      return text_of(column.second) == tokens[i - 1].text;
    });
  }
  return false;
}

}  // namespace

std::vector<NamedTool> tools_named(const Catalog& c, std::string_view text) {
  std::vector<NamedTool> out;
  for (std::size_t t = 0; t < c.tools.size(); ++t) {
    const auto& tool = c.tools[t];
    if (tool.form != SeenTool::Form::act) continue;
    for (auto at = find_phrase(text, tool.name); at != std::string_view::npos;
         at = find_phrase(text, tool.name, at + 1)) {
      NamedTool named{static_cast<int>(t), {}, at};
      read_given(c, text.substr(at + tool.name.size()), named);
      out.push_back(std::move(named));
    }
  }
  std::sort(out.begin(), out.end(),
            [](const NamedTool& a, const NamedTool& b) { return a.begin < b.begin; });
  return out;
}

bool hangs_on_refusal(std::string_view clause) {
  const auto start = clause.substr(0, 40);
  return any_phrase(start, {"should that be", "should this be", "should it be", "if that is",
                            "if that cannot", "if this cannot", "if it cannot", "if it turns out",
                            "if it is refused", "failing that"}) &&
         find_phrase(start, "settled") == std::string_view::npos;
}

bool tells_of_more(std::string_view prompt) {
  return any_phrase(prompt, {"ask me for the next", "ask me what comes next", "there is more",
                             "what comes next", "the next step", "ask me what is next"});
}

bool tells_of_obstacle(std::string_view prompt) {
  return any_phrase(prompt, {"behind the refusal", "stands in the way", "is in the way", "obstacle",
                             "why it is refused", "why that is refused"});
}

std::optional<Operation> call_on(const Catalog& c,
                                 const Knowledge& known,
                                 const NamedTool& named,
                                 const std::vector<RowRef>& rows) {
  Operation out;
  out.tool = named.tool;
  out.args = Value::object();
  for (const auto& p : c.tools[static_cast<std::size_t>(named.tool)].params) {
    if (!p.required) continue;
    if (p.kind == Kind::ref || p.kind == Kind::ref_name) {
      const auto near = beside(known, rows, p.noun);
      if (near.empty()) return std::nullopt;
      out.args.set(p.name, argument_of(p, row_of(known, near.front())));
      out.rows.push_back(near.front());
      continue;
    }
    const auto given = std::find_if(named.given.begin(), named.given.end(),
                                    [&](const auto& g) { return g.first == p.name; });
    if (given == named.given.end()) return std::nullopt;
    out.args.set(p.name, given->second);
  }
  return out;
}

std::vector<NamedTool> duties_of(const Catalog& c, const Knowledge& known, const Operation& done) {
  std::vector<NamedTool> out;
  for (const auto& rule : c.rules) {
    const auto end = find_phrase(rule, "no tool does this by itself");
    if (end == std::string::npos) continue;
    const auto named = tools_named(c, rule);
    if (named.size() < 2 || !given_alike(named.front(), done)) continue;
    const std::string_view body = std::string_view(rule).substr(0, named.front().begin);
    bool other = false;
    for (std::size_t n = 0; n < c.nouns.size(); ++n)
      if (const auto near = beside(known, done.rows, static_cast<int>(n)); !near.empty())
        other =
            other || in_another_state(c, body, static_cast<int>(n), row_of(known, near.front()));
    if (other || !rule_holds(c, known, body, done.rows).value_or(true)) continue;
    out.push_back(named[1]);
  }
  return out;
}

WayOut way_out(const Catalog& c,
               std::string_view prompt,
               const Operation& refused,
               std::string_view code,
               bool reads_handbook) {
  WayOut out;
  out.tools = tools_named(c, prompt);
  if (reads_handbook) out.rule = rule_of(c, code);
  if (out.tools.empty()) {
    const auto stems = stems_in(out.rule);
    for (std::size_t t = 0; t < c.tools.size(); ++t) {
      const auto& tool = c.tools[t];
      if (tool.form != SeenTool::Form::act || tool.noun < 0 || static_cast<int>(t) == refused.tool)
        continue;
      const bool spoken = !stems.empty() && c.mentions(stems, tool.noun);
      const bool own =
          stems.empty() && std::any_of(refused.rows.begin(), refused.rows.end(),
                                       [&](const RowRef& r) { return r.noun == tool.noun; });
      if (spoken || own) out.tools.push_back({static_cast<int>(t), {}, 0});
    }
  }
  for (const auto& named : out.tools)
    for (const auto& p : c.tools[static_cast<std::size_t>(named.tool)].params)
      if (p.required && (p.kind == Kind::ref || p.kind == Kind::ref_name) &&
          std::find(out.nouns.begin(), out.nouns.end(), p.noun) == out.nouns.end())
        out.nouns.push_back(p.noun);
  return out;
}

std::vector<Operation> clearing_calls(const Catalog& c,
                                      const Knowledge& known,
                                      const WayOut& way,
                                      const Operation& refused,
                                      std::size_t most) {
  std::vector<Operation> out;
  const Clause said = clause_of(way.rule, way.rule, {});
  for (const auto& named : way.tools) {
    const auto& tool = c.tools[static_cast<std::size_t>(named.tool)];
    const auto ref = std::find_if(tool.params.begin(), tool.params.end(), [](const SeenParam& p) {
      return p.required && (p.kind == Kind::ref || p.kind == Kind::ref_name);
    });
    if (ref == tool.params.end()) continue;
    auto near = beside(known, refused.rows, ref->noun);
    // What is in the state that the rule speaks of comes first.
    const Selection fits = select_rows(c, known, said, ref->noun);
    if (fits.score > 0)
      std::stable_partition(near.begin(), near.end(), [&](const RowRef& r) {
        return std::find(fits.rows.begin(), fits.rows.end(), r.row) != fits.rows.end();
      });
    for (const auto& record : near) {
      if (out.size() >= most) return out;
      std::vector<RowRef> rows = {record};
      rows.insert(rows.end(), refused.rows.begin(), refused.rows.end());
      if (auto call = call_on(c, known, named, rows)) out.push_back(*std::move(call));
    }
  }
  return out;
}

}  // namespace seedbed::tasks::solvers
