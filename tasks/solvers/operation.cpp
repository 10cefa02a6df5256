#include "tasks/solvers/operation.h"

#include <algorithm>
#include <map>

namespace seedbed::tasks::solvers {
namespace {

using schemas::ToolCall;
using schemas::Value;
using Kind = SeenParam::Kind;

constexpr int kNamed = 10, kDescribed = 8, kLeftOver = -9, kLacking = -30, kVague = -12,
              kChosen = 6;
constexpr std::size_t kMaxEach = 16;

bool says_stem(const Catalog& c, const Clause& clause, const std::string& stem) {
  for (std::size_t i = 0; i < clause.stems.size(); ++i)
    if (clause.stems[i] == stem && !describes(c, clause, i)) return true;
  return false;
}

bool has(const std::vector<RowRef>& refs, const RowRef& what) {
  return std::find(refs.begin(), refs.end(), what) != refs.end();
}

std::string words_of(const SeenParam& p) {
  std::string out;
  for (const char c : p.name) {
    if (c == '_') {
      out.push_back(' ');
    } else if (c >= 'A' && c <= 'Z') {
      out.push_back(' ');
      out.push_back(static_cast<char>(c - 'A' + 'a'));
    } else {
      out.push_back(c);
    }
  }
  for (const std::string_view ending : {" id", " name"})
    if (out.ends_with(ending)) out.resize(out.size() - ending.size());
  return out;
}

// Fits one tool to one clause.
class Fitter {
 public:
  Fitter(const Catalog& c,
         const Knowledge& known,
         const Clause& clause,
         int tool,
         std::map<int, Selection>& chosen)
      : c_(c),
        known_(known),
        clause_(clause),
        chosen_(chosen),
        tool_(c.tools[static_cast<std::size_t>(tool)]) {
    out_.tool = tool;
    out_.args = Value::object();
  }

  Operation fit() {
    for (const auto& stem : tool_.stems)
      if (says_stem(c_, clause_, stem)) out_.verb += c_.weight(stem);
    out_.score = out_.verb;
    // What is described takes the names that describe it; what is named takes the rest.
    for (const bool named : {false, true})
      for (std::size_t i = 0; i < tool_.params.size(); ++i) {
        const auto& p = tool_.params[i];
        if ((p.kind != Kind::ref && p.kind != Kind::ref_name) || !p.required) continue;
        if (is_named(p.noun) == named) reference(static_cast<int>(i), named);
      }
    for (const auto& p : tool_.params)
      if (p.required && p.kind != Kind::ref && p.kind != Kind::ref_name) plain(p);
    std::vector<std::size_t> left;
    for (const auto& m : clause_.mentions)
      if (!has(used_, m.what)) left.push_back(m.begin);
    for (const auto& m : clause_.mentions)
      if (has(used_, m.what))
        left.erase(std::remove(left.begin(), left.end(), m.begin), left.end());
    left.erase(std::unique(left.begin(), left.end()), left.end());
    out_.score += kLeftOver * static_cast<int>(left.size());
    return std::move(out_);
  }

 private:
  bool is_named(int noun) const {
    return std::any_of(clause_.mentions.begin(), clause_.mentions.end(),
                       [&](const Mention& m) { return m.what.noun == noun; });
  }

  void put(const SeenParam& p, std::size_t row) {
    const Row& r = known_.rows[static_cast<std::size_t>(p.noun)][row];
    out_.args.set(p.name, argument_of(p, r));
    out_.rows.push_back({p.noun, row});
  }

  void lack(const SeenParam& p) {
    out_.score += kLacking;
    if (!out_.lacking) out_.lacking = words_of(p);
  }

