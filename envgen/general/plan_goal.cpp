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

// Whether the term uses a let of the transition (slots after its parameters).
bool has_lets(const Term& t, std::size_t params) {
  if (t.op == Op::param && at(t.index) >= params) return true;
  return std::any_of(t.kids.begin(), t.kids.end(),
                     [&](const TermPtr& k) { return has_lets(*k, params); });
}

// What stands against the operation, as a closed term; null where it is not to be looked up.
TermPtr reason_term(const World& w, const Refusal& refusal, const Operation& o) {
  const Transition& t = w.transitions[at(o.transition)];
  TermPtr out;
  if (refusal.rule >= 0) out = w.rules[at(refusal.rule)].never_if;
  for (const auto& g : t.guards)
    if (refusal.gate >= 0 && g.edge == refusal.gate) out = g.term;
  return out == nullptr || has_lets(*out, o.args.size()) ? nullptr : closed(out, o.args);
}

}  // namespace

// The step that does it: the last call where it still has room for one more id; else a new one,
// made again where the tool is busy at first.
int Planner::call(const ToolForm& tool,
                  const std::vector<std::int64_t>& args,
                  std::set<int> needs) {
  Value wanted = call_args(l, tool, args);
  const auto last = static_cast<int>(plan.steps.size()) - 1;
  if (tool.batch && last >= 0 && plan.steps.back().tool == tool.name && needs.count(last) == 0) {
    GoldStep& step = plan.steps.back();
    Value list_of_ids = *step.args.find(tool.params[0].name);
    if (list_of_ids.items().size() < static_cast<std::size_t>(kBatchMost)) {
      list_of_ids.push(wanted.find(tool.params[0].name)->items()[0]);
      step.args.set(tool.params[0].name, std::move(list_of_ids));
      needs.insert(step.needs.begin(), step.needs.end());
      needs.erase(kPrompt);
      step.needs.assign(needs.begin(), needs.end());
      return last;
    }
  }
  for (;;) {
    const bool again = busy_now(tool, calls);
    if (tool.busy_every > 0) ++calls[tool.name];
    made.clear();
    const int s = emit(tool.name, wanted, needs);
    plan.steps.back().derived = converted_args(l, tool);
    made.clear();
    if (!again) return s;
    needs.insert(s);
  }
}

bool Planner::operation(const Operation& o) {
  const ToolForm* tool = l.surface.offer(o.transition);
  if (tool == nullptr) return fail("an operation is not offered");
  std::set<int> needs;
  for (const auto& p : tool->params) {
    const std::int64_t v = o.args[at(p.index)];
    if (p.domain.type != Type::ref) continue;
    const Reference& r = o.refs[at(p.index)];
    if (!reference(r)) return false;
    if (p.by_name) {
      int step = kPrompt;
      if (!know_name(p.domain.target, v, step)) return false;
      needs.insert(step);
    } else {
      if (!know_id(p.domain.target, v)) return false;
      needs.insert(ids[{p.domain.target, v}]);
    }
    if (r.extreme >= 0 && seen.count({r.concept_id, r.key, r.extreme}) != 0)
      needs.insert(seen[{r.concept_id, r.key, r.extreme}]);
  }
  for (std::size_t i = 0; i < plan.steps.size(); ++i)
    if (plan.steps[i].kind == GoldKind::say) needs.insert(static_cast<int>(i));
  if (goal.condition)
    for (const auto& [key, step] : derived_seen) needs.insert(step);
  if (o.duty >= 0 || goal.condition || !goal.blocked.empty() || !goal.holds.empty())
    // What was looked up decides what is done, and with which arguments.
    for (const auto& [key, step] : seen) needs.insert(step);
  const int s = call(*tool, o.args, needs);
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
    case Goal::Need::Kind::term:
      return n.concept_id < 0 ? touch(*n.term) : touch_rows(n.concept_id, 0, *n.term, {});
  }
  return false;
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
  // Why it must be refused, as far as it can be seen with few calls.
  const auto why = reason_term(w, *goal.refusal, o);
  return why == nullptr || touch(*why);
}

bool Planner::ask(const std::string& question) {
  GoldStep s;
  s.kind = GoldKind::say;
  s.args = Value::object();
  s.text = question;
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

// Names said in this turn's request: mentions, parameters and the filters of references.
void Planner::name_what_is_said(int turn) {
  const auto name = [&](int c, const std::vector<std::pair<int, std::int64_t>>& filters) {
    for (const auto& [a, v] : filters) {
      const Domain& d = w.concepts[at(c)].attrs[at(a)].domain;
      if (d.type == Type::ref && w.concepts[at(d.target)].named()) named.insert({d.target, v});
    }
  };
  const auto mention = [&](const Reference& r) {
    if (r.concept_id < 0) return;
    if (r.by_name) named.insert({r.concept_id, r.key});
    name(r.concept_id, r.filters);
  };
  for (const auto& r : goal.mentions)
    if (r.turn == turn) mention(r);
  for (const auto& o : goal.operations)
    if (o.turn == turn)
      for (const auto& r : o.refs) mention(r);
  for (const auto& n : goal.needs)
    if (n.turn == turn && n.kind == Goal::Need::Kind::list) name(n.concept_id, n.filters);
}

// One request: the operations [begin, end) and what has to be read around them.
bool Planner::turn(int number, std::size_t begin, std::size_t end) {
  name_what_is_said(number);
  for (const auto& r : goal.mentions)
    if (r.turn == number && !reference(r)) return false;
  for (std::size_t i = begin; i <= end; ++i) {
    for (const auto& n : goal.needs) {
      const bool here =
          n.after == i || (i == begin && n.after < begin) || (i == end && n.after > end);
      if (n.turn == number && here && !need(n)) return false;
    }
    if (i < end && !goal.refusal && !operation(goal.operations[i])) return false;
  }
  return true;
}

bool Planner::run() {
  if (goal.hidden_param >= 0) {
    name_what_is_said(0);  // the user's answer may name what the rest needs
    if (!ask("Which " + goal.hidden_keyword + " should I take?")) return false;
  }
  const std::size_t all = goal.operations.size();
  if (!turn(0, 0, goal.turns.empty() ? all : goal.turns[0].begin)) return false;
  for (std::size_t t = 0; t < goal.turns.size(); ++t) {
    if (!ask("That is done. What is next?")) return false;
    if (!turn(static_cast<int>(t) + 1, goal.turns[t].begin,
              t + 1 < goal.turns.size() ? goal.turns[t + 1].begin : all))
      return false;
  }
  if (goal.refusal && !refusal()) return false;
  for (const auto& a : goal.answers)
    if (a.term && a.term->op == Op::constant && a.concept_id >= 0 &&
        !know_id(a.concept_id, a.term->value))
      return false;
  if (plan.steps.size() > kMaxCalls) return fail("a plan of too many calls");
  finish();
  return true;
}

Plan plan_goal(const Lowered& l, const Goal& goal) {
  Planner p{l, goal, *l.world, l.facts, {}, {}, {}, {}, {}, {}, {}, 0, 0, {}, {}};
  p.plan.ok = p.run();
  return std::move(p.plan);
}

}  // namespace seedbed::envgen
