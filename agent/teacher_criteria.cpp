#include "agent/teacher_criteria.h"

#include <algorithm>
#include <cstdlib>

#include "base/text.h"

namespace seedbed::agent {
namespace {

using schemas::Value;
using Rows = std::vector<const Value*>;

constexpr std::size_t kMostConditions = 4;
constexpr std::size_t kMostTerms = 24;      // conditions that are tried
constexpr std::size_t kMostReferences = 6;  // records of one condition
constexpr std::size_t kMostAmong = 3;       // values of one condition

struct Term {
  Condition condition;
  int cost = 0;  // of what the user did not say
};

bool is_reference(const std::string& field) {
  return field.size() > 3 && field.ends_with("_id");
}
bool is_measured(const std::string& field, const Value& value) {
  return !is_reference(field) &&
         (value.is_number() || (value.is_string() && is_date(value.as_string())));
}

// Whether a record of another list holds it.
bool shown_elsewhere(const Facts& facts, const std::string& value, const Rows& rows) {
  return std::any_of(facts.calls().begin(), facts.calls().end(), [&](const SeenCall& call) {
    if (call.items.empty() || std::find(rows.begin(), rows.end(), call.items.front()) != rows.end())
      return false;
    return std::any_of(call.items.begin(), call.items.end(), [&](const Value* item) {
      return std::any_of(item->members().begin(), item->members().end(),
                         [&](const auto& member) { return value_text(member.second) == value; });
    });
  });
}

// Conditions on one field that hold for all that are chosen.
void terms_of(const Facts& facts,
              const std::string& field,
              const Rows& rows,
              const Rows& chosen,
              const std::vector<std::string>& limits,
              const std::string& today,
              std::vector<Term>& out) {
  std::set<std::string> values;
  for (const Value* row : chosen) values.insert(text_in(*row, field));
  if (values.count("") != 0 || values.size() > 64) return;
  const Value& first = *chosen.front()->find(field);
  const bool measured = is_measured(field, first);
  const int named = facts.user_names(field);
  const auto fits = [&](const std::string& text) { return text.size() <= kMostShown; };
  if (values.size() == 1 && fits(*values.begin())) {
    const std::string& value = *values.begin();
    const bool said = facts.user_gives(value);
    // What nobody told of is no reason, though it tells the records apart.
    if (said || facts.told(value) || (is_reference(field) && facts.named(value)))
      out.push_back({{Condition::Is::equal, field, {value}},
                     measured && named == 0 ? 4
                     : said                 ? 1
                                            : 2});
  } else if (!measured && values.size() <= (is_reference(field) ? kMostReferences : kMostAmong) &&
             std::all_of(values.begin(), values.end(), fits)) {
    // Records that another list shows are meant by what was asked of that.
    const auto elsewhere = [&](const std::string& v) {
      return facts.told(v) || shown_elsewhere(facts, v, rows);
    };
    const bool told = std::all_of(values.begin(), values.end(), elsewhere);
    out.push_back({{Condition::Is::among, field, {values.begin(), values.end()}}, told ? 2 : 6});
  }
  if (!measured) return;
  std::vector<std::pair<std::string, int>> bounds;
  for (const auto& limit : limits) bounds.emplace_back(limit, named > 0 ? 1 : 3);
  bounds.emplace_back(today, named > 0 ? 2 : 5);
  for (const auto& [limit, cost] : bounds)
    for (const auto is : {Condition::Is::below, Condition::Is::above}) {
      Condition c{is, field, {limit}};
      if (std::all_of(chosen.begin(), chosen.end(),
                      [&](const Value* row) { return holds(c, *row); }))
        out.push_back({std::move(c), cost});
    }
}

struct Found {
  Criteria criteria;
  int cost = 0;
};

// Of the rows left, the one chosen stands at an end of some field.
void ends_of(const Facts& facts,
             const Rows& left,
             const Value& chosen,
             Found found,
             std::optional<Found>& best) {
  for (const auto& [field, value] : chosen.members()) {
    if (field == chosen.members().front().first || !is_measured(field, value)) continue;
    const int named = facts.user_names(field);
    for (const bool least : {true, false}) {
      if (!facts.user_ranks(least)) continue;
      const bool end = std::all_of(left.begin(), left.end(), [&](const Value* other) {
        const auto a = text_in(chosen, field), b = text_in(*other, field);
        return other == &chosen || (least ? below(a, b) : below(b, a)) == true;
      });
      // Conditions that do as well are preferred.
      const int cost = found.cost + (named >= 50 ? 2 : named > 0 ? 3 : 6);
      if (!end || (best && best->cost <= cost)) continue;
      Found one = found;
      one.cost = cost;
      one.criteria.by = field;
      one.criteria.least = least;
      best = std::move(one);
    }
  }
}

// What the user said of all that are chosen is said, whether or not it takes part in telling them
// from the others: that shows only once all is read.
void add_told(const Rows& rows, const std::vector<Term>& terms, Criteria& out) {
  std::vector<Condition> all;
  for (const auto& term : terms) {
    const Condition& c = term.condition;
    const bool used =
        std::any_of(out.conditions.begin(), out.conditions.end(), [&](const Condition& o) {
          return o.field == c.field && o.is == c.is && o.values == c.values;
        });
    const bool told =
        c.is == Condition::Is::equal && term.cost == 1 && all.size() + 1 < kMostConditions &&
        std::none_of(out.conditions.begin(), out.conditions.end(),
                     [&](const Condition& o) { return o.field == c.field; }) &&
        !std::all_of(rows.begin(), rows.end(), [&](const Value* row) { return holds(c, *row); });
    if (used || told) all.push_back(c);
  }
  out.conditions = std::move(all);
  out.left.erase(std::remove_if(out.left.begin(), out.left.end(),
                                [&](const Value* row) {
                                  return !std::all_of(
                                      out.conditions.begin(), out.conditions.end(),
                                      [&](const Condition& c) { return holds(c, *row); });
                                }),
                 out.left.end());
}

}  // namespace

std::string text_in(const Value& row, const std::string& field) {
  const Value* value = row.find(field);
  if (value == nullptr) return "";
  return value->is_null() ? "null" : value_text(*value);
}

std::optional<bool> below(const std::string& a, const std::string& b) {
  if (is_date(a) != is_date(b)) return std::nullopt;
  if (is_date(a)) return a < b;
  char *end_a = nullptr, *end_b = nullptr;
  const double x = std::strtod(a.c_str(), &end_a), y = std::strtod(b.c_str(), &end_b);
  if (a.empty() || b.empty() || *end_a != '\0' || *end_b != '\0') return std::nullopt;
  return x < y;
}

bool holds(const Condition& c, const Value& row) {
  const std::string text = text_in(row, c.field);
  switch (c.is) {
    case Condition::Is::below:
      return below(text, c.values[0]) == true;
    case Condition::Is::above:
      return below(c.values[0], text) == true;
    default:
      return std::find(c.values.begin(), c.values.end(), text) != c.values.end();
  }
}

std::optional<Criteria> criteria(const Facts& facts,
                                 const Rows& rows,
                                 const std::set<std::string>& chosen,
                                 const std::string& today) {
  Rows wanted;
  for (const Value* row : rows)
    if (chosen.count(key_of(*row)) != 0) wanted.push_back(row);
  if (wanted.empty() || rows.size() < 2) return std::nullopt;
  std::vector<Term> terms;
  const auto limits = facts.user_limits();
  for (const auto& [field, value] : wanted.front()->members())
    if (field != wanted.front()->members().front().first)
      terms_of(facts, field, rows, wanted, limits, today, terms);
  if (terms.size() > kMostTerms) terms.resize(kMostTerms);
  std::optional<Found> best;
  const auto consider = [&](const std::vector<const Term*>& chosen_terms) {
    Found found;
    for (const Term* term : chosen_terms) {
      found.criteria.conditions.push_back(term->condition);
      found.cost += term->cost;
    }
    for (const Value* row : rows)
      if (std::all_of(chosen_terms.begin(), chosen_terms.end(),
                      [&](const Term* term) { return holds(term->condition, *row); }))
        found.criteria.left.push_back(row);
    if (best && best->cost <= found.cost) return;
    if (found.criteria.left.size() == wanted.size())
      best = std::move(found);
    else if (wanted.size() == 1)
      ends_of(facts, found.criteria.left, *wanted.front(), found, best);
  };
  consider({});
  for (const auto& term : terms) consider({&term});
  for (std::size_t i = 0; i < terms.size(); ++i)
    for (std::size_t j = i + 1; j < terms.size(); ++j)
      if (terms[i].condition.field != terms[j].condition.field) consider({&terms[i], &terms[j]});
  if (!best) return std::nullopt;
  add_told(rows, terms, best->criteria);
  return std::move(best->criteria);
}

std::string text_of(const std::vector<Condition>& conditions) {
  std::string out;
  for (const auto& c : conditions) {
    const bool date = is_date(c.values[0]);
    out += out.empty() ? "" : ", ";
    switch (c.is) {
      case Condition::Is::equal:
        out += c.values[0] + " " + c.field;
        break;
      case Condition::Is::among:
        out += c.field + " of those";
        break;
      case Condition::Is::below:
        out += c.field + (date ? " before " : " below ") + c.values[0];
        break;
      case Condition::Is::above:
        out += c.field + (date ? " after " : " above ") + c.values[0];
        break;
    }
  }
  return out;
}

std::string_view end_of(const Criteria& criteria, const Value& value) {
  const bool date = value.is_string();
  if (criteria.least) return date ? "earliest" : "lowest";
  return date ? "latest" : "highest";
}

}  // namespace seedbed::agent
