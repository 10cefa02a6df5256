// Plans beside gold: other orders that must be accepted, near misses that must not.
#include <algorithm>

#include "envgen/general/drafter.h"

namespace seedbed::envgen {
namespace {

std::size_t at(int i) {
  return static_cast<std::size_t>(i);
}
using schemas::GoldKind;
using schemas::GoldStep;
using schemas::Value;

}  // namespace

bool Drafter::replay(const std::vector<GoldStep>& steps, Facts& facts) const {
  Session session(l);
  for (const auto& s : steps)
    if (s.kind == GoldKind::call && !session.play({s.tool, s.args})) return false;
  facts = std::move(session.facts);
  return true;
}

// Neighbouring steps without a path between them, swapped; kept where the World says that the facts
// come out the same.
std::vector<std::vector<GoldStep>> Drafter::variants(const std::vector<GoldStep>& gold) const {
  std::vector<std::vector<GoldStep>> out;
  for (std::size_t i = 0; i + 2 < gold.size() && out.size() < 3; ++i) {
    const auto& b = gold[i + 1];
    if (gold[i].kind != GoldKind::call || b.kind != GoldKind::call) continue;
    if (std::find(b.needs.begin(), b.needs.end(), static_cast<int>(i)) != b.needs.end()) continue;
    std::vector<GoldStep> steps = gold;
    std::swap(steps[i], steps[i + 1]);
    for (auto& s : steps)
      for (auto& n : s.needs)
        if (n == static_cast<int>(i))
          n = static_cast<int>(i) + 1;
        else if (n == static_cast<int>(i) + 1)
          n = static_cast<int>(i);
    Facts facts;
    if (!replay(steps, facts)) continue;
    bool same = true;
    for (std::size_t c = 0; c < facts.tables.size(); ++c)
      same = same && facts.tables[c].rows == final_facts.tables[c].rows;
    if (same) out.push_back(std::move(steps));
  }
  return out;
}

std::vector<schemas::NearMiss> Drafter::near_misses(const std::vector<GoldStep>& gold,
                                                    Rng rng) const {
  std::vector<schemas::NearMiss> out;
  const auto last_call = [&](int transition) {
    for (std::size_t i = gold.size(); i-- > 0;) {
      const ToolForm* f = gold[i].kind == GoldKind::call
                              ? l.surface.form_of({gold[i].tool, gold[i].args})
                              : nullptr;
      if (f != nullptr && f->kind == ToolForm::Kind::transition && f->transition == transition)
        return static_cast<int>(i);
    }
    return -1;
  };
  if (goal.refusal) {  // the rule ignored
    const Operation& o = goal.operations[0];
    std::vector<GoldStep> steps(gold.begin(), gold.end() - 1);
    if (const ToolForm* f = l.surface.offer(o.transition)) {
      GoldStep call;
      call.tool = f->name;
      call.args = call_args(l, *f, o.args);
      steps.push_back(call);
      if (f->busy_every > 0) steps.push_back(call);
    }
    GoldStep submit;
    submit.kind = GoldKind::submit;
    submit.args = Value::object();
    steps.push_back(submit);
    out.push_back({"rule_ignored", steps});
    if (goal.refusal->evidence.size() == 1) {  // the right reason, a sibling as evidence
      const auto [c, key] = goal.refusal->evidence[0];
      for (const auto& row : l.facts.tables[at(c)].rows) {
        if (row.key == key) continue;
        std::vector<GoldStep> sibling = gold;
        Value ids = Value::array();
        ids.push(id_text(l.renderer().id(c, row.key)));
        sibling.back().args.set("evidence_ids", std::move(ids));
        out.push_back({"sibling_evidence", sibling});
        break;
      }
    }
    return out;
  }
  for (const auto& o : goal.operations) {
    const int call = last_call(o.transition);
    if (call < 0) continue;
    const ToolForm* f = l.surface.offer(o.transition);
    for (const auto& p : f->params) {
      if (p.domain.type != Type::ref || out.size() >= 3) continue;
      std::vector<std::int64_t> keys;
      for (const auto& row : l.facts.tables[at(p.domain.target)].rows)
        if (row.key != o.args[at(p.index)]) keys.push_back(row.key);
      rng.shuffle(keys);
      const bool extreme = o.refs.size() > at(p.index) && o.refs[at(p.index)].extreme >= 0;
      for (const auto key : keys) {
        std::vector<GoldStep> steps = gold;
        std::vector<std::int64_t> args = o.args;
        args[at(p.index)] = key;
        steps[at(call)].args = call_args(l, *f, args);
        Facts facts;
        if (!replay(steps, facts)) continue;
        bool same = true;
        for (std::size_t c = 0; c < facts.tables.size(); ++c)
          same = same && facts.tables[c].rows == final_facts.tables[c].rows;
        if (same) continue;
        out.push_back({extreme ? "second_best" : "sibling_row", steps});
        break;
      }
    }
  }
  if (!goal.operations.empty() &&
      !goal.answers.empty()) {  // what would be true without the operation's consequences
    std::vector<GoldStep> steps = gold;
    bool differs = false;
    for (const auto& a : goal.answers) {
      const Value before = answer_value(a, l.facts);
      if (before != answer_value(a, final_facts) && !before.is_null()) {
        steps.back().args.set(a.field, before);
        differs = true;
      }
    }
    if (differs) out.push_back({"interaction_forgotten", steps});
  }
  if (goal.choice && !goal.choice->wrong.empty()) {
    std::vector<GoldStep> steps = gold;
    for (std::size_t i = 0; i < goal.choice->wrong.size(); ++i)
      steps.back().args.set("choice_" + std::to_string(i + 1),
                            l.renderer().id(goal.choice->concept_id, goal.choice->wrong[i]));
    out.push_back({"constraint_violated", steps});
  }
  if (std::any_of(goal.operations.begin(), goal.operations.end(),
                  [](const Operation& o) { return o.duty >= 0; })) {
    Goal without = goal;
    without.operations.clear();
    for (const auto& o : goal.operations)
      if (o.duty < 0) without.operations.push_back(o);
    for (auto& n : without.needs) n.after = std::min(n.after, without.operations.size());
    for (auto& turn : without.turns) turn.begin = std::min(turn.begin, without.operations.size());
    Plan plan = plan_goal(l, without);
    if (plan.ok) {
      plan.steps.back().args = gold.back().args;
      out.push_back({"duty_omitted", plan.steps});
    }
  }
  if (goal.excused) {  // the rule read without its exception
    std::vector<GoldStep> steps;
    for (const auto& s : gold) {
      const ToolForm* f = s.kind == GoldKind::call ? l.surface.form_of({s.tool, s.args}) : nullptr;
      if (f != nullptr && f->kind != ToolForm::Kind::transition) steps.push_back(s);
    }
    GoldStep refuse;
    refuse.kind = GoldKind::refuse;
    refuse.args = Value::object();
    Value ids = Value::array();
    for (const auto& [c, key] : goal.excused->evidence) ids.push(id_text(l.renderer().id(c, key)));
    refuse.args.set("reason_code", goal.excused->code).set("evidence_ids", std::move(ids));
    steps.push_back(std::move(refuse));
    out.push_back({"exception_refused", steps});
  }
  if (goal.condition && !goal.other.empty()) {
    Goal other = goal;
    other.operations = goal.other;
    Plan plan = plan_goal(l, other);
    if (plan.ok) out.push_back({"other_branch", plan.steps});
  }
  return out;
}

}  // namespace seedbed::envgen
