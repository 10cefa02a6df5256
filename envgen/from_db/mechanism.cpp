#include "envgen/from_db/mechanism.h"

#include <algorithm>
#include <map>
#include <set>

#include "base/text.h"
#include "envgen/from_db/mechanism_maker.h"
#include "envgen/general/skin.h"

namespace seedbed::envgen {
namespace {

std::size_t at(int i) {
  return static_cast<std::size_t>(i);
}

constexpr std::size_t kMaxChanges = 3, kMaxNewParams = 5;

}  // namespace

std::pair<std::int64_t, std::int64_t> DbMaker::middle(int p, int c) const {
  std::vector<std::int64_t> values;
  const DbTable& table = other(p);
  for (const auto r : cut.tables[at(p)].rows)
    if (const auto v = table.rows[r].values[at(c)]; v != kNone) values.push_back(v);
  if (values.empty()) return {0, 0};
  std::sort(values.begin(), values.end());
  return {values[values.size() / 4], values[values.size() * 3 / 4]};
}

std::int64_t DbMaker::commonest(int c) const {
  std::map<std::int64_t, int> counts;
  for (const auto r : cut.tables[at(place)].rows)
    if (const auto v = t.rows[r].values[at(c)]; v != kNone) ++counts[v];
  std::int64_t best = kNone;
  for (const auto& [v, n] : counts)
    if (best == kNone || n > counts[best]) best = v;
  return best;
}

// New rows get the next number, so the key must be numbers of the table's own; and every value that
// a row must have must be something that a request can say.
bool DbMaker::creatable() const {
  if (t.key == KeyKind::text || t.key_refers) return false;
  std::size_t params = 0;
  for (const int c : cut.tables[at(place)].columns) {
    if (column(c).nullable) continue;
    if (column(c).type == Type::text) return false;
    if (column(c).type == Type::ref) ++params;
    if (is_number(column(c)) && commonest(c) < 0) return false;
  }
  // A reference that leads out of the cut cannot be given.
  for (const auto& c : t.columns)
    if (c.type == Type::ref && !c.nullable && cut.place_of(c.target) < 0) return false;
  for (const auto& u : t.uniques)
    for (const int c : u)
      if (column(c).type == Type::text || column(c).nullable) return false;
  return params > 0 && params <= kMaxNewParams;
}

void DbMaker::add() {
  if (!creatable()) return;
  PackTransition p;
  p.name = "add";
  std::vector<std::string> refs, values;
  std::map<int, std::string> given;  // column -> term
  std::set<int> targets;
  int words = 0, numbers = 0;
  for (const int c : cut.tables[at(place)].columns) {
    const DbColumn& x = column(c);
    if (x.nullable) continue;
    std::string term = x.attribute;
    const bool unique = fixed(c);
    const bool param = x.type == Type::ref || (x.type == Type::word && (unique || words++ < 2)) ||
                       (is_number(x) && (unique || numbers++ < 2));
    if (param) {
      p.params.emplace_back(x.attribute, domain_text(cut, x, now));
      const std::string slot = "{" + x.attribute + "}";
      if (x.type == Type::ref && targets.insert(x.target).second)
        refs.push_back(slot);
      else
        values.push_back((x.type == Type::ref ? "as " : "") + x.noun + " " + slot);
    } else if (x.type == Type::date) {
      term = "now";
    } else if (x.type == Type::word) {
      term = "'" + word_symbols(x)[static_cast<std::size_t>(commonest(c))] + "'";
    } else {
      term = std::to_string(commonest(c));
    }
    given[c] = term;
  }
  const std::string o = t.symbol;
  for (const auto& u : t.uniques) {
    std::string same;
    for (const int c : u) {
      if (given.count(c) == 0) continue;
      same += (same.empty() ? "" : " and ") + std::string("o.") + column(c).attribute + " = " +
              given[c];
    }
    if (!same.empty())
      p.guards.push_back({"count(o: " + o + " | " + same + ") = 0", "already_there"});
  }
  std::string fields;
  for (const auto& [c, term] : given)
    fields += (fields.empty() ? "" : ", ") + column(c).attribute + ": " + term;
  p.effects.push_back("new " + o + " {" + fields + "}");
  const auto listed = [](const std::vector<std::string>& parts) {
    std::string text;
    for (std::size_t i = 0; i < parts.size(); ++i)
      text += (i == 0 ? "" : i + 1 == parts.size() ? " and " : ", ") + parts[i];
    return text;
  };
  for (const char* verb : {"add ", "enter ", "record "})
    p.say.push_back(verb + with_article(t.singular) + " for " + listed(refs) +
                    (values.empty() ? "" : " with " + listed(values)));
  p.subject = p.params[0].first;
  for (const auto& [name, type] : p.params)
    for (const int c : cut.tables[at(place)].columns)
      if (column(c).attribute == name && column(c).type == Type::ref) {
        p.subject = name;
        break;
      }
  out.transitions.push_back(std::move(p));
}

void DbMaker::remove() {
  PackTransition p;
  p.name = "remove";
  p.params.emplace_back("x", "ref " + t.symbol);
  for (const auto& child : children) {
    const DbTable& from = other(child.place);
    p.guards.push_back({"count(o: " + from.symbol + " | o." +
                            from.columns[at(child.column)].attribute + " = x) = 0",
                        "has_" + slug(from.plural)});
  }
  p.effects.emplace_back("del x");
  p.say = {"remove {x}", "delete {x}", "take {x} off the books"};
  p.subject = "x";
  out.transitions.push_back(std::move(p));
}

void DbMaker::change(int c) {
  const DbColumn& x = column(c);
  PackTransition p;
  p.name = "change_" + x.attribute;
  const std::string value = x.attribute == "x" ? "x_value" : x.attribute;
  p.params.emplace_back("x", "ref " + t.symbol);
  p.params.emplace_back(value, domain_text(cut, x, now));
  p.guards.push_back({"x." + x.attribute + " != " + value, "already_so"});
  if (x.type == Type::ref && &target(x) == &t) p.guards.push_back({"x != " + value, "itself"});
  p.effects.push_back("set x." + x.attribute + " = " + value);
  const std::string slot = "{" + value + "}";
  p.say = {"set the " + x.noun + " of {x} to " + slot,
           "change the " + x.noun + " of {x} to " + slot};
  if (x.type == Type::ref) p.say.push_back("make " + slot + " the " + x.noun + " of {x}");
  p.subject = "x";
  if (x.type == Type::ref && rng.chance(1, 2)) p.subject = value;
  out.transitions.push_back(std::move(p));
}

void DbMaker::changes() {
  std::vector<int> words, others;
  for (const int c : cut.tables[at(place)].columns) {
    const DbColumn& x = column(c);
    if (fixed(c) || x.type == Type::text) continue;
    if (x.type == Type::ref && t.key_refers) continue;
    (x.type == Type::word ? words : others).push_back(c);
  }
  rng.shuffle(words);
  rng.shuffle(others);
  words.insert(words.end(), others.begin(), others.end());
  for (std::size_t i = 0; i < words.size() && i < kMaxChanges; ++i) change(words[i]);
}

void DbMaker::derived() {
  for (const int link : columns([&](const DbColumn& c) { return c.type == Type::ref; })) {
    const DbColumn& x = column(link);
    const bool twice = columns([&](const DbColumn& c) {
                         return c.type == Type::ref && c.target == x.target;
                       }).size() > 1;
    const std::string as = twice || &target(x) == &t ? " as " + x.noun : "";
    const std::string of = "o: " + t.symbol + " | o." + x.attribute + " = x";
    PackDerived d;
    d.over = target(x).symbol;
    d.name = "count_by_" + x.attribute;
    d.term = "count(" + of + ")";
    d.noun = "number of " + t.plural + as;
    out.derived.push_back(d);
    auto numbers = columns(is_number);
    if (numbers.empty()) continue;
    const DbColumn& n = column(rng.pick(numbers));
    d.name = "sum_by_" + x.attribute;
    d.term = "sum(" + of + ", o." + n.attribute + ")";
    d.noun = "total " + n.noun + " of " + t.plural + as;
    out.derived.push_back(d);
  }
}

// Bounds for how many rows refer to one row, such that some rows are above and some are not; ""
// where there are none. With a word column, only rows with that word count.
std::string DbMaker::limits(int link, int word_column, std::int64_t word) const {
  std::map<std::int64_t, std::int64_t> counts;
  const int to = cut.place_of(column(link).target);
  for (const auto r : cut.tables[at(to)].rows) counts[other(to).rows[r].key] = 0;
  for (const auto r : cut.tables[at(place)].rows) {
    const auto& values = t.rows[r].values;
    if (values[at(link)] != kNone && (word_column < 0 || values[at(word_column)] == word))
      ++counts[values[at(link)]];
  }
  std::vector<std::int64_t> sorted;
  for (const auto& [key, n] : counts) sorted.push_back(n);
  std::sort(sorted.begin(), sorted.end());
  if (sorted.front() == sorted.back()) return "";
  const std::int64_t most = sorted.back() - 1;
  return std::to_string(std::min(most, sorted[sorted.size() / 2])) + ".." + std::to_string(most);
}

// Limits that one table's rows set to what is done with another's.
void DbMaker::gates() {
  for (const int link : columns([&](const DbColumn& c) { return c.type == Type::ref; })) {
    const DbColumn& x = column(link);
    const std::string few = limits(link, -1, 0);
    if (few.empty()) continue;
    PackGate g;
    g.over = target(x).symbol;
    g.name = "few_by_" + x.attribute;
    g.term = "count(o: " + t.symbol + " | o." + x.attribute + " = x) <= ?limit";
    g.params.emplace_back("limit", few);
    g.code = "too_many_" + slug(t.plural);
    g.say =
        "For any {x}, the " + t.plural + " with it as " + x.noun + " may number at most {limit}.";
    out.gates.push_back(std::move(g));
    const auto words = columns([](const DbColumn& c) { return c.type == Type::word; });
    if (words.empty()) continue;
    const int w = rng.pick(words);
    PackGate by_word;
    by_word.over = target(x).symbol;
    const std::size_t word = static_cast<std::size_t>(std::max<std::int64_t>(0, commonest(w)));
    by_word.name = "kinds_by_" + x.attribute;
    by_word.term = "count(o: " + t.symbol + " | o." + x.attribute + " = x and o." +
                   column(w).attribute + " = '" + word_symbols(column(w))[word] + "') <= ?limit";
    const std::string such = limits(link, w, static_cast<std::int64_t>(word));
    if (such.empty()) continue;
    by_word.params.emplace_back("limit", such);
    by_word.code = "too_many_such_" + slug(t.plural);
    by_word.say = "For any {x}, the " + t.plural + " with it as " + x.noun + " and with " +
                  column(w).noun + " " + column(w).words[word] + " may number at most {limit}.";
    out.gates.push_back(std::move(by_word));
  }
}

std::vector<std::string> word_symbols(const DbColumn& column) {
  std::vector<std::string> out;
  for (std::size_t i = 0; i < column.words.size(); ++i)
    out.push_back(column.attribute + "_" + std::to_string(i));
  return out;
}

std::string domain_text(const DbCut& cut, const DbColumn& c, std::int64_t now) {
  switch (c.type) {
    case Type::ref:
      return "ref " + cut.model->tables[at(c.target)].symbol;
    case Type::word:
      return "enum " + join(word_symbols(c), "|");
    case Type::date:
      (void)now;
      return "date -60..60";
    case Type::cents:
      return "cents " + std::to_string(c.lo) + ".." + std::to_string(c.hi);
    case Type::text:
      return "text";
    default:
      return "int " + std::to_string(c.lo) + ".." + std::to_string(c.hi);
  }
}

std::vector<DbChild> children_of(const DbCut& cut, int place) {
  std::vector<DbChild> out;
  for (int p = 0; p < static_cast<int>(cut.tables.size()); ++p)
    for (const int c : cut.tables[at(p)].columns) {
      const DbColumn& x = cut.table(p).columns[at(c)];
      if (x.type == Type::ref && x.target == cut.tables[at(place)].table) out.push_back({p, c});
    }
  return out;
}

Mechanism mechanism_of(const DbCut& cut, int place, std::int64_t now, Rng rng) {
  DbMaker m{cut, place, cut.table(place), now, std::move(rng), {}, children_of(cut, place)};
  m.out.name = m.t.symbol;
  m.out.about = "the table " + m.t.name;
  m.add();
  m.remove();
  m.changes();
  m.derived();
  m.gates();
  m.goals();
  m.rules();
  return std::move(m.out);
}

}  // namespace seedbed::envgen
