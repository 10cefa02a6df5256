#include "envgen/from_db/cut.h"

#include <algorithm>
#include <map>
#include <set>

#include "base/text.h"

namespace seedbed::envgen {
namespace {

std::size_t at(int i) {
  return static_cast<std::size_t>(i);
}

constexpr std::int64_t kPopular = 6;  // more children make a row no more wanted

// Tables that hang together, grown from one at random.
std::vector<int> draw_tables(const DbModel& model, Rng& rng, const CutKnobs& knobs) {
  const auto n = static_cast<int>(model.tables.size());
  std::vector<std::vector<std::int64_t>> links(at(n), std::vector<std::int64_t>(at(n), 0));
  for (int t = 0; t < n; ++t)
    for (const auto& c : model.tables[at(t)].columns)
      if (c.type == Type::ref && c.target != t) {
        ++links[at(t)][at(c.target)];
        ++links[at(c.target)][at(t)];
      }
  const auto wanted = static_cast<std::size_t>(rng.between(knobs.tables_min, knobs.tables_max));
  std::set<int> in;
  while (in.size() < std::min(wanted, at(n))) {
    std::vector<std::int64_t> weights;
    std::int64_t sum = 0;
    for (int t = 0; t < n; ++t) {
      std::int64_t w = 0;
      for (int o = 0; o < n; ++o)
        if (in.empty() || in.count(o) != 0) w += links[at(t)][at(o)];
      weights.push_back(in.count(t) != 0 ? 0 : w);
      sum += weights.back();
    }
    if (sum == 0) {  // nothing hangs on what is in: only where there is hardly anything yet
      if (in.size() >= 3) break;
      for (int t = 0; t < n; ++t) weights[at(t)] = in.count(t) != 0 ? 0 : 1;
    }
    in.insert(static_cast<int>(rng.weighted(weights)));
  }
  // A table keyed by two columns needs both.
  for (bool again = true; again;) {
    again = false;
    for (const int t : std::set<int>(in)) {
      const DbTable& table = model.tables[at(t)];
      for (const int c : {table.pair.first, table.pair.second})
        if (c >= 0 && table.columns[at(c)].type == Type::ref &&
            in.count(table.columns[at(c)].target) == 0) {
          in.erase(t);
          again = true;
        }
    }
  }
  return {in.begin(), in.end()};
}

struct Sampler {
  const DbModel& model;
  DbCut& cut;
  const CutKnobs& knobs;
  std::vector<std::set<std::size_t>> in;                 // by place in the cut: rows
  std::vector<std::set<std::string>> names;              // lower case
  std::vector<std::map<std::int64_t, std::size_t>> row;  // key -> row
  std::vector<std::vector<std::int64_t>> children;       // how many rows refer to each
  std::vector<std::vector<std::size_t>> order;           // a random one
  std::vector<std::size_t> quota;

  struct Ref {
    int column = -1, place = -1;
  };
  std::vector<std::vector<Ref>> refs;  // by place

