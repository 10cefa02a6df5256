// Goals made of goals: two requests at once or by turns, and what duties add.
#include "envgen/general/goal_drawer.h"

namespace seedbed::envgen {
namespace {

std::size_t at(int i) {
  return static_cast<std::size_t>(i);
}

}  // namespace

bool add_duties(const Lowered& l, Goal& goal) {
  const World& w = *l.world;
  if (goal.refusal || w.duties.empty()) return true;
  std::vector<Operation> out;
  std::vector<std::size_t> moved;  // by old count of operations: the new one
  Facts facts = l.facts;
  for (const auto& o : goal.operations) {
    moved.push_back(out.size());
    std::vector<Operation> owed;
    for (int i = 0; i < static_cast<int>(w.duties.size()); ++i) {
      const Duty& d = w.duties[at(i)];
      if (d.on != o.transition || l.surface.offer(d.on) == nullptr ||
          l.surface.offer(d.then) == nullptr)
        continue;
      const auto args = duty_of(w, d, facts, o.args);
      // Whoever does it must find out whether the duty applies.
      Goal::Need n;
      n.kind = Goal::Need::Kind::term;
      n.term = closed(d.condition, o.args);
      n.after = out.size();
      n.turn = o.turn;
      goal.duty_needs.push_back(n);
      if (!args) continue;
      for (const auto& arg : d.args) {
        n.term = closed(arg, o.args);
        goal.duty_needs.push_back(n);
      }
      Operation then;
      then.transition = d.then;
      then.args = *args;
      then.refs.resize(args->size());
      then.turn = o.turn;
      then.duty = i;
      owed.push_back(std::move(then));
    }
    if (!apply(w, o.transition, o.args, facts).ok) return false;
    out.push_back(o);
    for (auto& then : owed) {
      if (std::any_of(then.args.begin(), then.args.end(),
                      [](std::int64_t v) { return v == kNone; }) ||
          forbidden(w, facts, then.transition, then.args) ||
          !apply(w, then.transition, then.args, facts).ok)
        return false;
      out.push_back(std::move(then));
    }
  }
  moved.push_back(out.size());
  const auto move = [&](std::size_t n) { return n < moved.size() ? moved[n] : n; };
  for (auto& n : goal.needs) n.after = move(n.after);
  for (auto& b : goal.blocked) b.after = move(b.after);
  for (auto& t : goal.turns) t.begin = move(t.begin);
  goal.needs.insert(goal.needs.end(), goal.duty_needs.begin(), goal.duty_needs.end());
  goal.duty_needs.clear();
  goal.operations = std::move(out);
  return true;
}

std::optional<Goal> Drawer::combine(Goal first, Goal second, bool by_turns) {
  // The second must mean the same before and after the first.
  Facts facts = l.facts;
  for (const auto& o : first.operations)
    if (!apply(w, o.transition, o.args, facts).ok) return std::nullopt;
  const std::vector<std::int64_t> none;
  for (const auto& [term, value] : second.holds) {
    std::vector<std::int64_t> variables;
    if (eval(*term, scope_of(w, facts, none, variables)) != value) return std::nullopt;
  }
  std::vector<const Reference*> refs;
  for (const auto& r : second.mentions) refs.push_back(&r);
  for (const auto& o : second.operations)
    for (const auto& r : o.refs) refs.push_back(&r);
  for (const auto* r : refs)
    if (r->concept_id >= 0 && !fits_one(l, facts, *r)) return std::nullopt;
  for (const auto& o : second.operations)
    if (forbidden(w, facts, o.transition, o.args) || !apply(w, o.transition, o.args, facts).ok)
      return std::nullopt;
  if (facts.tables.size() != l.facts.tables.size()) return std::nullopt;
  Goal g = std::move(first);
  const std::size_t begin = g.operations.size();
  const int turn = by_turns ? 1 : 0;
  for (auto& n : g.needs)
    if (n.after == Goal::kEnd) n.after = begin;
  for (auto& r : second.mentions) {
    r.turn = turn;
    g.mentions.push_back(std::move(r));
  }
  for (auto& o : second.operations) {
    o.turn = turn;
    for (auto& r : o.refs) r.turn = turn;
    g.operations.push_back(std::move(o));
  }
  for (auto& n : second.needs) {
    n.turn = turn;
    if (n.after != Goal::kEnd) n.after += begin;
    g.needs.push_back(std::move(n));
  }
  for (auto& b : second.blocked) {
    b.after += begin;
    g.blocked.push_back(std::move(b));
  }
  for (auto& h : second.holds) g.holds.push_back(std::move(h));
  for (auto& a : second.answers) {
    const auto taken = [&](const std::string& field) {
      return std::any_of(g.answers.begin(), g.answers.end(),
                         [&](const Answer& x) { return x.field == field; });
    };
    const std::string field = a.field;
    for (int i = 2; taken(a.field); ++i) a.field = field + "_" + std::to_string(i);
    g.answers.push_back(std::move(a));
  }
  if (by_turns)
    g.turns.push_back({begin, std::move(second.requests)});
  else
    g.requests.insert(g.requests.end(), second.requests.begin(), second.requests.end());
  g.kind = by_turns ? "talk" : "multi";
  g.expression =
      std::string(by_turns ? "talk(" : "both(") + g.expression + "," + second.expression + ")";
  return g;
}

}  // namespace seedbed::envgen
