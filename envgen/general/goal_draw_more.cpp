// Goals about what stands in the way: exceptions of rules, duties, faults to be cleared, second
// bests, ways back.
#include <set>

#include "envgen/general/goal_drawer.h"

namespace seedbed::envgen {
namespace {

std::size_t at(int i) {
  return static_cast<std::size_t>(i);
}

std::vector<std::int64_t> with_lets(const World& w,
                                    const Facts& facts,
                                    const Transition& t,
                                    std::vector<std::int64_t> slots) {
  std::vector<std::int64_t> variables;
  for (const auto& [name, term] : t.lets)
    slots.push_back(eval(*term, scope_of(w, facts, slots, variables)));
  return slots;
}

// Index of the one guard that fails, or -1 where none or several do.
int only_failing(const World& w,
                 const Facts& facts,
                 const Transition& t,
                 const std::vector<std::int64_t>& args) {
  const auto slots = with_lets(w, facts, t, args);
  int out = -1;
  for (std::size_t g = 0; g < t.guards.size(); ++g) {
    std::vector<std::int64_t> variables;
    if (eval(*t.guards[g].term, scope_of(w, facts, slots, variables)) == 1) continue;
    if (out >= 0) return -1;
    out = static_cast<int>(g);
  }
  return out;
}

// What has to be read to see that the operation cannot be done.
void look_into(
    const World& w, const Facts& facts, const Operation& o, std::size_t after, Goal& goal) {
  const Transition& t = w.transitions[at(o.transition)];
  const auto slots = with_lets(w, facts, t, o.args);
  const auto need = [&](const TermPtr& term) {
    Need n;
    n.kind = Need::Kind::term;
    n.term = closed(term, slots);
    n.after = after;
    goal.needs.push_back(std::move(n));
  };
  for (const auto& [name, term] : t.lets) need(term);
  for (const auto& g : t.guards) {
    std::vector<std::int64_t> variables;
    if (eval(*g.term, scope_of(w, facts, slots, variables)) == 1) continue;
    need(g.term);
    return;
  }
}

void mention_refs(const Operation& o, Goal& goal) {
  for (const auto& r : o.refs)
    if (r.concept_id >= 0) goal.mentions.push_back(r);
}

}  // namespace

// A rule seems to forbid it, and its exception allows it.
std::optional<Goal> Drawer::exception() {
  std::vector<int> order;
  for (int r = 0; r < static_cast<int>(w.rules.size()); ++r)
    if (w.rules[at(r)].base && offered(w.rules[at(r)].transition)) order.push_back(r);
  rng.shuffle(order);
  for (const int id : order) {
    const Rule& rule = w.rules[at(id)];
    const Transition& t = w.transitions[at(rule.transition)];
    for (int attempt = 0; attempt < 80; ++attempt) {
      const auto args = sample_args(w, t, l.facts, rng);
      if (args.size() != t.params.size()) break;
      std::vector<std::int64_t> variables;
      if (eval(*rule.base, scope_of(w, l.facts, args, variables)) != 1 ||
          forbidden(w, l.facts, rule.transition, args) ||
          !may_apply(w, rule.transition, args, l.facts).ok)
        continue;
      auto o = bind_operation(l, l.facts, rule.transition, args, rng);
      if (!o) continue;
      Goal g;
      g.kind = "exception";
      Need n;
      n.kind = Need::Kind::term;
      n.term = closed(rule.never_if, args);
      g.needs.push_back(std::move(n));
      mention_refs(*o, g);
      g.requests.push_back(o->phrase);
      Refusal refusal;  // what a careless reader of the handbook would answer
      refusal.code = rule.code;
      for (const auto& e : rule.evidence) {
        const std::int64_t key = eval(*e, scope_of(w, l.facts, args, variables));
        if (key != kNone) refusal.evidence.emplace_back(e->domain.target, key);
      }
      g.excused = refusal;
      g.operations.push_back(*std::move(o));
      g.expression = "exception(" + rule.symbol + ")";
      return g;
    }
  }
  return std::nullopt;
}

// An operation to which a duty of the handbook is tied.
std::optional<Goal> Drawer::duty() {
  std::vector<int> order;
  for (int i = 0; i < static_cast<int>(w.duties.size()); ++i)
    if (offered(w.duties[at(i)].on) && offered(w.duties[at(i)].then)) order.push_back(i);
  rng.shuffle(order);
  for (const int id : order) {
    const Duty& d = w.duties[at(id)];
    for (int attempt = 0; attempt < 40; ++attempt) {
      const auto args = legal_args(w, l.facts, d.on, rng, 20);
      if (args.size() != w.transitions[at(d.on)].params.size()) break;
      if (!duty_of(w, d, l.facts, args)) continue;
      auto o = bind_operation(l, l.facts, d.on, args, rng);
      if (!o) continue;
      Goal g;
      g.kind = "duty";
      mention_refs(*o, g);
      g.requests.push_back(o->phrase);
      g.operations.push_back(*std::move(o));
      g.expression = "duty(" + d.symbol + ")";
      return g;
    }
  }
  return std::nullopt;
}

namespace {

// Every operation with typed arguments that changes what the guard reads and makes the blocked one
// possible: ways to clear a fault.
struct Fixes {
  const Drawer& d;
  const Operation& blocked;
  std::set<std::pair<int, int>> read;  // what the failing guard hangs on
  std::vector<Operation> found;
  std::vector<signed char> helps;  // by transition; -1: not looked at yet