  void prepare(Rng& rng);
  bool closure(int place, std::size_t r, std::set<std::pair<int, std::size_t>>& out) const;
  bool include(int place, std::size_t r);
  [[nodiscard]] std::string name_of(int place, std::size_t r) const;
  bool add_one(int place);
  void run();
};

void Sampler::prepare(Rng& rng) {
  const std::size_t n = cut.tables.size();
  in.resize(n);
  names.resize(n);
  row.resize(n);
  children.resize(n);
  order.resize(n);
  refs.resize(n);
  std::vector<bool> referred(n, false);
  for (std::size_t i = 0; i < n; ++i) {
    const DbTable& t = cut.table(static_cast<int>(i));
    for (std::size_t r = 0; r < t.rows.size(); ++r) {
      row[i][t.rows[r].key] = r;
      order[i].push_back(r);
    }
    rng.shuffle(order[i]);
    children[i].assign(t.rows.size(), 0);
  }
  for (std::size_t i = 0; i < n; ++i) {
    const DbTable& t = cut.table(static_cast<int>(i));
    for (const int c : cut.tables[i].columns) {
      if (t.columns[at(c)].type != Type::ref) continue;
      const int to = cut.place_of(t.columns[at(c)].target);
      refs[i].push_back({c, to});
      if (to != static_cast<int>(i)) referred[at(to)] = true;
      for (const auto& r : t.rows)
        if (r.values[at(c)] != kNone) ++children[at(to)][row[at(to)].at(r.values[at(c)])];
    }
  }
  for (std::size_t i = 0; i < n; ++i) {
    const std::size_t rows = cut.table(static_cast<int>(i)).rows.size();
    const std::size_t wish = referred[i] ? knobs.rows_parent : knobs.rows_leaf;
    quota.push_back(rows <= knobs.rows_all ? rows : wish);
  }
}

std::string Sampler::name_of(int place, std::size_t r) const {
  const DbTable& t = cut.table(place);
  if (t.name_column < 0) return "";
  return lower_ascii(t.texts[static_cast<std::size_t>(t.rows[r].values[at(t.name_column)])]);
}

// The row and all that it refers to, directly or not, as far as it is not in yet.
bool Sampler::closure(int place, std::size_t r, std::set<std::pair<int, std::size_t>>& out) const {
  if (in[at(place)].count(r) != 0 || !out.insert({place, r}).second) return true;
  if (out.size() > 40) return false;
  for (const auto& ref : refs[at(place)]) {
    const std::int64_t key = cut.table(place).rows[r].values[at(ref.column)];
    if (key != kNone && !closure(ref.place, row[at(ref.place)].at(key), out)) return false;
  }
  return true;
}

bool Sampler::include(int place, std::size_t r) {
  std::set<std::pair<int, std::size_t>> rows;
  if (!closure(place, r, rows)) return false;
  std::set<std::pair<int, std::string>> fresh;
  for (const auto& [p, one] : rows) {
    const std::string name = name_of(p, one);
    if (name.empty()) continue;
    if (names[at(p)].count(name) != 0 || !fresh.insert({p, name}).second) return false;
  }
  for (const auto& [p, one] : rows) in[at(p)].insert(one);
  for (const auto& [p, name] : fresh) names[at(p)].insert(name);
  return true;
}

// The row with the most references to what is in and the fewest to what is not; false where none
// can be added.
bool Sampler::add_one(int place) {
  const DbTable& t = cut.table(place);
  std::vector<std::pair<std::int64_t, std::size_t>> best;
  for (std::size_t i = 0; i < order[at(place)].size(); ++i) {
    const std::size_t r = order[at(place)][i];
    if (in[at(place)].count(r) != 0) continue;
    std::int64_t score = std::min(kPopular, children[at(place)][r]);
    for (const auto& ref : refs[at(place)]) {
      const std::int64_t key = t.rows[r].values[at(ref.column)];
      if (key == kNone) continue;
      score += in[at(ref.place)].count(row[at(ref.place)].at(key)) != 0 ? 5 : -4;
    }
    best.emplace_back(-score, i);
  }
  std::sort(best.begin(), best.end());
  if (best.size() > 20) best.resize(20);
  return std::any_of(best.begin(), best.end(),
                     [&](const auto& b) { return include(place, order[at(place)][b.second]); });
}

void Sampler::run() {
  std::set<int> full;
  while (full.size() < cut.tables.size()) {
    int next = -1;
    for (int i = 0; i < static_cast<int>(cut.tables.size()); ++i) {
      if (full.count(i) != 0) continue;
      if (in[at(i)].size() >= quota[at(i)])
        full.insert(i);
      else if (next < 0 || in[at(i)].size() * quota[at(next)] < in[at(next)].size() * quota[at(i)])
        next = i;
    }
    if (next >= 0 && !add_one(next)) full.insert(next);
  }
  for (std::size_t i = 0; i < cut.tables.size(); ++i)
    cut.tables[i].rows.assign(in[i].begin(), in[i].end());
}

}  // namespace

int DbCut::place_of(int model_table) const {
  for (std::size_t i = 0; i < tables.size(); ++i)
    if (tables[i].table == model_table) return static_cast<int>(i);
  return -1;
}

DbCut draw_cut(const DbModel& model, Rng rng, const CutKnobs& knobs) {
  DbCut cut;
  cut.model = &model;
  Rng choice = rng.fork("tables"), rows = rng.fork("rows");
  for (const int t : draw_tables(model, choice, knobs)) cut.tables.push_back({t, {}, {}});
  std::sort(cut.tables.begin(), cut.tables.end(), [&](const CutTable& a, const CutTable& b) {
    return model.tables[at(a.table)].symbol < model.tables[at(b.table)].symbol;
  });
  for (auto& t : cut.tables) {
    const auto& columns = model.tables[at(t.table)].columns;
    for (int c = 0; c < static_cast<int>(columns.size()); ++c)
      if (columns[at(c)].type != Type::ref || cut.place_of(columns[at(c)].target) >= 0)
        t.columns.push_back(c);
  }
  Sampler sampler{model, cut, knobs, {}, {}, {}, {}, {}, {}, {}};
  sampler.prepare(rows);
  sampler.run();
  return cut;
}

}  // namespace seedbed::envgen
