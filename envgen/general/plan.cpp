// The gold plan: what must be known is found by the cheapest reads, and only what is known is used.
// Every value that a call uses is in the prompt or in an earlier result; the steps that showed it
// are its `needs`.
#include <algorithm>
#include <map>
#include <set>

#include "envgen/general/goal.h"

namespace seedbed::envgen {
namespace {

std::size_t at(int i) {
  return static_cast<std::size_t>(i);
}
using schemas::GoldKind;
using schemas::GoldStep;
using schemas::Value;
constexpr std::size_t kMaxPages = 6, kMaxGets = 8, kMaxCalls = 40;
constexpr int kPrompt = -1;  // known from the prompt

struct Planner {
  const Lowered& l;
  const Goal& goal;
  const World& w;
  Facts facts;
  Plan plan;
  std::map<std::pair<int, std::int64_t>, int> ids;  // (concept, key) -> step that showed the id
  std::map<std::tuple<int, std::int64_t, int>, int> seen;    // (concept, key, attribute) -> step
  std::map<std::pair<int, std::int64_t>, int> derived_seen;  // (derived, key) -> step
  std::set<std::pair<int, std::int64_t>> named;              // names in the prompt

  bool fail(const std::string& why) {
    if (plan.why.empty()) plan.why = why;
    return false;
  }
  [[nodiscard]] const ToolForm* form(ToolForm::Kind kind, int c) const {
    for (const auto& t : l.surface.tools)
      if (t.kind == kind && t.concept_id == c) return &t;
    return nullptr;
  }
  int emit(const std::string& tool, Value args, std::set<int> needs) {
    GoldStep s;
    s.tool = tool;
    s.args = std::move(args);
    needs.erase(kPrompt);
    s.needs.assign(needs.begin(), needs.end());
    plan.steps.push_back(std::move(s));
    return static_cast<int>(plan.steps.size()) - 1;
  }
  void show_row(int c, std::int64_t key, const std::vector<int>& attributes, int step) {
    ids.try_emplace({c, key}, step);
    const Row* row = facts.tables[at(c)].find(key);
    if (row == nullptr) return;
    for (const int a : attributes) {
      seen.try_emplace({c, key, a}, step);
      const Domain& d = w.concepts[at(c)].attrs[at(a)].domain;
      if (d.type != Type::ref || row->values[at(a)] == kNone) continue;
      ids.try_emplace({d.target, row->values[at(a)]}, step);
      const int name = w.concepts[at(d.target)].attr("name");
      if (l.surface.expand && name >= 0)
        seen.try_emplace({d.target, row->values[at(a)], name}, step);
    }
  }
  void all_attributes(int c, std::vector<int>& out) const {
    for (int a = 0; a < static_cast<int>(w.concepts[at(c)].attrs.size()); ++a) out.push_back(a);
  }

