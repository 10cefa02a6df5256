#include "tasks/solvers/answer.h"

#include <algorithm>

#include "base/date.h"
#include "tasks/solvers/operation.h"

namespace seedbed::tasks::solvers {
namespace {

using schemas::Value;
using Stems = std::vector<std::string>;

constexpr int kMaxNodes = 20'000;  // of the search for a choice

bool says(const Stems& stems, std::initializer_list<std::string_view> words) {
  return std::any_of(words.begin(), words.end(), [&](std::string_view word) {
    return std::find(stems.begin(), stems.end(), stem_of(word)) != stems.end();
  });
}

Stems stems_of_tokens(std::string_view text) {
  Stems out;
  for (auto& token : tokens_of(text)) out.push_back(std::move(token.stem));
  return out;
}

int first_noun(const Catalog& c, const Stems& stems) {
  for (std::size_t i = 0; i < stems.size(); ++i)
    if (const int noun = c.noun_at(stems, i); noun >= 0) return noun;
  return -1;
}

const Value* property(const Value& schema, const std::string& name) {
  const Value* properties = schema.find("properties");
  return properties == nullptr ? nullptr : properties->find(name);
}

class Filler {
 public:
  explicit Filler(const Findings& f) : f_(f) {}

  Value fill(const Value& schema) {
    Value out = Value::object();
    const auto names = required_fields(schema);
    choose(schema, names, out);
    for (const auto& name : names) {
      if (out.find(name) != nullptr) continue;
      const Value* field = property(schema, name);
      out.set(name, field == nullptr ? Value("unknown") : typed(*field, field_value(name, *field)));
    }
    return out;
  }

 private:
  const std::vector<Row>& rows(int noun) const {
    return f_.known.rows[static_cast<std::size_t>(noun)];
  }

  // The value in the field's type; some value of the type where there is none.
  static Value typed(const Value& field, Value value) {
    if (const Value* words = field.find("enum");
        words != nullptr && words->is_array() && !words->items().empty())
      return std::find(words->items().begin(), words->items().end(), value) != words->items().end()
                 ? value
                 : words->items().front();
    const std::string type = field.text("type");
    if (type == "integer")
      return value.is_int() ? value : quantity(&value) ? Value(*quantity(&value)) : Value(0);
    if (type == "array") return value.is_array() ? value : Value::array();
    if (type == "boolean") return value.is_bool() ? value : Value(false);
    if (value.is_int()) return std::to_string(value.as_int());
    return value.is_string() && !value.as_string().empty() ? value : Value("unknown");
  }

  // The records that the prompt asks about.
  std::vector<std::size_t> targets(int noun) const {
    if (noun < 0) return {};
    std::vector<std::size_t> named, best;
    int best_score = -1;
    for (const auto& clause : f_.clauses) {
      for (const auto& m : clause.mentions)
        if (m.what.noun == noun && clause.asks) named.push_back(m.what.row);
      if (!f_.catalog.mentions(clause.stems, noun)) continue;
      auto [chosen, score] = joined(clause, noun);
      score += clause.asks ? 1 : 0;
      if (score > best_score && !chosen.empty()) best = std::move(chosen), best_score = score;
    }
    if (!named.empty() && best_score <= 1) return named;
    if (!best.empty()) return best;
    for (const auto& clause : f_.clauses)
      for (const auto& m : clause.mentions)
        if (m.what.noun == noun) return {m.what.row};
    return named;
  }

  // "those whose Y also has some Z": filtered by what points to the same Y.
  std::pair<std::vector<std::size_t>, int> joined(const Clause& clause, int noun) const {
    const std::size_t whose = find_phrase(clause.text, "whose");
    const std::size_t has =
        find_phrase(clause.text, "has", whose == std::string_view::npos ? 0 : whose);
    if (whose == std::string_view::npos || has == std::string_view::npos) {
      const Selection all = select_rows(f_.catalog, f_.known, clause, noun);
      return {all.rows, all.score + (all.superlative ? 2 : 0)};
    }
    const auto part = [&](std::size_t begin, std::size_t end) {
      return clause_of(f_.prompt, clause.text.substr(begin, end - begin), clause.mentions);
    };
    const Selection base = select_rows(f_.catalog, f_.known, part(0, whose), noun);
    const Clause other = part(has, clause.text.size());
    const int via = first_noun(f_.catalog, stems_of_tokens(clause.text.substr(whose, has - whose)));
    const int held = first_noun(f_.catalog, other.stems);
    if (via < 0 || held < 0) return {base.rows, base.score};
    const Selection some = select_rows(f_.catalog, f_.known, other, held);
    std::vector<std::size_t> out;
    for (const std::size_t r : base.rows)
      if (std::any_of(rows(via).begin(), rows(via).end(), [&](const Row& y) {
            return Knowledge::points(rows(noun)[r], y) &&
                   std::any_of(some.rows.begin(), some.rows.end(),
                               [&](std::size_t s) { return Knowledge::points(rows(held)[s], y); });
          }))
        out.push_back(r);
    return {out, base.score + 4};
  }

