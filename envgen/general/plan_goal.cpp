// The gold plan of a goal: what it refers to is found, then its operations are done in order, then
// what it asks for is told.
#include <algorithm>

#include "envgen/general/planner.h"

namespace seedbed::envgen {
namespace {

std::size_t at(int i) {
  return static_cast<std::size_t>(i);
}
using schemas::GoldKind;
using schemas::GoldStep;
using schemas::Value;

}  // namespace

bool Planner::operation(const Operation& o) {
  const ToolForm* tool = nullptr;
  for (const auto& t : l.surface.tools)
    if (t.kind == ToolForm::Kind::transition && t.transition == o.transition) tool = &t;
  if (tool == nullptr) return fail("an operation is not offered");
  const Speaker say{l};
  Value args = Value::object();
  std::set<int> needs;
  for (const auto& p : tool->params) {
    const std::int64_t v = o.args[at(p.index)];
    if (p.domain.type != Type::ref) {
      args.set(p.name, l.renderer().value(p.domain, v));
      continue;
    }
    const Reference& r = o.refs[at(p.index)];
    if (!reference(r)) return false;
    if (p.by_name) {
      int step = kPrompt;
      if (!know_name(p.domain.target, v, step)) return false;
      needs.insert(step);
      args.set(p.name, say.name(p.domain.target, v));
    } else {
      if (!know_id(p.domain.target, v)) return false;
      needs.insert(ids[{p.domain.target, v}]);
      args.set(p.name, l.renderer().id(p.domain.target, v));
    }
    if (r.extreme >= 0 && seen.count({r.concept_id, r.key, r.extreme}) != 0)
      needs.insert(seen[{r.concept_id, r.key, r.extreme}]);
  }
  for (std::size_t i = 0; i < plan.steps.size(); ++i)
    if (plan.steps[i].kind == GoldKind::say) needs.insert(static_cast<int>(i));
  if (goal.condition)
    for (const auto& [key, step] : derived_seen) needs.insert(step);
  const int s = emit(tool->name, std::move(args), needs);
  const std::int64_t next = tool->concept_id >= 0 ? facts.tables[at(tool->concept_id)].next : 0;
  if (!apply(w, o.transition, o.args, facts).ok)
    return fail("an operation is not legal where it stands");
  seen.clear();
  derived_seen.clear();
  std::vector<int> all;
  if (tool->concept_id >= 0) {
    all_attributes(tool->concept_id, all);
    show_row(tool->concept_id, tool->makes ? next : o.args[at(tool->result_param)], all, s);
  }
  return true;
}

bool Planner::need(const Goal::Need& n) {
  switch (n.kind) {
    case Goal::Need::Kind::list:
      return list(n.concept_id, n.filters, n.attributes);
    case Goal::Need::Kind::attribute:
      return attribute(n.concept_id, n.key, n.index);
    case Goal::Need::Kind::derived:
      return know_id(n.concept_id, n.key) && derived(n.index, n.key);
  }
  return false;
}

// Quantified facts that refer to `over` (kNone: none) inside a gate's term: what must be read to
// see that it fails.
void counted_over(const World& w, const Term& t, int over, std::vector<std::pair<int, int>>& out) {
  if (t.op >= Op::count && t.op <= Op::argmax)
    for (int a = 0; a < static_cast<int>(w.concepts[at(t.concept_id)].attrs.size()); ++a) {
      const Domain& d = w.concepts[at(t.concept_id)].attrs[at(a)].domain;
      if (d.type == Type::ref && d.target == over) out.emplace_back(t.concept_id, a);
    }
  for (const auto& k : t.kids) counted_over(w, *k, over, out);
}

bool Planner::refusal() {
  const Operation& o = goal.operations[0];
  for (const auto& r : o.refs)
    if (!reference(r)) return false;
  for (const auto& [c, key] : goal.refusal->evidence) {
    if (ids.count({c, key}) == 0)  // reached through a reference of a parameter's fact
      for (std::size_t i = 0; i < o.refs.size(); ++i) {
        const Reference& r = o.refs[i];
        if (r.concept_id < 0 || w.concepts[at(r.concept_id)].named()) continue;
        const Row* row = facts.tables[at(r.concept_id)].find(r.key);
        for (int a = 0; row != nullptr && a < static_cast<int>(row->values.size()); ++a) {
          const Domain& d = w.concepts[at(r.concept_id)].attrs[at(a)].domain;
          if (d.type == Type::ref && d.target == c && row->values[at(a)] == key &&
              !attribute(r.concept_id, r.key, a))
            return false;
        }
      }
    if (!know_id(c, key)) return false;
  }
  if (goal.refusal->gate < 0) return true;
  for (const auto& g : w.gates) {
    if (g.edge != goal.refusal->gate) continue;
    std::vector<std::pair<int, int>> counted;
    counted_over(w, *g.term, g.over, counted);
    for (const auto& [c, a] : counted)
      if (!list(c, {{a, goal.refusal->evidence[0].second}}, {})) return false;
  }
  return true;
}

bool Planner::ask() {
  GoldStep s;
  s.kind = GoldKind::say;
  s.args = Value::object();
  s.text = "Which " + goal.hidden_keyword + " should I take?";
  plan.steps.push_back(s);
  return true;
}

void Planner::finish() {
  GoldStep s;
  s.kind = goal.refusal ? GoldKind::refuse : GoldKind::submit;
  s.args = Value::object();
  for (std::size_t i = 0; i < plan.steps.size(); ++i) s.needs.push_back(static_cast<int>(i));
  plan.steps.push_back(std::move(s));
}

bool Planner::run() {
  // Names in the prompt: mentions, parameters and the filters of references.
  const auto mention = [&](const Reference& r) {
    if (r.concept_id < 0) return;
    if (r.by_name) named.insert({r.concept_id, r.key});
    for (const auto& [a, v] : r.filters) {
      const Domain& d = w.concepts[at(r.concept_id)].attrs[at(a)].domain;
      if (d.type == Type::ref && w.concepts[at(d.target)].named()) named.insert({d.target, v});
    }
  };
  for (const auto& r : goal.mentions) mention(r);
  for (const auto& o : goal.operations)
    for (const auto& r : o.refs) mention(r);
  for (const auto& n : goal.needs)
    for (const auto& [a, v] : n.filters) {
      const Domain& d = w.concepts[at(n.concept_id)].attrs[at(a)].domain;
      if (d.type == Type::ref && w.concepts[at(d.target)].named()) named.insert({d.target, v});
    }
  if (goal.hidden_param >= 0 && !ask())
    return false;  // the user's answer may name what the rest needs
  for (const auto& r : goal.mentions)
    if (!reference(r)) return false;
  for (const auto& n : goal.needs)
    if (!n.after && !need(n)) return false;
  if (goal.refusal) {
    if (!refusal()) return false;
  } else {
    for (const auto& o : goal.operations)
      if (!operation(o)) return false;
  }
  for (const auto& n : goal.needs)
    if (n.after && !need(n)) return false;
  for (const auto& a : goal.answers)
    if (a.term && a.term->op == Op::constant && a.concept_id >= 0 &&
        !know_id(a.concept_id, a.term->value))
      return false;
  if (plan.steps.size() > kMaxCalls) return fail("a plan of too many calls");
  finish();
  return true;
}

Plan plan_goal(const Lowered& l, const Goal& goal) {
  Planner p{l, goal, *l.world, l.facts, {}, {}, {}, {}, {}};
  p.plan.ok = p.run();
  return std::move(p.plan);
}

}  // namespace seedbed::envgen
