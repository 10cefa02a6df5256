// Goals that must be refused, and goals that lack a value which only the user knows.
#include "envgen/general/goal_drawer.h"
#include "envgen/text/text.h"

namespace seedbed::envgen {
namespace {

std::size_t at(int i) {
  return static_cast<std::size_t>(i);
}

}  // namespace

std::optional<Goal> Drawer::refuse() {
  struct Way {
    int transition, rule, gate;
  };
  std::vector<Way> ways;
  for (int r = 0; r < static_cast<int>(w.rules.size()); ++r)
    ways.push_back({w.rules[at(r)].transition, r, -1});
  for (const auto& g : w.gates)
    for (const int t : g.transitions) ways.push_back({t, -1, g.edge});
  rng.shuffle(ways);
  if (rng.chance(2, 3))
    std::stable_sort(ways.begin(), ways.end(),
                     [](const Way& a, const Way& b) { return (a.gate >= 0) > (b.gate >= 0); });
  for (const auto& way : ways) {
    if (!offered(way.transition)) continue;
    const Transition& t = w.transitions[at(way.transition)];
    for (int attempt = 0; attempt < 80; ++attempt) {
      const auto args = sample_args(w, t, l.facts, rng);
      if (args.size() != t.params.size()) break;
      std::vector<std::int64_t> slots = args, variables;
      for (const auto& [name, term] : t.lets)
        slots.push_back(eval(*term, scope_of(w, l.facts, slots, variables)));
      // Exactly this one reason stands against it.
      bool fits = true;
      for (const auto& g : t.guards) {
        const bool mine =
            (way.gate >= 0 && g.edge == way.gate) || (way.rule >= 0 && g.rule == way.rule);
        fits = fits && (eval(*g.term, scope_of(w, l.facts, slots, variables)) == 1) != mine;
      }
      for (int r = 0; r < static_cast<int>(w.rules.size()); ++r)
        if (w.rules[at(r)].transition == way.transition)
          fits = fits && (eval(*w.rules[at(r)].never_if, scope_of(w, l.facts, slots, variables)) ==
                          1) == (r == way.rule);
      if (!fits) continue;
      Refusal refusal;
      refusal.rule = way.rule;
      refusal.gate = way.gate;
      Goal g;
      g.kind = "refuse";
      if (way.rule >= 0) {
        refusal.code = w.rules[at(way.rule)].code;
        for (const auto& e : w.rules[at(way.rule)].evidence) {
          const std::int64_t key = eval(*e, scope_of(w, l.facts, slots, variables));
          if (key != kNone) refusal.evidence.emplace_back(e->domain.target, key);
        }
        g.expression = "refuse(" + w.rules[at(way.rule)].symbol + ")";
      } else {
        for (const auto& gate : w.gates)
          if (gate.edge == way.gate) refusal.code = gate.code;
        refusal.evidence.emplace_back(t.subject->domain.target,
                                      eval(*t.subject, scope_of(w, l.facts, slots, variables)));
        g.expression = "refuse(gate " + w.edges[at(way.gate)].text + ")";
      }
      auto o = bind_operation(l, l.facts, way.transition, args, rng);
      if (!o || refusal.evidence.empty()) continue;
      g.requests.push_back(o->phrase);
      g.operations.push_back(*std::move(o));
      g.refusal = refusal;
      return g;
    }
  }
  return std::nullopt;
}

std::optional<Goal> Drawer::ask() {
  for (const int t : transitions()) {
    const Transition& x = w.transitions[at(t)];
    std::vector<int> hideable;
    for (int i = 0; i < static_cast<int>(x.params.size()); ++i) {
      const Domain& d = x.params[at(i)].domain;
      if (d.type != Type::ref || (x.params.size() > 1 && w.concepts[at(d.target)].named()))
        hideable.push_back(i);
    }
    if (hideable.empty()) continue;
    const auto args = legal_args(w, l.facts, t, rng, 60);
    if (args.size() != x.params.size()) continue;
    auto o = bind_operation(l, l.facts, t, args, rng);
    if (!o) continue;
    const int hidden = rng.pick(hideable);
    const Domain& d = x.params[at(hidden)].domain;
    Goal g;
    g.kind = "ask";
    g.hidden_param = hidden;
    g.hidden_value =
        d.type == Type::ref ? say.name(d.target, args[at(hidden)]) : say.value(d, args[at(hidden)]);
    const std::string what = d.type == Type::ref     ? say.noun(d.target)
                             : d.type == Type::cents ? "amount"
                             : d.type == Type::word  ? "kind"
                             : d.type == Type::date  ? "date"
                                                     : "number";
    // The request again, with the hidden value left open.
    std::string phrase = rng.pick(l.skin.says[at(t)]);
    static const char* const kAgreed[] = {"(you know which kind)", "(whatever we agreed on)",
                                          "(ask me which kind)"};
    const std::string kind = kAgreed[rng.below(3)];
    for (std::size_t i = 0; i < x.params.size(); ++i) {
      const bool open = static_cast<int>(i) == hidden;
      const std::string vague = d.type == Type::ref    ? "the right " + what
                                : d.type == Type::word ? kind
                                                       : "the usual " + what;
      const std::string words = open ? vague
                                : x.params[i].domain.type == Type::ref
                                    ? o->refs[i].phrase
                                    : say.value(x.params[i].domain, args[i]);
      phrase = replace_all(phrase, "{" + x.params[i].name + "}", words);
    }
    // A phrase that mentions another hidden-named fact by the hidden name would give it away.
    if (phrase.find(g.hidden_value) != std::string::npos) continue;
    g.hidden_keyword = what;
    g.hidden_text = secret_text(d.type == Type::ref, g.hidden_value, rng);
    g.requests.push_back(phrase);
    g.operations.push_back(*std::move(o));
    g.expression = "ask(" + x.symbol + "." + x.params[at(hidden)].name + ")";
    return g;
  }
  return std::nullopt;
}

}  // namespace seedbed::envgen
