// Goals of the packs, bound to facts: given values drawn, finds evaluated, ties refused.
#include "envgen/general/goal_drawer.h"
#include "envgen/text/text.h"

namespace seedbed::envgen {
namespace {

std::size_t at(int i) {
  return static_cast<std::size_t>(i);
}

constexpr int kTries = 14;
constexpr std::size_t kMinEach = 2, kMaxEach = 6, kMinSet = 2, kMaxSet = 9;

Drawer::Form form_of(const GoalScheme& s) {
  if (s.each >= 0) return Drawer::Form::each;
  if (s.when) return Drawer::Form::branch;
  return s.operations.empty() ? Drawer::Form::tell : Drawer::Form::act;
}

// Whether an argmin or argmax on the way to the value has a second best that is as good.
bool tied(const World& w, const Facts& facts, const Term& t) {
  if (t.op != Op::argmin && t.op != Op::argmax)
    return t.op == Op::attribute && tied(w, facts, *t.kids[0]);
  const std::vector<std::int64_t> none;
  std::vector<std::int64_t> variables;
  std::int64_t best = kNone;
  int count = 0;
  for (const auto& row : facts.tables[at(t.concept_id)].rows) {
    variables.assign(at(t.index) + 1, kNone);
    variables[at(t.index)] = row.key;
    const Scope scope = scope_of(w, facts, none, variables);
    if (eval(*t.kids[0], scope) != 1) continue;
    const std::int64_t v = eval(*t.kids[1], scope);
    if (v == kNone) continue;
    if (best == kNone || (t.op == Op::argmin ? v < best : v > best)) {
      best = v;
      count = 1;
    } else if (v == best) {
      ++count;
    }
  }
  return count > 1;
}

struct Binder {
  Drawer& d;
  const GoalScheme& s;
  const std::string& symbol;
  std::vector<std::int64_t> slots;
  std::vector<Reference> refs;       // by given
  std::vector<std::string> phrases;  // by given
  int hidden = -1;
  Goal goal;

