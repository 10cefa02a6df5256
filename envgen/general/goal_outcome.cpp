// What a goal comes to in the World, whole and with one interaction taken away: how the tasks'
// interactions are counted.
#include <algorithm>
#include <set>

#include "envgen/general/goal.h"

namespace seedbed::envgen {
namespace {

std::size_t at(int i) {
  return static_cast<std::size_t>(i);
}

void describe_facts(const Facts& before, const Facts& after, std::string& out) {
  for (std::size_t c = 0; c < after.tables.size(); ++c) {
    for (const auto& row : after.tables[c].rows) {
      const Row* old = before.tables[c].find(row.key);
      if (old != nullptr && *old == row) continue;
      out += "|" + std::to_string(c) + ":" + std::to_string(row.key);
      for (const auto v : row.values) out += "," + std::to_string(v);
    }
    if (before.tables[c].rows.size() != after.tables[c].rows.size())
      out += "|n" + std::to_string(after.tables[c].rows.size());
  }
}

void collect_mechanisms(const World& w, const Term& t, std::set<int>& out) {
  std::vector<std::pair<int, int>> reads;
  collect_reads(t, reads);
  for (const auto& [c, a] : reads) {
    const Concept& concept_ = w.concepts[at(c)];
    const int m =
        a >= 0 ? concept_.attrs[at(a)].mechanism : (concept_.named() ? -1 : concept_.mechanism);
    if (m >= 0) out.insert(m);
  }
  std::vector<int> loads;
  collect_loads(t, loads);
  for (const int e : loads) out.insert(w.edges[at(e)].from);
}

}  // namespace

std::string outcome_of(const Lowered& l, const Goal& goal, int ablated) {
  const World& w = *l.world;
  Facts facts = l.facts;
  std::string out;
  std::vector<std::int64_t> variables;
  const std::vector<std::int64_t> none;
  const auto value = [&](const Term& t) {
    return eval(t, scope_of(w, facts, none, variables, ablated));
  };
  if (goal.refusal && !goal.operations.empty()) {
    const Operation& o = goal.operations[0];
    const Applied a = may_apply(w, o.transition, o.args, l.facts, ablated);
    return "refuse:" + a.code +
           (goal.refusal->rule >= 0 && !w.rules[at(goal.refusal->rule)].enforced ? "rule" : "");
  }
  if (goal.condition) out += "if" + std::to_string(value(*goal.condition->term));
  const auto stands_in_the_way = [&](std::size_t done) {
    for (const auto& b : goal.blocked) {
      if (b.after != done) continue;
      out += may_apply(w, b.operation.transition, b.operation.args, facts, ablated).ok ? "y" : "n";
    }
  };
  for (const auto& [term, expected] : goal.holds) out += "h" + std::to_string(value(*term));
  for (std::size_t i = 0; i < goal.operations.size(); ++i) {
    stands_in_the_way(i);
    const auto& o = goal.operations[i];
    out += apply(w, o.transition, o.args, facts, ablated).ok ? "+" : "-";
  }
  stands_in_the_way(goal.operations.size());
  describe_facts(l.facts, facts, out);
  for (const auto& a : goal.answers) {
    if (a.term) {
      out += "=" + std::to_string(value(*a.term));
      continue;
    }
    out += "={";
    for (const auto& row : facts.tables[at(a.concept_id)].rows) {
      variables.assign(1, row.key);
      if (eval(*a.condition, scope_of(w, facts, none, variables, ablated)) == 1)
        out += std::to_string(row.key) + ",";
    }
    variables.clear();
    out += "}";
  }
  return out;
}

namespace {

// Whether the edge stands where the goal can notice: at one of its operations, or in its terms.
bool matters(const World& w, const Goal& goal, int edge) {
  if (w.edges[at(edge)].kind == EdgeKind::unify || w.edges[at(edge)].kind == EdgeKind::quantity)
    return true;
  const auto stands_at = [&](const Operation& o) {
    const Transition& t = w.transitions[at(o.transition)];
    return std::any_of(t.reactions.begin(), t.reactions.end(),
                       [&](const Reaction& r) { return r.edge == edge; }) ||
           std::any_of(t.guards.begin(), t.guards.end(),
                       [&](const Guard& g) { return g.edge == edge; });
  };
  return std::any_of(goal.operations.begin(), goal.operations.end(), stands_at) ||
         std::any_of(goal.blocked.begin(), goal.blocked.end(),
                     [&](const auto& b) { return stands_at(b.operation); });
}

}  // namespace

int interactions_of(const Lowered& l, const Goal& goal, int& mechanisms) {
  const World& w = *l.world;
  std::set<int> touched;
  for (const auto& o : goal.operations) {
    touched.insert(w.transitions[at(o.transition)].mechanism);
    for (const auto& r : w.transitions[at(o.transition)].reactions) {
      Facts with = l.facts, without = l.facts;
      apply(w, o.transition, o.args, with);
      apply(w, o.transition, o.args, without, r.edge);
      std::string a, b;
      describe_facts(l.facts, with, a);
      describe_facts(l.facts, without, b);
      if (a != b) touched.insert(w.reactions[at(r.transition)].mechanism);
    }
  }
  if (goal.refusal && goal.refusal->gate >= 0)
    for (const auto& g : w.gates)
      if (g.edge == goal.refusal->gate) touched.insert(w.edges[at(g.edge)].from);
  for (const auto& b : goal.blocked) {
    const Transition& x = w.transitions[at(b.operation.transition)];
    touched.insert(x.mechanism);
    for (const auto& g : x.guards)
      if (g.edge >= 0) touched.insert(w.edges[at(g.edge)].from);
  }
  for (const auto& [term, expected] : goal.holds) collect_mechanisms(w, *term, touched);
  if (goal.condition) collect_mechanisms(w, *goal.condition->term, touched);
  for (const auto& a : goal.answers)
    collect_mechanisms(w, a.term ? *a.term : *a.condition, touched);
  mechanisms = static_cast<int>(touched.size());
  const std::string whole = outcome_of(l, goal, -1);
  int n = 0;
  for (int e = 0; e < static_cast<int>(w.edges.size()); ++e) {
    const Edge& edge = w.edges[at(e)];
    if (edge.dead) continue;
    // Taking a unification away splits a concept in two: only what joins facts of both mechanisms
    // through it can notice.
    if (edge.kind == EdgeKind::unify &&
        (touched.count(edge.from) == 0 || touched.count(edge.to) == 0))
      continue;
    if (!matters(w, goal, e)) continue;
    if (outcome_of(l, goal, e) != whole) ++n;
  }
  return n;
}

}  // namespace seedbed::envgen