  static constexpr std::size_t kEnough = 10;

  static bool writes(const std::vector<Effect>& effects,
                     const std::set<std::pair<int, int>>& read) {
    return std::any_of(effects.begin(), effects.end(), [&](const Effect& e) {
      if (e.kind == Effect::Kind::each) return writes(e.body, read);
      if (e.kind == Effect::Kind::make || e.kind == Effect::Kind::remove)
        return read.count({e.concept_id, -1}) != 0;
      return read.count({e.concept_id, e.attribute}) != 0;
    });
  }
  bool may_help(int t) {
    if (helps[at(t)] < 0) helps[at(t)] = finds_out(t) ? 1 : 0;
    return helps[at(t)] == 1;
  }
  bool finds_out(int t) const {
    const Transition& x = d.w.transitions[at(t)];
    if (writes(x.effects, read)) return true;
    return std::any_of(x.reactions.begin(), x.reactions.end(), [&](const Reaction& r) {
      return writes(d.w.reactions[at(r.transition)].effects, read);
    });
  }
  void search() {
    for (const auto& call : d.l.legal) {
      if (found.size() > kEnough) return;
      if (!may_help(call.transition)) continue;
      Facts facts = d.l.facts;
      apply(d.w, call.transition, call.args, facts);
      if (!may_apply(d.w, blocked.transition, blocked.args, facts).ok ||
          forbidden(d.w, facts, blocked.transition, blocked.args))
        continue;
      Operation o;
      o.transition = call.transition;
      o.args = call.args;
      o.refs.resize(call.args.size());
      found.push_back(std::move(o));
    }
  }
  // Whether an operation that was not tried out (it takes a free number) might do as well.
  bool others() {
    for (int t = 0; t < static_cast<int>(d.w.transitions.size()); ++t) {
      const auto& params = d.w.transitions[at(t)].params;
      const bool free = std::any_of(params.begin(), params.end(), [](const Param& p) {
        return p.domain.type != Type::ref && p.domain.type != Type::word;
      });
      if ((free || params.size() > 2) && d.offered(t) && may_help(t)) return true;
    }
    return false;
  }
  bool complete() const { return found.size() <= kEnough; }
};

}  // namespace

std::vector<Lowered::Legal> legal_at_start(const Lowered& l) {
  constexpr std::size_t kMost = 400;  // of one transition
  const World& w = *l.world;
  std::vector<Lowered::Legal> out;
  for (int t = 0; t < static_cast<int>(w.transitions.size()); ++t) {
    const Transition& x = w.transitions[at(t)];
    if (l.surface.offer(t) == nullptr) continue;
    std::vector<std::vector<std::int64_t>> all{{}};
    for (const auto& p : x.params) {
      std::vector<std::int64_t> values;  // free numbers give no single way
      if (p.domain.type == Type::ref)
        for (const auto& row : l.facts.tables[at(p.domain.target)].rows) values.push_back(row.key);
      if (p.domain.type == Type::word)
        for (std::size_t v = 0; v < w.words[at(p.domain.words)].words.size(); ++v)
          values.push_back(static_cast<std::int64_t>(v));
      std::vector<std::vector<std::int64_t>> next;
      if (all.size() * values.size() <= kMost)
        for (const auto& head : all)
          for (const auto v : values) {
            next.push_back(head);
            next.back().push_back(v);
          }
      all = std::move(next);
    }
    for (auto& args : all)
      if (!forbidden(w, l.facts, t, args) && may_apply(w, t, args, l.facts).ok)
        out.push_back({t, std::move(args)});
  }
  return out;
}

// Something stands in the way of an operation: find out what, clear it with the one operation that
// does, then do it.
std::optional<Goal> Drawer::restore() {
  int searches = 0;
  for (const int t : transitions()) {
    const Transition& x = w.transitions[at(t)];
    for (int attempt = 0; attempt < 24 && searches < 12; ++attempt) {
      const auto args = sample_args(w, x, l.facts, rng);
      if (args.size() != x.params.size()) break;
      const int guard = only_failing(w, l.facts, x, args);
      // A guard that looks past the operation's own facts: something else is to be put right.
      if (guard < 0 || x.guards[at(guard)].rule >= 0) continue;
      auto o = bind_operation(l, l.facts, t, args, rng);
      if (!o) continue;
      Fixes fixes{*this, *o, {}, {}, std::vector<signed char>(w.transitions.size(), -1)};
      std::vector<std::pair<int, int>> reads;
      collect_reads(*x.guards[at(guard)].term, reads);
      fixes.read = {reads.begin(), reads.end()};
      ++searches;
      fixes.search();
      if (!fixes.complete() || fixes.found.empty()) continue;
      std::map<int, int> by_transition;
      for (const auto& f : fixes.found) ++by_transition[f.transition];
      const Operation* fix = fixes.found.size() == 1 ? &fixes.found[0] : nullptr;
      for (const auto& f : fixes.found)
        if (fix == nullptr && by_transition[f.transition] == 1) fix = &f;
      if (fix == nullptr) continue;
      const bool hint = fixes.found.size() > 1 || fixes.others();
      Goal g;
      g.kind = "restore";
      g.blocked.push_back({*o, 0});
      mention_refs(*o, g);
      look_into(w, l.facts, *o, 0, g);
      static const char* const kCalls[] = {
          "find out why it is refused at present to {}, clear what stands in the way, and then do "
          "it",
          "see to it that somebody can at last {}: put right whatever is behind the refusal, then "
          "go through with it",
          "{}; there is an obstacle at the moment, so remove that first"};
      std::string text = replace_all(kCalls[rng.below(3)], "{}", o->phrase);
      if (hint)
        text += rng.chance(1, 2) ? ", and the only thing that you may use for it is " +
                                       l.surface.label(fix->transition) + ", once"
                                 : "; use " + l.surface.label(fix->transition) +
                                       " once for that and nothing else";
      g.requests.push_back(text);
      g.operations.push_back(*fix);
      g.operations.push_back(*std::move(o));
      g.expression = "restore(" + x.symbol + "!" + x.guards[at(guard)].code + "," +
                     w.transitions[at(g.operations[0].transition)].symbol + (hint ? ",hint" : "") +
                     ")";
      return g;
    }
  }
  return std::nullopt;
}

// The first that can be done of two or three wishes.
std::optional<Goal> Drawer::fallback() {
  for (const int t : transitions()) {
    const Transition& x = w.transitions[at(t)];
    if (x.params.empty() || x.guards.empty()) continue;
    Goal g;
    g.kind = "fallback";
    std::vector<std::string> phrases;
    const auto refused = static_cast<std::size_t>(rng.between(1, 2));
    for (int attempt = 0; attempt < 40 && g.blocked.size() < refused; ++attempt) {
      auto args = sample_args(w, x, l.facts, rng);
      if (args.size() != x.params.size()) break;
      if (!g.blocked.empty()) args[0] = g.blocked[0].operation.args[0];
      const int guard = only_failing(w, l.facts, x, args);
      if (guard < 0 || x.guards[at(guard)].rule >= 0 || forbidden(w, l.facts, t, args)) continue;
      const bool again = std::any_of(g.blocked.begin(), g.blocked.end(),
                                     [&](const auto& b) { return b.operation.args == args; });
      auto o = again ? std::nullopt : bind_operation(l, l.facts, t, args, rng);
      if (!o) continue;
      phrases.push_back(o->phrase);
      g.blocked.push_back({*std::move(o), 0});
    }
    if (g.blocked.empty()) continue;
    // What can be done instead: the same for another fact, or something else.
    std::optional<Operation> last;
    for (int attempt = 0; attempt < 30 && !last; ++attempt) {
      const bool same = x.params.size() > 1 && attempt < 20;
      const auto choices = same ? std::vector<int>{t} : transitions();
      auto args = legal_args(w, l.facts, choices[0], rng, 20);
      if (args.size() != w.transitions[at(choices[0])].params.size()) continue;
      if (same) {
        args[0] = g.blocked[0].operation.args[0];
        if (forbidden(w, l.facts, t, args) || !may_apply(w, t, args, l.facts).ok) continue;
      }
      last = bind_operation(l, l.facts, choices[0], args, rng);
    }
    if (!last) continue;
    phrases.push_back(last->phrase);
    std::string text = phrases[0];
    for (std::size_t i = 1; i < phrases.size(); ++i)
      text += (i + 1 < phrases.size() ? "; if that is refused, "
               : i == 1               ? "; should that be impossible, "
                                      : "; and if that cannot be done either, ") +
              phrases[i];
    g.requests.push_back(text);
    for (const auto& b : g.blocked) {
      mention_refs(b.operation, g);
      look_into(w, l.facts, b.operation, 0, g);
      g.expression += "!" + w.transitions[at(b.operation.transition)].symbol;
    }
    mention_refs(*last, g);
    g.expression =
        "fallback(" + g.expression + "," + w.transitions[at(last->transition)].symbol + ")";
    g.operations.push_back(*std::move(last));
    return g;
  }
  return std::nullopt;
}

// One operation, then another of a different mechanism; where the second is refused, the first is
// taken back.
std::optional<Goal> Drawer::saga() {
  const bool fails = rng.chance(2, 3);
  for (const int t : transitions()) {
    const Transition& x = w.transitions[at(t)];
    if (x.undo < 0 || !offered(x.undo)) continue;
    const auto args = legal_args(w, l.facts, t, rng, 30);
    if (args.size() != x.params.size()) continue;
    Facts facts = l.facts;
    apply(w, t, args, facts);
    const Transition& back = w.transitions[at(x.undo)];
    if (back.params.size() != 1 || back.params[0].domain.type != Type::ref) continue;
    std::int64_t key = kNone;  // of what is taken back: made, or given
    const int c = back.params[0].domain.target;
    if (facts.tables[at(c)].next > l.facts.tables[at(c)].next) key = l.facts.tables[at(c)].next;
    for (std::size_t i = 0; i < args.size() && key == kNone; ++i)
      if (x.params[i].domain.type == Type::ref && x.params[i].domain.target == c) key = args[i];
    if (key == kNone) continue;
    for (const int u : transitions()) {
      const Transition& y = w.transitions[at(u)];
      if (y.mechanism == x.mechanism || y.params.empty()) continue;
      for (int attempt = 0; attempt < 16; ++attempt) {
        const auto other = sample_args(w, y, l.facts, rng);
        if (other.size() != y.params.size()) break;
        if (forbidden(w, facts, u, other)) continue;
        const bool ok = may_apply(w, u, other, facts).ok;
        if (ok == fails || (!fails && !may_apply(w, u, other, l.facts).ok)) continue;
        if (fails && only_failing(w, facts, y, other) < 0) continue;
        auto first = bind_operation(l, l.facts, t, args, rng);
        auto second = bind_operation(l, l.facts, u, other, rng);
        if (!first || !second) break;
        Goal g;
        g.kind = "saga";
        mention_refs(*first, g);
        mention_refs(*second, g);
        g.requests.push_back(first->phrase);
        g.requests.push_back("then " + second->phrase +
                             (rng.chance(1, 2)
                                  ? "; should that be refused, take the first step back with "
                                  : "; if it turns out to be impossible, undo the first "
                                    "step with ") +
                             l.surface.label(x.undo));
        g.operations.push_back(*std::move(first));
        if (fails) {
          g.blocked.push_back({*second, 1});
          look_into(w, facts, *second, 1, g);
          Operation undo;
          undo.transition = x.undo;
          undo.args = {key};
          undo.refs.resize(1);
          if (forbidden(w, facts, x.undo, undo.args) || !may_apply(w, x.undo, undo.args, facts).ok)
            break;
          g.operations.push_back(std::move(undo));
        } else {
          g.operations.push_back(*std::move(second));
        }
        g.expression = std::string("saga(") + x.symbol + "," + y.symbol + (fails ? ",back)" : ")");
        return g;
      }
    }
  }
  return std::nullopt;
}

}  // namespace seedbed::envgen
