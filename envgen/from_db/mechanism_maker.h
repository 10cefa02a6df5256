// One table on its way to a mechanism; inside this folder only.
#pragma once
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "envgen/from_db/mechanism.h"

namespace seedbed::envgen {

struct DbMaker {
  const DbCut& cut;
  int place;
  const DbTable& t;
  std::int64_t now;
  Rng rng;
  Mechanism out;
  std::vector<DbChild> children;

  static bool is_number(const DbColumn& c) {
    return c.type == Type::integer || c.type == Type::cents;
  }
  static std::size_t at(int i) { return static_cast<std::size_t>(i); }
  [[nodiscard]] const DbTable& other(int p) const { return cut.table(p); }
  [[nodiscard]] const DbColumn& column(int c) const { return t.columns[at(c)]; }
  [[nodiscard]] std::vector<int> columns(const std::function<bool(const DbColumn&)>& f) const {
    std::vector<int> found;
    for (const int c : cut.tables[at(place)].columns)
      if (f(column(c))) found.push_back(c);
    return found;
  }
  [[nodiscard]] bool fixed(int c) const {  // unique alone or with others
    return std::any_of(t.uniques.begin(), t.uniques.end(), [&](const std::vector<int>& u) {
      return std::find(u.begin(), u.end(), c) != u.end();
    });
  }
  [[nodiscard]] const DbTable& target(const DbColumn& c) const {
    return cut.model->tables[at(c.target)];
  }
  // The first and the third quarter of the values in the cut.
  [[nodiscard]] std::pair<std::int64_t, std::int64_t> middle(int p, int c) const;
  [[nodiscard]] std::int64_t commonest(int c) const;
  [[nodiscard]] bool creatable() const;
  [[nodiscard]] std::string limits(int link, int word_column, std::int64_t word) const;
  void add();
  void remove();
  void changes();
  void change(int c);
  void derived();
  void goals();
  void goals_of(int link);
  void rules();
  void rules_of(const PackTransition& p);
  void gates();
  void rule(PackRule r) {
    r.name = "rule_" + std::to_string(out.rules.size() + 1);
    out.rules.push_back(std::move(r));
  }
  void goal(PackGoal g) {
    g.name = "goal_" + std::to_string(out.goals.size() + 1);
    out.goals.push_back(std::move(g));
  }
};

}  // namespace seedbed::envgen
