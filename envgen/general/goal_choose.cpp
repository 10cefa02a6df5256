// choose(x1..xn | constraints [, optimum]): easy to check, to be searched for. Verified by its
// constraints, never against gold.
#include <algorithm>

#include "envgen/general/goal.h"

namespace seedbed::envgen {
namespace {

std::size_t at(int i) {
  return static_cast<std::size_t>(i);
}

struct Search {
  const Lowered& l;
  Choice& c;
  std::vector<std::int64_t> keys;
  std::vector<std::int64_t> numbers, marks;
  std::vector<std::vector<std::size_t>> all;  // index tuples, ascending

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
  [[nodiscard]] bool distinct(const std::vector<std::size_t>& t) const {
    for (std::size_t i = 0; i < t.size(); ++i)
      for (std::size_t j = 0; j < i; ++j)
        if (marks[t[i]] == marks[t[j]]) return false;
    return true;
  }
};

}  // namespace

std::optional<Goal> draw_choice(const Lowered& l, Rng rng) {
  const World& w = *l.world;
  const Speaker say{l};
  std::vector<int> concepts;
  for (int i = 0; i < static_cast<int>(w.concepts.size()); ++i) concepts.push_back(i);
  rng.shuffle(concepts);
  for (const int id : concepts) {
    const Concept& concept_ = w.concepts[at(id)];
    std::vector<int> numbers, marks, words;
    for (int a = 0; a < static_cast<int>(concept_.attrs.size()); ++a) {
      const Domain& d = concept_.attrs[at(a)].domain;
      if (d.nullable) continue;
      if (d.type == Type::cents || (d.type == Type::integer && d.hi - d.lo >= 4))
        numbers.push_back(a);
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
      Search s{l, c, rows_where(w, l.facts, id, c.filters), {}, {}, {}};
      if (s.keys.size() < 5 || s.keys.size() > 26) continue;
      for (const auto k : s.keys) {
        const Row* row = l.facts.tables[at(id)].find(k);
        s.numbers.push_back(row->values[at(c.number)]);
        s.marks.push_back(row->values[at(c.differ)]);
      }
      std::vector<std::size_t> start;
      s.tuples(start);
      std::vector<std::int64_t> totals;
      for (const auto& t : s.all)
        if (s.distinct(t)) totals.push_back(s.total(t));
      if (totals.size() < 10) continue;
      std::sort(totals.begin(), totals.end());
      c.limit = totals[totals.size() / 12];
      c.space = static_cast<std::int64_t>(s.all.size());
      std::vector<std::size_t> best, wrong;
      for (const auto& t : s.all) {
        const bool fits = s.total(t) <= c.limit;
        const std::int64_t wanted = c.optimum ? totals[0] : c.limit;
        if (s.distinct(t) && s.total(t) <= wanted) {
          ++c.feasible;
          if (best.empty() || s.total(t) < s.total(best)) best = t;
        } else if (wrong.empty() && (fits != s.distinct(t))) {
          wrong = t;
        }
      }
      if (best.empty() || wrong.empty() || c.feasible * 4 > c.space) continue;
      for (const auto i : best) c.best.push_back(s.keys[i]);
      for (const auto i : wrong) c.wrong.push_back(s.keys[i]);
      c.total = s.total(best);
      const std::string noun = l.skin.concepts[at(id)].nouns[at(c.number)],
                        mark = l.skin.concepts[at(id)].nouns[at(c.differ)];
      const char* kCounts[] = {"", "", "two", "three"};
      std::string text = std::string(rng.chance(1, 2) ? "choose " : "pick ") + kCounts[c.count] +
                         " " + say.described(id, c.filters, true);
      text += c.optimum
                  ? " so that no two have the same " + mark + " and the sum of their " + noun +
                        " is as small as possible"
                  : " so that no two have the same " + mark + " and the sum of their " + noun +
                        " is at most " + say.value(concept_.attrs[at(c.number)].domain, c.limit);
      g.requests.push_back(text);
      g.requests.push_back("only choose, change nothing");
      g.needs.push_back(
          {Goal::Need::Kind::list, id, c.filters, {c.number, c.differ}, kNone, -1, 0, nullptr, 0});
      g.knobs = {{"feasible", c.feasible}, {"space", c.space}};
      g.expression = "choose(" + std::to_string(c.count) + " " + concept_.symbol + "." +
                     concept_.attrs[at(c.number)].name + "," + concept_.attrs[at(c.differ)].name +
                     (c.optimum ? ",min" : "") + ")";
      g.choice = c;
      return g;
    }
  }
  return std::nullopt;
}

}  // namespace seedbed::envgen