  bool find_by_name(int c, std::int64_t key);
  bool know_id(int c, std::int64_t key);
  bool know_name(int c, std::int64_t key, int& step);
  bool list(int c,
            const std::vector<std::pair<int, std::int64_t>>& filters,
            const std::vector<int>& attributes);
  bool reference(const Reference& r);
  void read_one(const ToolForm& get, int c, std::int64_t key);
  bool attribute(int c, std::int64_t key, int a);
  bool derived(int d, std::int64_t key);
  bool operation(const Operation& o);
  bool need(const Goal::Need& n);
  bool refusal();
  bool ask();
  void finish();
  bool run();
};

bool Planner::find_by_name(int c, std::int64_t key) {
  const Speaker say{l};
  if (const ToolForm* find = form(ToolForm::Kind::find, c)) {
    Value args = Value::object();
    args.set("name", say.name(c, key));
    std::set<int> needs;
    int step = kPrompt;
    if (named.count({c, key}) == 0 && !know_name(c, key, step)) return false;
    needs.insert(step);
    const int s = emit(find->name, std::move(args), needs);
    show_row(c, key, find->shown, s);
    for (const int d : find->derived) derived_seen.try_emplace({d, key}, s);
    return true;
  }
  return list(c, {}, {});
}

bool Planner::know_name(int c, std::int64_t key, int& step) {
  step = kPrompt;
  if (named.count({c, key}) != 0) return true;
  const int a = w.concepts[at(c)].attr("name");
  const auto it = seen.find({c, key, a});
  if (it != seen.end()) {
    step = it->second;
    return true;
  }
  if (!attribute(c, key, a)) return false;
  step = seen[{c, key, a}];
  return true;
}

bool Planner::know_id(int c, std::int64_t key) {
  if (ids.count({c, key}) != 0) return true;
  if (w.concepts[at(c)].named()) {
    if (named.count({c, key}) != 0)
      return find_by_name(c, key) && (ids.count({c, key}) != 0 || fail("a name leads nowhere"));
    return list(c, {}, {}) && (ids.count({c, key}) != 0 || fail("a list does not show a fact"));
  }
  return list(c, {}, {}) && (ids.count({c, key}) != 0 || fail("a list does not show a fact"));
}

bool Planner::list(int c,
                   const std::vector<std::pair<int, std::int64_t>>& filters,
                   const std::vector<int>& attributes) {
  const ToolForm* tool = form(ToolForm::Kind::list, c);
  if (tool == nullptr) return fail("no list of " + w.concepts[at(c)].symbol);
  Value args = Value::object();
  std::set<int> needs;
  std::vector<std::pair<int, std::int64_t>> applied;
  for (const auto& [a, v] : filters)
    for (const auto& p : tool->params) {
      if (p.index != a || v == kNone) continue;
      if (p.domain.type == Type::ref) {
        if (!know_id(p.domain.target, v)) return false;
        needs.insert(ids[{p.domain.target, v}]);
      }
      args.set(p.name, l.renderer().value(p.domain, v));
      applied.emplace_back(a, v);
    }
  const auto rows = rows_where(w, facts, c, applied);
  const std::size_t page = tool->page_size > 0 ? static_cast<std::size_t>(tool->page_size)
                                               : std::max<std::size_t>(rows.size(), 1);
  const std::size_t pages = std::max<std::size_t>(1, (rows.size() + page - 1) / page);
  if (pages > kMaxPages) return fail("a list of too many pages");
  for (std::size_t i = 0; i < pages; ++i) {
    Value page_args = args;
    if (i > 0) page_args.set("offset", static_cast<std::int64_t>(i * page));
    const int s = emit(tool->name, std::move(page_args), needs);
    if (pages > 1) needs.insert(s);
    for (std::size_t r = i * page; r < std::min(rows.size(), (i + 1) * page); ++r)
      show_row(c, rows[r], tool->shown, s);
  }
  // What the list does not show of the rows that may be meant must be read one by one.
  std::vector<int> wanted = attributes;
  for (const auto& [a, v] : filters)
    if (std::find(applied.begin(), applied.end(), std::pair<int, std::int64_t>{a, v}) ==
        applied.end())
      wanted.push_back(a);
  std::size_t gets = 0;
  for (const auto key : rows) {
    for (const int a : wanted) {
      if (seen.count({c, key, a}) != 0) continue;
      if (++gets > kMaxGets) return fail("too many single reads");
      if (!attribute(c, key, a)) return false;
    }
  }
  return true;
}

bool Planner::reference(const Reference& r) {
  if (r.concept_id < 0) return true;
  if (r.by_name) return true;  // found by name when its id is needed
  if (ids.count({r.concept_id, r.key}) != 0 && r.extreme < 0) return true;
  return list(r.concept_id, r.filters,
              r.extreme >= 0 ? std::vector<int>{r.extreme} : std::vector<int>{});
}

// Reads the whole record whose id is known.
void Planner::read_one(const ToolForm& get, int c, std::int64_t key) {
  Value args = Value::object();
  args.set(get.params[0].name, l.renderer().id(c, key));
  const int s = emit(get.name, std::move(args), {ids[{c, key}]});
  std::vector<int> all;
  all_attributes(c, all);
  show_row(c, key, all, s);
  for (const int d : get.derived) derived_seen.try_emplace({d, key}, s);
}

bool Planner::attribute(int c, std::int64_t key, int a) {
  if (seen.count({c, key, a}) != 0) return true;
  if (const ToolForm* get = form(ToolForm::Kind::get, c)) {
    if (!know_id(c, key)) return false;
    if (seen.count({c, key, a}) != 0) return true;
    read_one(*get, c, key);
    return true;
  }
  if (named.count({c, key}) != 0 && form(ToolForm::Kind::find, c) != nullptr)
    return find_by_name(c, key);
  std::vector<std::pair<int, std::int64_t>>
      narrow;  // the fact's own reference, where its owner is known
  const Row* row = facts.tables[at(c)].find(key);
  for (int i = 0; row != nullptr && i < static_cast<int>(row->values.size()); ++i) {
    const Domain& d = w.concepts[at(c)].attrs[at(i)].domain;
    if (d.type == Type::ref && row->values[at(i)] != kNone &&
        ids.count({d.target, row->values[at(i)]}) != 0 && narrow.empty())
      narrow.emplace_back(i, row->values[at(i)]);
  }
  return list(c, narrow, {}) &&
         (seen.count({c, key, a}) != 0 || fail("nothing shows an attribute"));
}

bool Planner::derived(int d, std::int64_t key) {
  if (derived_seen.count({d, key}) != 0) return true;
  const int c = w.derived[at(d)].over;
  const ToolForm* find = form(ToolForm::Kind::find, c);
  if (find != nullptr &&
      std::find(find->derived.begin(), find->derived.end(), d) != find->derived.end())
    return find_by_name(c, key) &&
           (derived_seen.count({d, key}) != 0 || fail("a find shows no derived term"));
  const ToolForm* get = form(ToolForm::Kind::get, c);
  if (get == nullptr ||
      std::find(get->derived.begin(), get->derived.end(), d) == get->derived.end())
    return fail("nothing shows a derived term");
  if (!know_id(c, key)) return false;
  read_one(*get, c, key);
  return true;
}

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

}  // namespace

Plan plan_goal(const Lowered& l, const Goal& goal) {
  Planner p{l, goal, *l.world, l.facts, {}, {}, {}, {}, {}};
  p.plan.ok = p.run();
  return std::move(p.plan);
}

}  // namespace seedbed::envgen
