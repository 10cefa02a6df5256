// Initial facts, and the constants of gates and rules chosen near them.
#include <algorithm>
#include <cstdlib>
#include <numeric>

#include "base/text.h"
#include "envgen/general/effects.h"
#include "envgen/general/world.h"

namespace seedbed::envgen {
namespace {

// Concepts in an order in which every required reference is made before what refers to it.
std::vector<int> making_order(const World& world) {
  std::vector<int> order;
  std::vector<bool> done(world.concepts.size(), false);
  while (order.size() < world.concepts.size()) {
    const std::size_t before = order.size();
    for (std::size_t c = 0; c < world.concepts.size(); ++c) {
      if (done[c]) continue;
      const auto& attrs = world.concepts[c].attrs;
      const bool ready = std::all_of(attrs.begin(), attrs.end(), [&](const Attr& a) {
        return a.domain.type != Type::ref || a.domain.nullable ||
               done[static_cast<std::size_t>(a.domain.target)];
      });
      if (!ready) continue;
      done[c] = true;
      order.push_back(static_cast<int>(c));
    }
    if (order.size() == before) return {};
  }
  return order;
}

}  // namespace

std::int64_t sample_value(const World& world, const Domain& d, const Facts& facts, Rng& rng) {
  if (d.nullable && rng.chance(1, 4)) return kNone;
  switch (d.type) {
    case Type::ref: {
      const auto& rows = facts.tables[static_cast<std::size_t>(d.target)].rows;
      return rows.empty() ? kNone : rows[static_cast<std::size_t>(rng.below(rows.size()))].key;
    }
    case Type::word:
      return static_cast<std::int64_t>(
          rng.weighted(world.words[static_cast<std::size_t>(d.words)].weights));
    case Type::date:
      return world.now + rng.between(d.lo, d.hi);
    case Type::cents:
      if (d.step > 0) return d.lo + d.step * rng.between(0, (d.hi - d.lo) / d.step);
      return d.hi - d.lo >= 100 ? d.lo + 50 * rng.between(0, (d.hi - d.lo) / 50)
                                : rng.between(d.lo, d.hi);
    case Type::text:
      return rng.between(0, 39);
    case Type::boolean:
      return rng.between(0, 1);
    case Type::integer:
      if (d.step > 0) return d.lo + d.step * rng.between(0, (d.hi - d.lo) / d.step);
      return rng.between(d.lo, d.hi);
  }
  return kNone;
}

std::vector<std::int64_t> sample_args(const World& world,
                                      const Transition& t,
                                      const Facts& facts,
                                      Rng& rng) {
  std::vector<std::int64_t> args;
  for (const auto& p : t.params) {
    Domain d = p.domain;
    d.nullable = false;
    const std::int64_t v = sample_value(world, d, facts, rng);
    if (v == kNone) return {};
    args.push_back(v);
  }
  return args;
}

void narrow_values(World& world, const Lexicon& lexicon) {
  for (auto& c : world.concepts)
    for (auto& a : c.attrs) {
      if (a.mechanism < 0 || (a.domain.type != Type::integer && a.domain.type != Type::cents))
        continue;
      const auto m = static_cast<std::size_t>(a.mechanism);
      std::vector<std::string> symbols{c.symbol + "." + a.short_name};
      for (const auto& [role, id] : world.roles[m])
        if (&world.concepts[static_cast<std::size_t>(id)] == &c)
          symbols.push_back(world.mechanisms[m] + "." + role + "." + a.short_name);
      for (const auto& symbol : symbols) {
        const auto it = lexicon.values.find(symbol);
        if (it == lexicon.values.end()) continue;
        const std::int64_t lo = std::max(a.domain.lo, it->second.lo),
                           hi = std::min(a.domain.hi, it->second.hi);
        if (lo > hi) continue;
        a.domain.lo = lo;
        a.domain.hi = hi;
        a.domain.step = it->second.step;
      }
    }
}

Result<Facts> make_facts(World& world, Rng rng) {
  Facts facts;
  facts.tables.resize(world.concepts.size());
  const auto order = making_order(world);
  if (order.empty())
    return make_error(Where::pack, "composition", "", "required references form a cycle",
                      "mark one \"null\": true");
  const std::vector<std::int64_t> none;
  for (const int id : order) {
    const Concept& c = world.concepts[static_cast<std::size_t>(id)];
    FactTable& table = facts.tables[static_cast<std::size_t>(id)];
    Rng draws = rng.fork("rows of " + c.symbol);
    const auto count = draws.between(c.count_lo, c.count_hi);
    for (std::int64_t i = 0; i < count; ++i) {
      for (int attempt = 0; attempt < 25; ++attempt) {
        Row row;
        row.key = table.next;
        for (const auto& a : c.attrs)
          row.values.push_back(a.domain.type == Type::text && a.name == "name"
                                   ? i
                                   : sample_value(world, a.domain, facts, draws));
        table.rows.push_back(std::move(row));
        std::vector<std::int64_t> variables{table.next};
        bool good = !c.where || eval(*c.where, scope_of(world, facts, none, variables)) == 1;
        good = good && invariants_hold(world, facts);
        if (good) {
          ++table.next;
          break;
        }
        table.rows.pop_back();
      }
    }
    if (table.rows.size() < 3)
      return Error{Where::pack,
                   "composition: fewer than three rows of " + c.symbol + " could be made"};
  }
  return facts;
}

std::vector<std::pair<std::string, std::int64_t>> draw_constants(const Texts& params, Rng& rng) {
  std::vector<std::pair<std::string, std::int64_t>> out;
  for (const auto& [name, range] : params) {
    const auto dots = range.find("..");
    const std::int64_t lo = std::atoll(range.c_str());
    const std::int64_t hi =
        dots == std::string::npos ? lo : std::atoll(range.substr(dots + 2).c_str());
    std::int64_t v = lo <= hi ? rng.between(lo, hi) : lo;
    if (hi - lo >= 1000) v -= v % 100;
    out.emplace_back(name, std::max(v, lo));
  }
  return out;
}

namespace {

void bind_constants(Names& names,
                    const std::vector<std::pair<std::string, std::int64_t>>& constants) {
  for (const auto& [name, v] : constants)
    names.values["?" + name] = constant_of(v, {Type::integer, -1, -1, 0, 0, false});
}

// How far a share of failing rows is from a third; worse than 1 where the condition never or always
// holds.
int imbalance(std::size_t failing, std::size_t all) {
  if (failing == 0 || failing == all) return 1000;
  const auto percent = static_cast<int>(100 * failing / all);
  return std::abs(percent - 33);
}

// The guard itself: the gate's term with x replaced by the transition's subject.
Step guard_transitions(World& world, const PendingGate& pending, GateSay gate) {
  for (const int id : pending.transitions) {
    Transition& t = world.transitions[static_cast<std::size_t>(id)];
    Names names = names_for(world, pending.mechanism);
    bind_constants(names, gate.constants);
    names.values["x"] = t.subject;
    auto term = parse_term(pending.pack->term, names, "gate " + pending.pack->name);
    if (!term.ok()) return term.error();
    t.guards.push_back({*term, gate.code, pending.edge, -1});
  }
  world.gates.push_back(std::move(gate));
  return std::nullopt;
}

// One gate of a pack has one set of constants, wherever it stands: the handbook says it once.
Step add_gate(World& world, const PendingGate& pending, const Facts& facts, Rng rng) {
  for (const auto& known : world.gates)
    if (known.pack == pending.pack && known.over == pending.over) {
      GateSay again = known;
      again.edge = pending.edge;
      again.transitions = pending.transitions;
      return guard_transitions(world, pending, std::move(again));
    }
  const auto& rows = facts.tables[static_cast<std::size_t>(pending.over)].rows;
  GateSay best;
  int best_score = 1000;
  for (int attempt = 0; attempt < (pending.pack->params.empty() ? 1 : 10); ++attempt) {
    const auto constants = draw_constants(pending.pack->params, rng);
    Names names = names_for(world, pending.mechanism);
    bind_constants(names, constants);
    auto x = std::make_shared<Term>();
    x->op = Op::variable;
    x->index = 0;
    x->domain = {Type::ref, pending.over, -1, 0, 0, false};
    names.values["x"] = x;
    names.next_variable = 1;
    auto term = parse_term(pending.pack->term, names, "gate " + pending.pack->name);
    if (!term.ok()) return term.error();
    std::size_t failing = 0;
    const std::vector<std::int64_t> none;
    for (const auto& row : rows) {
      std::vector<std::int64_t> variables{row.key};
      if (eval(**term, scope_of(world, facts, none, variables)) != 1) ++failing;
    }
    const int score = imbalance(failing, rows.size());
    if (score < best_score) {
      best_score = score;
      best = {pending.pack,      pending.edge, pending.over, pending.pack->code,
              pending.pack->say, constants,    *term,        pending.transitions};
    }
  }
  if (best_score >= 1000) {
    world.edges[static_cast<std::size_t>(pending.edge)].dead = true;
    if (connected(world)) return std::nullopt;
    return Error{Where::pack,
                 "composition: gate " + pending.pack->name + " holds for all or for none"};
  }
  return guard_transitions(world, pending, std::move(best));
}

// Shares of sampled legal calls that the rule forbids, in percent; -1 where too few legal calls
// were found.
int share_forbidden(
    const World& world, const Transition& t, const Term& never_if, const Facts& facts, Rng rng) {
  int legal = 0, forbidden = 0;
  for (int i = 0; i < 120 && legal < 40; ++i) {
    auto args = sample_args(world, t, facts, rng);
    if (args.size() != t.params.size()) return -1;
    std::vector<std::int64_t> variables;
    for (const auto& [name, term] : t.lets)
      args.push_back(eval(*term, scope_of(world, facts, args, variables)));
    const bool ok = std::all_of(t.guards.begin(), t.guards.end(), [&](const Guard& g) {
      return eval(*g.term, scope_of(world, facts, args, variables)) == 1;
    });
    if (!ok) continue;
    ++legal;
    if (eval(never_if, scope_of(world, facts, args, variables)) == 1) ++forbidden;
  }
  return legal < 4 ? -1 : 100 * forbidden / legal;
}

struct PendingRule {
  int mechanism;
  const PackRule* pack;
};

TermPtr negation(const TermPtr& of) {
  auto out = std::make_shared<Term>();
  out->op = Op::negate;
  out->domain = {Type::boolean, -1, -1, 0, 1, false};
  out->kids = {of};
  return out;
}

// With an exception that matters: some legal calls that the bare rule forbids are allowed by it.
void except(const World& world,
            const PackRule& pack,
            Names& names,
            const Transition& t,
            const Facts& facts,
            Rng rng,
            Rule& rule) {
  auto unless = parse_term(pack.unless, names, "exception of rule " + pack.name);
  if (!unless.ok() || (*unless)->domain.type != Type::boolean) return;
  const TermPtr excused = binary(Op::both, rule.never_if, *unless);
  const int share = share_forbidden(world, t, *excused, facts, rng.fork("excused"));
  if (share < 2) return;
  rule.base = rule.never_if;
  rule.never_if = binary(Op::both, rule.never_if, negation(*unless));
  rule.unless_say = rng.pick(pack.unless_say);
}

Result<bool> add_rule(World& world, const PendingRule& pending, const Facts& facts, Rng rng) {
  const PackRule& pack = *pending.pack;
  Rule best;
  int best_score = 1000;
  int id = -1;
  for (std::size_t t = 0; t < world.transitions.size(); ++t)
    if (world.transitions[t].symbol ==
        world.mechanisms[static_cast<std::size_t>(pending.mechanism)] + "." + pack.on)
      id = static_cast<int>(t);
  const std::string prefix = world.mechanisms[static_cast<std::size_t>(pending.mechanism)] + ".";
  if (world.left_out.count(prefix + pack.on) != 0) return false;
  if (id < 0)
    return make_error(Where::pack, "rule", pack.name, "on unknown transition '" + pack.on + "'",
                      "name one of the mechanism's transitions");
  const Transition& t = world.transitions[static_cast<std::size_t>(id)];
  for (int attempt = 0; attempt < (pack.params.empty() ? 1 : 8); ++attempt) {
    Rule rule;
    rule.constants = draw_constants(pack.params, rng);
    Names names = names_for(world, pending.mechanism);
    bind_constants(names, rule.constants);
    for (std::size_t i = 0; i < t.params.size(); ++i)
      names.values[t.params[i].name] = param_of(static_cast<int>(i), t.params[i].domain);
    auto term = parse_term(pack.never_if, names, "rule " + pack.name);
    if (!term.ok())
      return false;  // an optional attribute was left out: the rule falls away (pack check composes
                     // with all)
    rule.never_if = *term;
    for (const auto& text : pack.evidence) {
      auto e = parse_term(text, names, "evidence of rule " + pack.name);
      if (!e.ok() || (*e)->domain.type != Type::ref) return false;
      rule.evidence.push_back(*e);
    }
    const Rng share_rng = rng.fork("share", static_cast<std::uint64_t>(attempt));
    if (!pack.unless.empty() && share_rng.fork("except").chance(2, 3))
      except(world, pack, names, t, facts, share_rng.fork("exception"), rule);
    const int share = share_forbidden(world, t, *rule.never_if, facts, share_rng);
    if (share < 5 || share > 75) continue;
    const int score = std::abs(share - 30);
    if (score >= best_score) continue;
    best_score = score;
    rule.symbol = world.mechanisms[static_cast<std::size_t>(pending.mechanism)] + "." + pack.name;
    rule.code = pack.code;
    rule.transition = id;
    rule.say = rng.pick(pack.say);
    best = rule;
  }
  if (best_score >= 1000) return false;
  best.enforced = rng.chance(1, 2);
  if (best.enforced) {
    world.transitions[static_cast<std::size_t>(id)].guards.push_back(
        {negation(best.never_if), best.code, -1, static_cast<int>(world.rules.size())});
  }
  world.rules.push_back(best);
  return true;
}

// A duty with constants at which some legal calls have it and some have not.
Step add_duty(World& world, int mechanism, const PackDuty& pack, const Facts& facts, Rng rng) {
  const std::string what =
      "duty " + world.mechanisms[static_cast<std::size_t>(mechanism)] + "." + pack.name;
  const auto named = [&](std::string_view name) {
    for (std::size_t t = 0; t < world.transitions.size(); ++t)
      if (world.transitions[t].symbol ==
          world.mechanisms[static_cast<std::size_t>(mechanism)] + "." + std::string(name))
        return static_cast<int>(t);
    return -1;
  };
  Duty duty;
  duty.symbol = what.substr(5);
  duty.on = named(pack.on);
  const auto open = pack.then.find('(');
  if (open != std::string::npos && pack.then.back() == ')')
    duty.then = named(trim(pack.then.substr(0, open)));
  if (world.left_out.count(duty.symbol.substr(0, duty.symbol.find('.') + 1) + pack.on) != 0 ||
      world.left_out.count(duty.symbol.substr(0, duty.symbol.find('.') + 1) +
                           std::string(trim(pack.then.substr(0, open)))) != 0)
    return std::nullopt;
  if (duty.on < 0 || duty.then < 0)
    return make_error(Where::pack, what, pack.on + ", " + pack.then,
                      "no such transition of this mechanism, wanted NAME and NAME(term, ...)",
                      "see docs/pack-format.md");
  const Transition& t = world.transitions[static_cast<std::size_t>(duty.on)];
  const Transition& then = world.transitions[static_cast<std::size_t>(duty.then)];
  const auto args = split_top(pack.then.substr(open + 1, pack.then.size() - open - 2), ',');
  if (args.size() != then.params.size())
    return make_error(Where::pack, what, pack.then,
                      "found " + std::to_string(args.size()) + " arguments, wanted " +
                          std::to_string(then.params.size()),
                      "see docs/pack-format.md");
  for (std::uint64_t attempt = 0; attempt < (pack.params.empty() ? 1 : 8); ++attempt) {
    duty.constants = draw_constants(pack.params, rng);
    Names names = names_for(world, mechanism);
    bind_constants(names, duty.constants);
    for (std::size_t i = 0; i < t.params.size(); ++i)
      names.values[t.params[i].name] = param_of(static_cast<int>(i), t.params[i].domain);
    auto condition = parse_term(pack.condition, names, what);
    if (!condition.ok()) return std::nullopt;  // uses an attribute that was left out
    duty.condition = *condition;
    duty.args.clear();
    for (std::size_t i = 0; i < args.size(); ++i) {
      auto arg = parse_term_as(args[i], names, then.params[i].domain, what);
      if (!arg.ok()) return std::nullopt;
      duty.args.push_back(*arg);
    }
    const int share = share_forbidden(world, t, *duty.condition, facts, rng.fork("share", attempt));
    if (share < 10 || share > 90) continue;
    duty.say = rng.pick(pack.say);
    world.duties.push_back(duty);
    return std::nullopt;
  }
  return std::nullopt;
}

}  // namespace

Step add_rules_and_gates(World& world, const Facts& facts, Rng rng) {
  for (std::size_t i = 0; i < world.pending_gates.size(); ++i)
    if (auto e = add_gate(world, world.pending_gates[i], facts, rng.fork("gate", i))) return e;
  std::vector<PendingRule> pending;
  for (std::size_t m = 0; m < world.packs.size(); ++m)
    for (const auto& r : world.packs[m]->rules) pending.push_back({static_cast<int>(m), &r});
  Rng order = rng.fork("rules");
  order.shuffle(pending);
  const auto wanted =
      static_cast<std::size_t>(world.tools.compact ? order.between(1, 2) : order.between(2, 4));
  for (std::size_t i = 0; i < pending.size() && world.rules.size() < wanted; ++i) {
    auto added = add_rule(world, pending[i], facts, rng.fork("rule", i));
    if (!added.ok()) return added.error();
  }
  for (std::size_t m = 0; m < world.packs.size(); ++m)
    for (const auto& d : world.packs[m]->duties)
      if (order.chance(2, 3) && !(world.tools.compact && !world.duties.empty()))
        if (auto e = add_duty(world, static_cast<int>(m), d, facts, rng.fork("duty " + d.name, m)))
          return e;
  return std::nullopt;
}

}  // namespace seedbed::envgen
