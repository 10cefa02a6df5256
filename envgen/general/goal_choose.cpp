// choose(x1..xn | constraints [, optimum]): easy to check, to be searched for. Verified by its
// constraints, never against gold.
#include <algorithm>

#include "envgen/general/goal.h"
#include "envgen/text/text.h"

namespace seedbed::envgen {
namespace {

std::size_t at(int i) {
  return static_cast<std::size_t>(i);
}

struct Search {
  const Lowered& l;
  Choice& c;
  std::vector<std::int64_t> keys;
  std::vector<std::int64_t> numbers, marks, bounded, worded;  // by key
  std::vector<std::vector<std::size_t>> all;                  // index tuples, ascending

  void tuples(std::vector<std::size_t>& chosen) {
    if (chosen.size() == static_cast<std::size_t>(c.count)) {
      all.push_back(chosen);
      return;
    }
    for (std::size_t i = chosen.empty() ? 0 : chosen.back() + 1; i < keys.size(); ++i) {
      chosen.push_back(i);
      tuples(chosen);
      chosen.pop_back();
    }
  }
  [[nodiscard]] std::int64_t total(const std::vector<std::size_t>& t) const {
    std::int64_t sum = 0;
    for (const auto i : t) sum += numbers[i];
    return sum;
  }
  // Conditions that the tuple breaks, but for the one on its total.
  [[nodiscard]] int broken(const std::vector<std::size_t>& t) const {
    int out = 0;
    bool any = c.some < 0;
    for (std::size_t i = 0; i < t.size(); ++i) {
      for (std::size_t j = 0; j < i; ++j) out += marks[t[i]] == marks[t[j]] ? 1 : 0;
      if (c.each >= 0)
        out += (c.least ? bounded[t[i]] >= c.bound : bounded[t[i]] <= c.bound) ? 0 : 1;
      any = any || worded[t[i]] == c.some_value;
    }
    return out + (any ? 0 : 1);
  }
  // Draws the bound and the value of which there must be one; the keys are known.
  void draw_extras(const std::vector<int>& ordered, const std::vector<int>& words, Rng& rng);
  void read_rows();
};

void Search::draw_extras(const std::vector<int>& ordered, const std::vector<int>& words, Rng& rng) {
  const auto& table = l.facts.tables[at(c.concept_id)];
  const auto values = [&](int a) {
    std::vector<std::int64_t> out;
    for (const auto k : keys) out.push_back(table.find(k)->values[at(a)]);
    return out;
  };
  const int each = ordered.empty() ? -1 : rng.pick(ordered);
  const bool bounds = rng.chance(2, 3), least = rng.chance(1, 2), has_one = rng.chance(2, 3);
  if (bounds && each >= 0 && each != c.number) {
    auto all_values = values(each);
    std::sort(all_values.begin(), all_values.end());
    c.bound =
        all_values[least ? all_values.size() / 4 : all_values.size() - 1 - all_values.size() / 4];
    if (all_values.front() != all_values.back() && c.bound != kNone) {
      c.each = each;
      c.least = least;
    }
  }
  const int some = words.empty() ? -1 : rng.pick(words);
  if (!has_one || some < 0 || some == c.differ ||
      std::any_of(c.filters.begin(), c.filters.end(),
                  [&](const auto& f) { return f.first == some; }))
    return;
  const auto held = values(some);
  c.some_value = rng.pick(held);
  const auto n = std::count(held.begin(), held.end(), c.some_value);
  if (c.some_value != kNone && n >= 2 && 2 * n <= static_cast<std::int64_t>(held.size()))
    c.some = some;
}

void Search::read_rows() {
  for (const auto k : keys) {
    const Row* row = l.facts.tables[at(c.concept_id)].find(k);
    numbers.push_back(row->values[at(c.number)]);
    marks.push_back(row->values[at(c.differ)]);
    bounded.push_back(c.each < 0 ? 0 : row->values[at(c.each)]);
    worded.push_back(c.some < 0 ? 0 : row->values[at(c.some)]);
  }
}

// "so that no two have the same state, the fee of each is at least 300 cents, at least one has
// urgent as its kind, and the sum of their weight is at most 20".
std::string conditions_said(const Lowered& l, const Choice& c, const Speaker& say) {
  const auto& attrs = l.world->concepts[at(c.concept_id)].attrs;
  const auto& nouns = l.skin.concepts[at(c.concept_id)].nouns;
  std::vector<std::string> parts{"no two have the same " + nouns[at(c.differ)]};
  if (c.each >= 0) {
    const bool date = attrs[at(c.each)].domain.type == Type::date;
    const std::string& noun = nouns[at(c.each)];
    parts.push_back("the " + noun + " of each " + be(noun) +
                    (c.least ? (date ? " on or after " : " at least ")
                             : (date ? " on or before " : " at most ")) +
                    say.value(attrs[at(c.each)].domain, c.bound));
  }
  if (c.some >= 0)
    parts.push_back("at least one has " + say.value(attrs[at(c.some)].domain, c.some_value) +
                    " as its " + nouns[at(c.some)]);
  parts.push_back("the sum of their " + nouns[at(c.number)] +
                  (c.optimum ? " is as small as possible"
                             : " is at most " + say.value(attrs[at(c.number)].domain, c.limit)));
  std::string out = "so that ";
  for (std::size_t i = 0; i < parts.size(); ++i)
    out += (i == 0                 ? ""
            : i + 1 < parts.size() ? ", "
            : parts.size() > 2     ? ", and "
                                   : " and ") +
           parts[i];
  return out;
}

}  // namespace

std::optional<Goal> draw_choice(const Lowered& l, Rng rng) {
  const World& w = *l.world;
  const Speaker say{l};
  std::vector<int> concepts;
  for (int i = 0; i < static_cast<int>(w.concepts.size()); ++i) concepts.push_back(i);
  rng.shuffle(concepts);
  for (const int id : concepts) {
    const Concept& concept_ = w.concepts[at(id)];
    std::vector<int> numbers, marks, words, ordered;
    for (int a = 0; a < static_cast<int>(concept_.attrs.size()); ++a) {
      const Domain& d = concept_.attrs[at(a)].domain;
      if (d.nullable) continue;
      if (d.type == Type::cents || (d.type == Type::integer && d.hi - d.lo >= 4))
        numbers.push_back(a);
      if (d.type == Type::date || (!numbers.empty() && numbers.back() == a)) ordered.push_back(a);
      if (d.type == Type::ref || d.type == Type::word) marks.push_back(a);
      if (d.type == Type::word) words.push_back(a);
    }
    if (numbers.empty() || marks.empty()) continue;
    for (int attempt = 0; attempt < 6; ++attempt) {
      Goal g;
      g.kind = "choose";
      Choice c;
      c.concept_id = id;
      c.count = static_cast<int>(rng.between(2, 3));
      c.number = rng.pick(numbers);
      c.differ = rng.pick(marks);
      c.optimum = rng.chance(1, 3);
      if (!words.empty() && rng.chance(2, 3)) {
        const int a = rng.pick(words);
        if (a != c.differ)
          c.filters.emplace_back(
              a, l.facts.tables[at(id)]
                     .rows[static_cast<std::size_t>(rng.below(l.facts.tables[at(id)].rows.size()))]
                     .values[at(a)]);
      }
      Search s{l, c, rows_where(w, l.facts, id, c.filters), {}, {}, {}, {}, {}};
      if (s.keys.size() < 5 || s.keys.size() > 26) continue;
      s.draw_extras(ordered, words, rng);
      s.read_rows();
      std::vector<std::size_t> start;
      s.tuples(start);
      std::vector<std::int64_t> totals;
      for (const auto& t : s.all)
        if (s.broken(t) == 0) totals.push_back(s.total(t));
      if (totals.size() < 10) continue;
      std::sort(totals.begin(), totals.end());
      c.limit = totals[totals.size() / 12];
      c.space = static_cast<std::int64_t>(s.all.size());
      std::vector<std::size_t> best, wrong;
      for (const auto& t : s.all) {
        const bool fits = s.total(t) <= c.limit;
        const std::int64_t wanted = c.optimum ? totals[0] : c.limit;
        const int broken = s.broken(t);
        if (broken == 0 && s.total(t) <= wanted) {
          ++c.feasible;
          if (best.empty() || s.total(t) < s.total(best)) best = t;
        } else if (wrong.empty() && broken + (fits ? 0 : 1) == 1) {
          wrong = t;
        }
      }
      if (best.empty() || wrong.empty() || c.feasible * 4 > c.space) continue;
      for (const auto i : best) c.best.push_back(s.keys[i]);
      for (const auto i : wrong) c.wrong.push_back(s.keys[i]);
      c.total = s.total(best);
      const char* kCounts[] = {"", "", "two", "three"};
      const std::string text = std::string(rng.chance(1, 2) ? "choose " : "pick ") +
                               kCounts[c.count] + " " + say.described(id, c.filters, true) + " " +
                               conditions_said(l, c, say);
      g.requests.push_back(text);
      g.requests.push_back("only choose, change nothing");
      std::vector<int> read{c.number, c.differ};
      if (c.each >= 0) read.push_back(c.each);
      if (c.some >= 0) read.push_back(c.some);
      g.needs.push_back({Goal::Need::Kind::list, id, c.filters, read, kNone, -1, 0, nullptr, 0});
      g.knobs = {{"feasible", c.feasible}, {"space", c.space}};
      g.expression =
          "choose(" + std::to_string(c.count) + " " + concept_.symbol + "." +
          concept_.attrs[at(c.number)].name + "," + concept_.attrs[at(c.differ)].name +
          (c.each >= 0 ? (c.least ? ",>=" : ",<=") + concept_.attrs[at(c.each)].name : "") +
          (c.some >= 0 ? ",some " + concept_.attrs[at(c.some)].name : "") +
          (c.optimum ? ",min" : "") + ")";
      g.choice = c;
      return g;
    }
  }
  return std::nullopt;
}

}  // namespace seedbed::envgen