  void reference(int index, bool named) {
    const auto& p = tool_.params[static_cast<std::size_t>(index)];
    if (named) {
      for (const auto& m : clause_.mentions) {
        if (m.what.noun != p.noun || has(used_, m.what)) continue;
        used_.push_back(m.what);
        out_.score += kNamed;
        return put(p, m.what.row);
      }
      return lack(p);
    }
    const auto& rows = known_.rows[static_cast<std::size_t>(p.noun)];
    const bool said = c_.mentions(clause_.stems, p.noun);
    auto made = chosen_.find(p.noun);
    if (made == chosen_.end())
      made = chosen_.emplace(p.noun, select_rows(c_, known_, clause_, p.noun)).first;
    const Selection& chosen = made->second;
    if (rows.empty() || chosen.rows.empty() || (!said && chosen.score == 0)) return lack(p);
    out_.score += said ? kDescribed : kDescribed / 2;
    if (chosen.score == 0 && !chosen.superlative && rows.size() > 1 && !clause_.each)
      out_.score += kVague;
    for (const auto& u : chosen.used) used_.push_back(u);
    put(p, chosen.rows.front());
    if (clause_.each && out_.several < 0) {
      out_.several = index;
      out_.each = chosen.rows;
    }
  }

  void plain(const SeenParam& p) {
    switch (p.kind) {
      case Kind::choice:
        return choice(p);
      case Kind::number:
        return number(p);
      case Kind::date:
        for (const auto& token : clause_.tokens)
          if (day_of(token.text)) {
            out_.args.set(p.name, token.text);
            return;
          }
        return lack(p);
      case Kind::text:
      case Kind::name: {
        const auto names = name_candidates(clause_.text);
        if (names.empty()) return lack(p);
        out_.args.set(p.name, names.front());
        return;
      }
      default:
        return lack(p);
    }
  }

  void choice(const SeenParam& p) {
    const std::string* best = nullptr;
    std::size_t best_at = 0;
    for (const auto& word : p.choices) {
      std::string said = word;
      std::replace(said.begin(), said.end(), '_', ' ');
      const std::size_t at = find_phrase(clause_.text, said);
      if (at != std::string_view::npos && (best == nullptr || at > best_at))
        best = &word, best_at = at;
    }
    if (best == nullptr) return lack(p);
    out_.score += kChosen;
    out_.args.set(p.name, *best);
  }

  void number(const SeenParam& p) {
    for (const auto& token : clause_.tokens) {
      const auto n = number_of(token.text);
      if (!n || std::find(numbers_.begin(), numbers_.end(), token.begin) != numbers_.end())
        continue;
      numbers_.push_back(token.begin);
      out_.args.set(p.name, *n);
      out_.score += kChosen;
      return;
    }
    lack(p);
  }

