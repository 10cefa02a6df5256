// Goals that change facts: one operation, an operation and its consequence, each of a set, a
// condition.
#include "envgen/general/goal_drawer.h"
#include "envgen/text/text.h"

namespace seedbed::envgen {
namespace {

std::size_t at(int i) {
  return static_cast<std::size_t>(i);
}

}  // namespace

std::optional<Goal> Drawer::achieve() {
  for (const int t : transitions()) {
    const auto args = legal_args(w, l.facts, t, rng, 60);
    if (args.size() != w.transitions[at(t)].params.size()) continue;
    auto o = bind_operation(l, l.facts, t, args, rng);
    if (!o) continue;
    Goal g;
    g.kind = "achieve";
    g.requests.push_back(o->phrase);
    g.operations.push_back(*std::move(o));
    g.expression = "achieve(" + w.transitions[at(t)].symbol + ")";
    return g;
  }
  return std::nullopt;
}

// An operation whose event changes something in another mechanism; then tell what changed there.
std::optional<Goal> Drawer::event_then_tell() {
  for (const int t : transitions()) {
    if (w.transitions[at(t)].reactions.empty()) continue;
    for (int attempt = 0; attempt < 12; ++attempt) {
      const auto args = legal_args(w, l.facts, t, rng, 40);
      if (args.size() != w.transitions[at(t)].params.size()) break;
      for (const auto& reaction : w.transitions[at(t)].reactions) {
        Facts with = l.facts, without = l.facts;
        apply(w, t, args, with);
        apply(w, t, args, without, reaction.edge);
        for (int c = 0; c < static_cast<int>(with.tables.size()); ++c)
          for (const auto& row : with.tables[at(c)].rows) {
            const Row* other = without.tables[at(c)].find(row.key);
            if (other != nullptr && *other == row) continue;
            int changed = -1;
            for (int a = 0; a < static_cast<int>(row.values.size()) && changed < 0; ++a)
              if (other == nullptr
                      ? attr(c, a).domain.type != Type::ref && attr(c, a).domain.type != Type::text
                      : other->values[at(a)] != row.values[at(a)])
                changed = a;
            if (changed < 0 || row.values[at(changed)] == kNone) continue;
            auto o = bind_operation(l, l.facts, t, args, rng);
            if (!o) continue;
            Goal g;
            g.kind = "multi";
            g.answers.push_back(id_answer(
                "affected_id", c, row.key,
                "the id of the " + say.noun(c) + " that changed or was made in consequence"));
            g.answers.push_back(value_answer("value_after", fact_attribute(w, c, row.key, changed),
                                             c, changed,
                                             "its " + noun(c, changed) + " afterwards"));
            g.needs.push_back(
                {Need::Kind::attribute, c, {}, {}, row.key, changed, Goal::kEnd, nullptr, 0});
            g.requests.push_back(o->phrase);
            g.requests.push_back(
                std::string(rng.chance(1, 2) ? "then tell me" : "after that, report") + " which " +
                say.noun(c) + (other == nullptr ? " was made" : " changed") +
                " as a consequence (its id) and what its " + noun(c, changed) + " " +
                be(noun(c, changed)) + " " + (rng.chance(1, 2) ? "now" : "afterwards"));
            g.expression = "seq(" + w.transitions[at(t)].symbol + ",answer(" +
                           w.concepts[at(c)].symbol + "." + attr(c, changed).name + "))";
            g.operations.push_back(*std::move(o));
            return g;
          }
      }
    }
  }
  return std::nullopt;
}

std::optional<Goal> Drawer::multi() {
  if (rng.chance(3, 4))
    if (auto g = event_then_tell()) return g;
  Goal g;
  g.kind = "multi";
  Facts facts = l.facts;
  for (const int t : transitions()) {
    if (!g.operations.empty() &&
        w.transitions[at(g.operations[0].transition)].mechanism == w.transitions[at(t)].mechanism)
      continue;
    const auto args = legal_args(w, facts, t, rng, 40);
    if (args.size() != w.transitions[at(t)].params.size()) continue;
    // Legal from the start as well, so that the wish does not hang on an order.
    Facts alone = l.facts;
    bool known = apply(w, t, args, alone).ok && !forbidden(w, l.facts, t, args);
    auto o = known ? bind_operation(l, l.facts, t, args, rng) : std::nullopt;
    if (!o) continue;
    apply(w, t, args, facts);
    g.requests.push_back(o->phrase);
    g.expression += w.transitions[at(t)].symbol + ";";
    g.operations.push_back(*std::move(o));
    if (g.operations.size() == 2) break;
  }
  if (g.operations.size() < 2) return std::nullopt;
  return g;
}

std::optional<Goal> Drawer::each() {
  for (const int t : transitions()) {
    const Transition& x = w.transitions[at(t)];
    if (x.params.size() != 1 || x.params[0].domain.type != Type::ref ||
        w.concepts[at(x.params[0].domain.target)].named())
      continue;
    const int c = x.params[0].domain.target;
    for (int attempt = 0; attempt < 12; ++attempt) {
      const auto filters = some_filters(c, 2, 4);
      if (!filters) continue;
      Facts facts = l.facts;
      Goal g;
      g.kind = "each";
      bool legal = true;
      for (const auto key : rows_where(w, l.facts, c, *filters)) {
        legal = legal && !forbidden(w, facts, t, {key}) && apply(w, t, {key}, facts).ok;
        Operation o;
        o.transition = t;
        o.args = {key};
        o.refs.emplace_back();
        g.operations.push_back(o);
      }
      if (!legal) continue;
      g.needs.push_back({Need::Kind::list, c, *filters, {}, kNone, -1, 0, nullptr, 0});
      std::string phrase = rng.pick(l.skin.says[at(t)]);
      phrase = replace_all(
          phrase, "{" + x.params[0].name + "}",
          std::string(rng.chance(1, 2) ? "every " : "each ") + say.described(c, *filters, false));
      g.requests.push_back(phrase);
      g.expression = "each(" + x.symbol + ";" + std::to_string(filters->size()) + ")";
      return g;
    }
  }
  return std::nullopt;
}

std::optional<Goal> Drawer::conditional() {
  std::vector<int> order;
  for (int d = 0; d < static_cast<int>(w.derived.size()); ++d) order.push_back(d);
  rng.shuffle(order);
  for (const int id : order) {
    const Derived& d = w.derived[at(id)];
    const bool shown = std::any_of(
        l.surface.tools.begin(), l.surface.tools.end(),
        [&](const ToolForm& f) { return f.concept_id == d.over && !f.derived.empty(); });
    if (!shown) continue;
    for (int attempt = 0; attempt < 8; ++attempt) {
      const Row& row = rows(d.over)[static_cast<std::size_t>(rng.below(rows(d.over).size()))];
      auto ref = refer(l, l.facts, d.over, row.key, rng);
      if (!ref) continue;
      Names names = names_for(w, d.mechanism);
      auto term =
          names.derived(d.symbol.substr(d.symbol.find('.') + 1), fact_ref(d.over, row.key), 0);
      if (!term.ok()) break;
      std::vector<int> loads;
      collect_loads(**term, loads);
      const std::vector<std::int64_t> none;
      std::vector<std::int64_t> variables;
      const std::int64_t value = eval(**term, scope_of(w, l.facts, none, variables));
      const std::int64_t bare =
          loads.empty() ? value : eval(**term, scope_of(w, l.facts, none, variables, loads[0]));
      if (!loads.empty() && bare == value && attempt < 6) continue;
      const std::int64_t bound = bare != value ? std::min(bare, value) : value - rng.between(0, 1);
      if (bound < 0) continue;  // "greater than -1" is nothing that anybody asks
      Goal g;
      g.kind = "if";
      Condition c;
      c.term = binary(Op::gt, *term, constant_of(bound, {Type::integer, -1, -1, 0, 0, false}));
      c.holds = value > bound;
      std::vector<Operation> two;
      for (const int t : transitions()) {
        const auto args = legal_args(w, l.facts, t, rng, 40);
        if (args.size() != w.transitions[at(t)].params.size() ||
            (two.size() == 1 && two[0].transition == t))
          continue;
        if (auto o = bind_operation(l, l.facts, t, args, rng)) two.push_back(*std::move(o));
        if (two.size() == 2) break;
      }
      if (two.size() < 2) return std::nullopt;
      c.phrase = "the " + d.noun + " of " + ref->phrase + " " + be(d.noun) + " " +
                 (rng.chance(1, 2) ? "greater than " : "above ") + std::to_string(bound) +
                 (d.domain.type == Type::cents ? " cents" : "");
      g.operations.push_back(two[c.holds ? 0 : 1]);
      g.other.push_back(two[c.holds ? 1 : 0]);
      g.requests.push_back("if " + c.phrase + ", " + two[0].phrase + "; otherwise " +
                           two[1].phrase);
      g.condition = c;
      g.needs.push_back({Need::Kind::derived, d.over, {}, {}, row.key, id, 0, nullptr, 0});
      g.mentions.push_back(*std::move(ref));
      g.expression = "if(" + d.symbol + ">n," + w.transitions[at(two[0].transition)].symbol + "," +
                     w.transitions[at(two[1].transition)].symbol + ")";
      return g;
    }
  }
  return std::nullopt;
}

}  // namespace seedbed::envgen