  std::int64_t value(const TermPtr& t, const Facts& facts) const {
    const std::vector<std::int64_t> none;
    std::vector<std::int64_t> variables;
    return eval(*t, scope_of(d.w, facts, none, variables));
  }
  void need(TermPtr term, int concept_id, std::size_t after) {
    Need n;
    n.kind = Need::Kind::term;
    n.concept_id = concept_id;
    n.term = std::move(term);
    n.after = after;
    goal.needs.push_back(std::move(n));
  }
  bool give();
  bool find();
  bool operate(const std::vector<OperationScheme>& list,
               const std::vector<std::int64_t>& keys,
               std::vector<Operation>& out);
  bool legal(const std::vector<Operation>& list, Facts& facts) const;
  bool tell(const Facts& facts);
  void say(const std::vector<std::string>& phrases_of_goal);
};

bool Binder::give() {
  for (const auto& p : s.given) {
    Domain domain = p.domain;
    domain.nullable = false;
    const std::int64_t v = sample_value(d.w, domain, d.l.facts, d.rng);
    if (v == kNone) return false;
    slots.push_back(v);
    refs.emplace_back();
    if (domain.type != Type::ref) {
      phrases.push_back(d.say.value(domain, v));
      continue;
    }
    auto r = refer(d.l, d.l.facts, domain.target, v, d.rng);
    if (!r) return false;
    phrases.push_back(r->phrase);
    refs.back() = *std::move(r);
  }
  return true;
}

bool Binder::find() {
  for (const auto& [name, term] : s.find) {
    const TermPtr one = closed(term, slots);
    const std::int64_t key = value(one, d.l.facts);
    if (key == kNone || tied(d.w, d.l.facts, *one)) return false;
    need(one, -1, 0);
    goal.holds.emplace_back(one, key);
    slots.push_back(key);
  }
  return true;
}

// The operations for each key (variable slot 0), or once where there is no key.
bool Binder::operate(const std::vector<OperationScheme>& list,
                     const std::vector<std::int64_t>& keys,
                     std::vector<Operation>& out) {
  const std::vector<std::int64_t> none;
  for (const auto key : keys)
    for (const auto& scheme : list) {
      if (!d.offered(scheme.transition)) return false;
      Operation o;
      o.transition = scheme.transition;
      for (const auto& arg : scheme.args) {
        std::vector<std::int64_t> variables{key};
        o.args.push_back(eval(*arg, scope_of(d.w, d.l.facts, slots, variables)));
        if (o.args.back() == kNone) return false;
        const bool given = arg->op == Op::param && at(arg->index) < refs.size();
        o.refs.push_back(given ? refs[at(arg->index)] : Reference{});
      }
      out.push_back(std::move(o));
    }
  return true;
}

bool Binder::legal(const std::vector<Operation>& list, Facts& facts) const {
  return std::all_of(list.begin(), list.end(), [&](const Operation& o) {
    return !forbidden(d.w, facts, o.transition, o.args) &&
           apply(d.w, o.transition, o.args, facts).ok;
  });
}

bool Binder::tell(const Facts& facts) {
  const std::size_t after = goal.operations.empty() ? 0 : Goal::kEnd;
  const SlotNames names = slot_names(s.given);
  for (const auto& t : s.tell) {
    Answer a;
    a.field = t.field;
    a.about = fill_words(d.w, d.l.skin, s.mechanism, names, t.about);
    for (std::size_t i = 0; i < names.size(); ++i)
      a.about = replace_all(a.about, "{" + names[i].first + "}",
                            names[i].second.type == Type::ref
                                ? "that " + d.say.noun(names[i].second.target)
                                : phrases[i]);
    if (!t.term) {
      a.concept_id = t.concept_id;
      a.condition = closed(t.condition, slots);
      const std::vector<std::int64_t> none;
      std::size_t n = 0;
      for (const auto& row : facts.tables[at(t.concept_id)].rows) {
        std::vector<std::int64_t> variables{row.key};
        n += eval(*a.condition, scope_of(d.w, facts, none, variables)) == 1 ? 1U : 0U;
      }
      if (n < kMinSet || n > kMaxSet) return false;
      need(a.condition, t.concept_id, after);
      goal.answers.push_back(std::move(a));
      continue;
    }
    a.term = closed(t.term, slots);
    if (value(a.term, facts) == kNone || tied(d.w, facts, *a.term)) return false;
    if (a.term->domain.type == Type::ref) a.concept_id = a.term->domain.target;
    if (a.term->domain.type == Type::text) {
      if (a.term->op != Op::attribute) return false;
      a.concept_id = a.term->concept_id;
      a.attribute = a.term->index;
    }
    need(a.term, -1, after);
    goal.answers.push_back(std::move(a));
  }
  return true;
}

void Binder::say(const std::vector<std::string>& phrases_of_goal) {
  std::vector<std::pair<std::string, std::string>> words_of;  // by given
  for (std::size_t i = 0; i < s.given.size(); ++i) {
    std::string words = phrases[i];
    if (static_cast<int>(i) == hidden) {
      const Domain& domain = s.given[i].domain;
      const std::string what = domain.type == Type::ref     ? d.say.noun(domain.target)
                               : domain.type == Type::cents ? "amount"
                               : domain.type == Type::date  ? "date"
                                                            : "number";
      goal.hidden_value =
          domain.type == Type::ref ? d.say.name(domain.target, slots[i]) : phrases[i];
      goal.hidden_keyword = what;
      goal.hidden_text = secret_text(domain.type == Type::ref, goal.hidden_value, d.rng);
      words = domain.type == Type::ref ? "a certain " + what : "the usual " + what;
    }
    words_of.emplace_back(s.given[i].name, std::move(words));
  }
  std::string text = pick_phrase(phrases_of_goal, words_of, d.rng);
  for (const auto& [name, words] : words_of) text = replace_all(text, "{" + name + "}", words);
  goal.requests.push_back(std::move(text));
}

}  // namespace

std::optional<Goal> Drawer::bind_scheme(int scheme, bool hide) {
  const GoalScheme& s = w.goals[at(scheme)];
  Binder b{*this, s, s.symbol, {}, {}, {}, -1, {}};
  if (!b.give()) return std::nullopt;
  if (hide) {  // an amount, a number, a date, or a fact that has a name; a word stands where no
               // "the usual ..." can: "whichever cracked shell"
    std::vector<int> able;
    for (std::size_t i = 0; i < s.given.size(); ++i)
      if (s.given[i].domain.type == Type::ref ? b.refs[i].by_name
                                              : s.given[i].domain.type != Type::word)
        able.push_back(static_cast<int>(i));
    if (able.empty()) return std::nullopt;
    b.hidden = rng.pick(able);
    b.goal.hidden_param = b.hidden;
  }
  if (!b.find()) return std::nullopt;
  if (s.condition && b.value(closed(s.condition, b.slots), l.facts) != 1) return std::nullopt;
  Goal& g = b.goal;
  const Form form = form_of(s);
  g.kind = form == Form::each     ? "each"
           : form == Form::branch ? "if"
           : form == Form::tell   ? "aggregate"
           : s.tell.empty()       ? "achieve"
                                  : "multi";
  std::vector<std::int64_t> keys{kNone};
  if (form == Form::each) {
    keys.clear();
    const TermPtr condition = closed(s.each_condition, b.slots);
    const std::vector<std::int64_t> none;
    for (const auto& row : rows(s.each)) {
      std::vector<std::int64_t> variables{row.key};
      if (eval(*condition, scope_of(w, l.facts, none, variables)) == 1) keys.push_back(row.key);
    }
    if (keys.size() < kMinEach || keys.size() > kMaxEach) return std::nullopt;
    b.need(condition, s.each, 0);
  }
  bool first = true;
  if (form == Form::branch) {
    const TermPtr when = closed(s.when, b.slots);
    first = b.value(when, l.facts) == 1;
    b.need(when, -1, 0);
    g.condition = Condition{when, first, ""};
    g.holds.emplace_back(when, first ? 1 : 0);
    if (!b.operate(first ? s.otherwise : s.operations, keys, g.other)) return std::nullopt;
  }
  if (!b.operate(first ? s.operations : s.otherwise, keys, g.operations)) return std::nullopt;
  Facts after = l.facts;
  if (!b.legal(g.operations, after) || !b.tell(after)) return std::nullopt;
  for (const auto& r : b.refs)
    if (r.concept_id >= 0) g.mentions.push_back(r);
  b.say(l.skin.goal_says[at(scheme)]);
  if (hide && g.requests[0].find(g.hidden_value) != std::string::npos) return std::nullopt;
  g.expression = "goal(" + s.symbol + (form == Form::branch ? first ? ",yes" : ",no" : "") +
                 (form == Form::each ? "," + std::to_string(keys.size()) : "") +
                 (hide ? ",ask " + s.given[at(b.hidden)].name : "") + ")";
  if (hide) g.kind = "ask";
  return std::move(b.goal);
}

std::optional<Goal> Drawer::scheme(Form form, bool hide) {
  std::vector<int> order;
  for (int i = 0; i < static_cast<int>(w.goals.size()); ++i)
    if (form_of(w.goals[at(i)]) == form) order.push_back(i);
  rng.shuffle(order);
  for (const int i : order)
    for (int attempt = 0; attempt < kTries; ++attempt)
      if (auto g = bind_scheme(i, hide)) return g;
  return std::nullopt;
}

}  // namespace seedbed::envgen