  int main_noun() const {
    for (const bool asking : {true, false})
      for (const auto& clause : f_.clauses) {
        if (clause.asks != asking) continue;
        if (const int noun = first_noun(f_.catalog, clause.stems); noun >= 0 && !rows(noun).empty())
          return noun;
        if (!clause.mentions.empty()) return clause.mentions.front().what.noun;
      }
    return -1;
  }

  // Records that are new or otherwise than before, those of the writes themselves last.
  std::vector<std::size_t> changed(int noun) const {
    std::vector<std::size_t> out, direct;
    for (std::size_t r = 0; r < rows(noun).size(); ++r) {
      const Row* was = f_.before.row(noun, rows(noun)[r].id);
      if (was != nullptr && was->columns == rows(noun)[r].columns) continue;
      const RowRef self{noun, r};
      const bool touched =
          std::find(f_.touched.begin(), f_.touched.end(), self) != f_.touched.end();
      (touched ? direct : out).push_back(r);
    }
    out.insert(out.end(), direct.begin(), direct.end());
    return out;
  }

  Value field_value(const std::string& name, const Value& field) {
    const std::string about = field.text("description");
    Stems stems = stems_of_tokens(about);
    for (auto& stem : stems_of_name(name)) stems.push_back(std::move(stem));
    int noun = first_noun(f_.catalog, stems);
    if (says(stems, {"changed", "consequence", "afterwards", "after"})) {
      if (noun < 0) noun = affected_;
      affected_ = noun;
      const auto found = noun < 0 ? std::vector<std::size_t>() : changed(noun);
      if (found.empty()) return {};
      const Row& row = rows(noun)[found.front()];
      return says(stems, {"id"}) ? row.value : column_value(row, stems);
    }
    const bool wants_id = says(stems, {"id", "ids"});
    if (noun < 0 || (!wants_id && rows(noun).empty()))
      noun = last_noun_ >= 0 ? last_noun_ : main_noun();
    if (noun < 0) return {};
    const auto chosen = targets(noun);
    if (field.text("type") == "array") {
      last_noun_ = noun;
      Value out = Value::array();
      for (const std::size_t r : chosen) out.push(rows(noun)[r].value);
      return out;
    }
    if (wants_id) {
      last_noun_ = noun;
      return chosen.empty() ? Value() : rows(noun)[chosen.front()].value;
    }
    if (says(stems, {"sum", "total"})) return sum_of(noun, chosen, stems);
    if (chosen.empty()) return says(stems, {"number", "count", "many"}) ? Value(0) : Value();
    Value found = column_value(rows(noun)[chosen.front()], stems);
    if (found.is_null() && says(stems, {"number", "count", "many"}))
      return static_cast<std::int64_t>(chosen.size());
    return found;
  }

  Value sum_of(int noun, const std::vector<std::size_t>& chosen, const Stems& stems) const {
    const std::string* column = column_like(f_.catalog, rows(noun), stems, true);
    if (column == nullptr) return {};
    std::int64_t sum = 0;
    for (const std::size_t r : chosen) sum += quantity(rows(noun)[r].column(*column)).value_or(0);
    return sum;
  }

  // Of the row, else of a record that it points to.
  Value column_value(const Row& row, const Stems& stems) const {
    const std::vector<Row> own = {row};
    if (const std::string* column = column_like(f_.catalog, own, stems, false)) {
      const Value* v = own[0].column(*column);
      return v == nullptr ? Value() : *v;
    }
    for (const auto& table : f_.known.rows)
      for (const auto& other : table) {
        if (other.id == row.id || !Knowledge::points(row, other)) continue;
        const std::vector<Row> there = {other};
        const std::string* column = column_like(f_.catalog, there, stems, false);
        if (column == nullptr) continue;
        const Value* v = there[0].column(*column);
        return v == nullptr ? Value() : *v;
      }
    return {};
  }

  // ---- so many of a kind, under the prompt's constraints ----
  struct Rules {
    std::string differ, added;  // columns
    std::optional<Comparison> limit;
    bool least = false;
  };

  static std::string after_phrase(std::string_view text,
                                  std::initializer_list<std::string_view> phrases) {
    for (const auto phrase : phrases)
      if (const auto at = find_phrase(text, phrase); at != std::string_view::npos) {
        const std::string_view rest = text.substr(at + phrase.size());
        return std::string(rest.substr(0, std::min<std::size_t>(48, rest.find_first_of(",.;"))));
      }
    return "";
  }