  const Catalog& c_;
  const Knowledge& known_;
  const Clause& clause_;
  std::map<int, Selection>& chosen_;  // by noun: what the clause picks, shared by the tools
  const SeenTool& tool_;
  Operation out_;
  std::vector<RowRef> used_;
  std::vector<std::size_t> numbers_;
};

}  // namespace

Value argument_of(const SeenParam& p, const Row& row) {
  Value one = p.kind == Kind::ref ? row.value : Value(row.name());
  if (!p.many) return one;
  Value all = Value::array();
  all.push(std::move(one));
  return all;
}

std::vector<Operation> fit_operations(const Catalog& c,
                                      const Knowledge& known,
                                      const Clause& clause,
                                      std::size_t most) {
  std::vector<Operation> out;
  std::map<int, Selection> chosen;
  for (std::size_t t = 0; t < c.tools.size(); ++t)
    if (c.tools[t].form == SeenTool::Form::act)
      out.push_back(Fitter(c, known, clause, static_cast<int>(t), chosen).fit());
  std::stable_sort(out.begin(), out.end(),
                   [](const Operation& a, const Operation& b) { return a.score > b.score; });
  if (out.size() > most) out.resize(most);
  return out;
}

std::vector<ToolCall> calls_of(const Catalog& c, const Knowledge& known, const Operation& o) {
  const auto& tool = c.tools[static_cast<std::size_t>(o.tool)];
  if (o.several < 0 || o.each.size() < 2) return {{tool.name, o.args}};
  std::vector<ToolCall> out;
  const auto& p = tool.params[static_cast<std::size_t>(o.several)];
  Value all = Value::array();
  for (const std::size_t row : o.each) {
    if (out.size() >= kMaxEach || all.items().size() >= kMaxEach) break;
    const Row& r = known.rows[static_cast<std::size_t>(p.noun)][row];
    Value args = o.args;
    args.set(p.name, argument_of(p, r));
    if (p.many)
      all.push(p.kind == Kind::ref ? r.value : Value(r.name()));
    else
      out.push_back({tool.name, std::move(args)});
  }
  if (p.many) {
    Value args = o.args;
    args.set(p.name, std::move(all));
    out.push_back({tool.name, std::move(args)});
  }
  return out;
}

bool Comparison::holds(std::int64_t value) const {
  if (sign == 0) return value == number;
  if (value == number) return !strict;
  return sign > 0 ? value > number : value < number;
}

std::optional<Comparison> comparison_in(std::string_view text) {
  struct Words {
    std::string_view text;
    int sign;
    bool strict;
  };
  static constexpr Words kWords[] = {
      {"greater than", 1, true}, {"more than", 1, true},      {"above", 1, true},
      {"over", 1, true},         {"exceeds", 1, true},        {"higher than", 1, true},
      {"larger than", 1, true},  {"at least", 1, false},      {"no less than", 1, false},
      {"less than", -1, true},   {"fewer than", -1, true},    {"below", -1, true},
      {"under", -1, true},       {"lower than", -1, true},    {"smaller than", -1, true},
      {"at most", -1, false},    {"no more than", -1, false}, {"not more than", -1, false},
      {"exactly", 0, false},     {"equal to", 0, false}};
  std::optional<Comparison> out;
  for (const auto& words : kWords) {
    const std::size_t at = find_phrase(text, words.text);
    if (at == std::string_view::npos) continue;
    const auto tokens = tokens_of(text.substr(at + words.text.size()));
    if (tokens.empty()) continue;
    const auto n = number_of(tokens.front().text);
    if (!n) continue;
    const std::size_t from = at + words.text.size();
    // "no more than" holds "more than": the one that begins first is meant
    if (!out || at < out->begin)
      out = Comparison{words.sign, words.strict, *n, at, from + tokens.front().end};
  }
  return out;
}

std::optional<Branch> branch_of(const Catalog& c,
                                const Knowledge& known,
                                std::string_view prompt,
                                const Clause& clause,
                                const std::vector<Mention>& mentions) {
  const std::size_t at = find_phrase(clause.text, "if");
  if (at == std::string_view::npos || at > 60) return std::nullopt;
  const auto comparison = comparison_in(clause.text.substr(at));
  if (!comparison) return std::nullopt;
  const std::string_view condition = clause.text.substr(at, comparison->begin);
  const std::size_t comma = clause.text.find(',', at + comparison->end);
  if (comma == std::string_view::npos) return std::nullopt;
  Branch out;
  out.then = clause.text.substr(comma + 1);
  const Clause part = clause_of(prompt, condition, mentions);
  for (const auto& m : part.mentions) {
    const auto& row = known.rows[static_cast<std::size_t>(m.what.noun)][m.what.row];
    const std::vector<Row> one{row};  // the column's name lives in it
    const std::string* column = column_like(c, one, part.stems, true);
    if (column == nullptr) continue;
    const std::string name = *column;
    if (const auto n = quantity(row.column(name))) {
      out.holds = comparison->holds(*n);
      return out;
    }
  }
  for (std::size_t i = 0; i < part.stems.size(); ++i) {  // so many records that fit
    const int noun = c.noun_at(part.stems, i);
    if (noun < 0 || known.rows[static_cast<std::size_t>(noun)].empty()) continue;
    const Selection chosen = select_rows(c, known, part, noun);
    if (chosen.score == 0) continue;
    out.holds = comparison->holds(static_cast<std::int64_t>(chosen.rows.size()));
    break;
  }
  return out;
}

}  // namespace seedbed::tasks::solvers