  Rules rules_of(const std::vector<Row>& from) const {
    Rules out;
    const auto column = [&](const std::string& text, bool numeric) {
      const std::string* found = column_like(f_.catalog, from, stems_of_tokens(text), numeric);
      return found == nullptr ? std::string() : *found;
    };
    if (const auto text = after_phrase(f_.prompt, {"the same", "different", "distinct"});
        !text.empty())
      out.differ = column(text.substr(0, text.find(" and ")), false);
    if (const auto text = after_phrase(f_.prompt, {"sum of", "total of", "sum", "total"});
        !text.empty())
      out.added = column(text, true);
    out.limit = comparison_in(f_.prompt);
    for (const std::string_view word :
         {"as low as possible", "as small as possible", "smallest possible", "lowest possible",
          "minimal", "cheapest"})
      out.least = out.least || find_phrase(f_.prompt, word) != std::string_view::npos;
    return out;
  }

  void choose(const Value& schema, const std::vector<std::string>& names, Value& out) {
    std::vector<std::string> fields;
    int noun = -1;
    for (const auto& name : names) {
      const Value* field = property(schema, name);
      const Stems stems = stems_of_tokens(field == nullptr ? "" : field->text("description"));
      if (!says(stems, {"chosen", "choice"})) continue;
      fields.push_back(name);
      if (noun < 0) noun = first_noun(f_.catalog, stems);
    }
    if (noun < 0 || fields.empty()) return;
    const auto& table = rows(noun);
    std::vector<std::size_t> from;
    for (const auto& clause : f_.clauses) {
      if (!f_.catalog.mentions(clause.stems, noun)) continue;
      const Selection chosen = select_rows(f_.catalog, f_.known, clause, noun);
      if (chosen.score > 0) from = chosen.rows;
    }
    if (from.empty())
      for (std::size_t r = 0; r < table.size(); ++r) from.push_back(r);
    const Rules rules = rules_of(table);
    const auto amount = [&](std::size_t r) {
      return rules.added.empty() ? 0 : quantity(table[r].column(rules.added)).value_or(0);
    };
    std::stable_sort(from.begin(), from.end(),
                     [&](std::size_t a, std::size_t b) { return amount(a) < amount(b); });
    std::vector<std::size_t> chosen, best;
    std::int64_t best_sum = 0;
    int nodes = 0;
    search(from, 0, fields.size(), 0, rules, amount, table, chosen, best, best_sum, nodes);
    for (std::size_t i = 0; i < fields.size() && i < best.size(); ++i)
      out.set(fields[i], table[best[i]].value);
  }

  template <class Amount>
  void search(const std::vector<std::size_t>& from,
              std::size_t at,
              std::size_t want,
              std::int64_t sum,
              const Rules& rules,
              const Amount& amount,
              const std::vector<Row>& table,
              std::vector<std::size_t>& chosen,
              std::vector<std::size_t>& best,
              std::int64_t& best_sum,
              int& nodes) const {
    if (++nodes > kMaxNodes || (!best.empty() && !rules.least)) return;
    if (chosen.size() == want) {
      if (rules.limit && !rules.added.empty() && !rules.limit->holds(sum)) return;
      if (best.empty() || sum < best_sum) best = chosen, best_sum = sum;
      return;
    }
    for (std::size_t i = at; i < from.size(); ++i) {
      const Row& row = table[from[i]];
      const Value* mine = rules.differ.empty() ? nullptr : row.column(rules.differ);
      const bool clash =
          mine != nullptr && std::any_of(chosen.begin(), chosen.end(), [&](std::size_t r) {
            const Value* other = table[r].column(rules.differ);
            return other != nullptr && *other == *mine;
          });
      if (clash) continue;
      chosen.push_back(from[i]);
      search(from, i + 1, want, sum + amount(from[i]), rules, amount, table, chosen, best, best_sum,
             nodes);
      chosen.pop_back();
    }
  }

  const Findings& f_;
  int last_noun_ = -1, affected_ = -1;
};

}  // namespace

std::vector<std::string> required_fields(const Value& schema) {
  std::vector<std::string> out;
  if (const Value* required = schema.find("required"); required != nullptr && required->is_array())
    for (const auto& name : required->items())
      if (name.is_string() && out.size() < 32) out.push_back(name.as_string());
  return out;
}

bool asks_afterwards(const Value& schema) {
  for (const auto& name : required_fields(schema))
    if (const Value* field = property(schema, name);
        field != nullptr && says(stems_of_tokens(field->text("description")),
                                 {"changed", "consequence", "afterwards", "after"}))
      return true;
  return false;
}

std::vector<int> nouns_asked(const Catalog& c,
                             const std::vector<Clause>& clauses,
                             const Value& schema) {
  std::vector<int> out;
  const auto add = [&](const Stems& stems) {
    for (std::size_t i = 0; i < stems.size(); ++i)
      if (const int noun = c.noun_at(stems, i);
          noun >= 0 && std::find(out.begin(), out.end(), noun) == out.end())
        out.push_back(noun);
  };
  for (const auto& name : required_fields(schema))
    if (const Value* field = property(schema, name))
      add(stems_of_tokens(field->text("description")));
  for (const auto& clause : clauses) add(clause.stems);
  return out;
}

Value fill_submission(const Findings& f, const Value& submit_schema) {
  return Filler(f).fill(submit_schema);
}

}  // namespace seedbed::tasks::solvers
