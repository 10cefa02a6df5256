// Mechanisms glued into a World: roles unified, interaction edges drawn, every term parsed and
// typed.
#include <algorithm>
#include <numeric>
#include <set>

#include "base/text.h"
#include "envgen/general/effects.h"
#include "envgen/general/world.h"

namespace seedbed::envgen {
namespace {

constexpr int kMaxPerArchetype = 2;

struct Composer {
  const Packs& packs;
  Rng rng;
  const ComposeKnobs& knobs;
  std::shared_ptr<World> world;
  std::set<std::pair<int, std::string>> dropped;  // (concept, optional attribute left out)

  Step choose_mechanisms();
  Step bind_roles();
  Step add_attributes();
  Step add_transitions();
  Step add_reactions();
  Step add_edges();
  Step add_derived_and_invariants();
  Step emit_edges(std::vector<int>& component);
  Type type_over(int m, const std::string& over, const std::string& text) const;
  std::string symbol(int m, const std::string& name) const {
    return world->mechanisms[static_cast<std::size_t>(m)] + "." + name;
  }
  bool has_dropped(int m) const {
    return std::any_of(dropped.begin(), dropped.end(), [&](const auto& d) {
      return world->concepts[static_cast<std::size_t>(d.first)].mechanism == m;
    });
  }
};

Error compose_error(const std::string& found) {
  return {Where::pack, "composition: " + found};
}

Step Composer::choose_mechanisms() {
  std::vector<const Mechanism*> pool;
  for (const auto& m : packs.mechanisms) {
    if (!knobs.only.empty()) {
      if (std::find(knobs.only.begin(), knobs.only.end(), m.name) != knobs.only.end())
        pool.push_back(&m);
    } else if (knobs.heldout || !m.heldout) {
      pool.push_back(&m);
    }
  }
  std::size_t wanted = pool.size();
  if (knobs.only.empty()) {
    rng.shuffle(pool);
    const std::int64_t drawn =
        rng.between(2 * knobs.min_mechanisms + 1, 2 * knobs.max_mechanisms) / 2;
    wanted = std::min(pool.size(), static_cast<std::size_t>(drawn));
    if (knobs.heldout) {  // a held-out one first
      auto it =
          std::find_if(pool.begin(), pool.end(), [](const Mechanism* m) { return m->heldout; });
      if (it == pool.end()) return compose_error("no held-out mechanism in the packs");
      std::iter_swap(pool.begin(), it);
    }
  }
  if (wanted == 0) return compose_error("no mechanisms");
  pool.resize(wanted);
  std::sort(pool.begin(), pool.end(),
            [](const Mechanism* a, const Mechanism* b) { return a->name < b->name; });
  for (const Mechanism* m : pool) {
    world->mechanisms.push_back(m->name);
    world->packs.push_back(m);
    world->heldout = world->heldout || m->heldout;
  }
  world->now = 9500 + rng.between(0, 2999);  // 2026 to 2034
  return std::nullopt;
}

// Role concepts first, then each mechanism's own.
Step Composer::bind_roles() {
  std::vector<std::vector<int>> of_archetype(kArchetypes.size());
  world->roles.resize(world->packs.size());
  for (std::size_t m = 0; m < world->packs.size(); ++m) {
    std::set<int> taken;  // two roles of one mechanism stay apart
    for (const auto& [role, archetype] : world->packs[m]->roles) {
      std::size_t a = 0;
      while (archetype != kArchetypes[a]) ++a;
      std::vector<int> free;
      for (const int c : of_archetype[a])
        if (taken.count(c) == 0) free.push_back(c);
      int concept_id = -1;
      const bool may_add = of_archetype[a].size() < kMaxPerArchetype;
      if (!free.empty() && (!may_add || rng.chance(5, 6) || knobs.most_tools > 0)) {
        concept_id = rng.pick(free);
        const std::string first = world->concepts[static_cast<std::size_t>(concept_id)].symbol;
        world->edges.push_back(
            {EdgeKind::unify, world->concepts[static_cast<std::size_t>(concept_id)].mechanism,
             static_cast<int>(m), "unify " + first + " = " + symbol(static_cast<int>(m), role),
             false});
      } else if (may_add) {
        Concept c;
        c.archetype = archetype;
        c.archetype_number = static_cast<int>(of_archetype[a].size());
        c.symbol = lower_ascii(archetype) + std::to_string(c.archetype_number + 1);
        c.mechanism = static_cast<int>(m);  // the first that brought it
        c.attrs.push_back(
            {"name", "name", {Type::text, -1, -1, 0, 0, false}, "name", "", -1, -1, false});
        if (archetype == "Slot")
          c.attrs.push_back(
              {"day", "day", {Type::date, -1, -1, -10, 30, false}, "day", "", -1, -1, false});
        concept_id = static_cast<int>(world->concepts.size());
        world->concepts.push_back(c);
        of_archetype[a].push_back(concept_id);
      } else {
        return compose_error("more roles of one archetype than can be kept apart");
      }
      taken.insert(concept_id);
      world->roles[m].emplace_back(role, concept_id);
    }
  }
  for (std::size_t m = 0; m < world->packs.size(); ++m)
    for (const auto& pc : world->packs[m]->concepts) {
      Concept c;
      c.symbol = symbol(static_cast<int>(m), pc.name);
      c.mechanism = static_cast<int>(m);
      c.words = pc.words;
      c.id_prefix = pc.id_prefix;
      c.count_lo = pc.count_lo;
      c.count_hi = pc.count_hi;
      world->concepts.push_back(c);
    }
  return knobs.most_tools > 0 ? wish_tools(*world, knobs, rng.fork("tools")) : std::nullopt;
}

Step Composer::add_attributes() {
  // `owner`: the role or concept that has the attribute, as its mechanism calls it.
  const auto add = [&](int m, int concept_id, const PackAttr& a, bool own,
                       const std::string& owner) -> Step {
    Concept& c = world->concepts[static_cast<std::size_t>(concept_id)];
    if (a.optional && knobs.only.empty() && rng.chance(world->tools.compact ? 5 : 3, 10)) {
      dropped.insert({concept_id, a.name});
      return std::nullopt;
    }
    Attr attr;
    attr.short_name = a.name;
    attr.name = c.attr(a.name) >= 0 ? world->mechanisms[static_cast<std::size_t>(m)] + "_" + a.name
                                    : a.name;
    attr.noun = a.noun;
    attr.with = a.with;
    attr.mechanism = m;
    SEEDBED_TRY(attr.domain,
                parse_domain(*world, m, a.type, symbol(m, owner + "." + a.name),
                             "mechanism " + world->mechanisms[static_cast<std::size_t>(m)]));
    attr.domain.nullable = a.nullable;
    attr.optional = a.optional;
    if (attr.domain.type == Type::ref)
      for (std::size_t e = 0; e < world->edges.size(); ++e)
        if (world->edges[e].to == m &&
            world->edges[e].text.find(
                "unify " + world->concepts[static_cast<std::size_t>(attr.domain.target)].symbol +
                " =") == 0)
          attr.edge = static_cast<int>(e);
    c.attrs.push_back(attr);
    if (own) {
      for (const auto& pc : world->packs[static_cast<std::size_t>(m)]->concepts)
        for (const auto& [name, weights] : pc.weights)
          if (symbol(m, pc.name) == c.symbol && name == a.name && attr.domain.words >= 0) {
            auto& set = world->words[static_cast<std::size_t>(attr.domain.words)];
            for (std::size_t w = 0; w < set.words.size(); ++w) {
              set.weights[w] = 0;
              for (const auto& [word, weight] : weights)
                if (word == set.words[w]) set.weights[w] = weight;
            }
          }
    }
    return std::nullopt;
  };
  for (std::size_t m = 0; m < world->packs.size(); ++m) {
    for (const auto& [role, attrs] : world->packs[m]->adds) {
      int concept_id = -1;
      for (const auto& [r, c] : world->roles[m])
        if (r == role) concept_id = c;
      if (concept_id < 0)
        return make_error(Where::pack, "mechanism", world->mechanisms[m],
                          "adds to unknown role '" + role + "'", "name one of its roles");
      for (const auto& a : attrs)
        if (auto e = add(static_cast<int>(m), concept_id, a, false, role)) return e;
    }
    for (const auto& pc : world->packs[m]->concepts)
      for (const auto& a : pc.attrs)
        if (auto e =
                add(static_cast<int>(m), world->concept_named(symbol(static_cast<int>(m), pc.name)),
                    a, true, pc.name))
          return e;
  }
  for (const auto& c : world->concepts) {
    if (c.attrs.size() > kMaxAttributes)
      return compose_error("more than " + std::to_string(kMaxAttributes) + " attributes of " +
                           c.symbol);
    world->attribute_edges.emplace_back();
    for (const auto& a : c.attrs) world->attribute_edges.back().push_back(a.edge);
  }
  return std::nullopt;
}

Step Composer::add_transitions() {
  for (std::size_t m = 0; m < world->packs.size(); ++m)
    for (const auto& pt : world->packs[m]->transitions) {
      Result<Transition> t = build_transition(*world, static_cast<int>(m), pt);
      if (!t.ok()) return t.error();
      world->transitions.push_back(*std::move(t));
    }
  return std::nullopt;
}

Step Composer::add_reactions() {
  for (std::size_t m = 0; m < world->packs.size(); ++m)
    for (const auto& pr : world->packs[m]->reactions) {
      Result<Transition> t = build_transition(*world, static_cast<int>(m), pr);
      if (!t.ok()) return t.error();
      world->reactions.push_back(*std::move(t));
    }
  return std::nullopt;
}

Step Composer::add_derived_and_invariants() {
  for (std::size_t m = 0; m < world->packs.size(); ++m) {
    for (const auto& pd : world->packs[m]->derived) {
      Names names = names_for(*world, static_cast<int>(m));
      Derived d;
      d.symbol = symbol(static_cast<int>(m), pd.name);
      d.noun = pd.noun.empty() ? replace_all(pd.name, "_", " ") : pd.noun;
      d.mechanism = static_cast<int>(m);
      d.over = names.concept_named(pd.over);
      if (d.over < 0)
        return make_error(Where::pack, "derived", d.symbol, "over unknown '" + pd.over + "'",
                          "name a role or concept");
      auto x = std::make_shared<Term>();
      x->op = Op::variable;
      x->index = 0;
      x->domain = {Type::ref, d.over, -1, 0, 0, false};
      names.next_variable = 1;
      auto term = names.derived(pd.name, x, 1);
      if (!term.ok()) return term.error();
      d.term = *term;
      d.domain = d.term->domain;
      world->derived.push_back(d);
    }
    for (const auto& [name, text] : world->packs[m]->invariants) {
      Names names = names_for(*world, static_cast<int>(m));
      const auto bar = text.find('|');
      if (text.rfind("all ", 0) != 0 || bar == std::string::npos)
        return make_error(Where::pack, "invariant", symbol(static_cast<int>(m), name),
                          "found '" + text + "', wanted 'all x: concept | condition'", "");
      auto term = parse_term(
          "count(" + text.substr(4, bar - 4) + "| not (" + text.substr(bar + 1) + ")) = 0", names,
          "invariant " + name);
      if (!term.ok()) return term.error();
      world->invariants.push_back(*term);
      world->invariant_names.push_back(symbol(static_cast<int>(m), name));
    }
  }
  return std::nullopt;
}

// The type of a term over one fact x; boolean where it does not parse. Counts are not taken from
// amounts.
Type Composer::type_over(int m, const std::string& over, const std::string& text) const {
  Names names = names_for(*world, m);
  auto x = std::make_shared<Term>();
  x->op = Op::variable;
  x->index = 0;
  x->domain = {Type::ref, names.concept_named(over), -1, 0, 0, false};
  names.values["x"] = x;
  names.next_variable = 1;
  const auto term = parse_term(text, names, "shared quantity");
  return term.ok() ? (*term)->domain.type : Type::boolean;
}

// (event -> reaction), gates and loads between different mechanisms, in a shuffled order: those
// that connect two components are taken, of the others about a third.
Step Composer::emit_edges(std::vector<int>& component) {
  struct Candidate {
    int kind = 0, from = -1, to = -1;
    std::size_t a = 0, b = 0;
  };
  std::vector<Candidate> all;
  const auto mech = [](int m) { return static_cast<std::size_t>(m); };
  std::size_t reaction_base = 0;
  for (std::size_t m = 0; m < world->packs.size(); ++m) {
    for (std::size_t r = 0; r < world->packs[m]->reactions.size(); ++r)
      for (std::size_t t = 0; t < world->transitions.size(); ++t)
        if (world->transitions[t].mechanism != static_cast<int>(m) &&
            !pack_transition(*world, world->transitions[t]).event.empty())
          all.push_back(
              {0, world->transitions[t].mechanism, static_cast<int>(m), t, reaction_base + r});
    reaction_base += world->packs[m]->reactions.size();
    for (std::size_t g = 0; g < world->packs[m]->gates.size(); ++g)
      for (std::size_t t = 0; t < world->transitions.size(); ++t)
        if (world->transitions[t].mechanism != static_cast<int>(m) && world->transitions[t].subject)
          all.push_back({1, static_cast<int>(m), world->transitions[t].mechanism, g, t});
    for (std::size_t l = 0; l < world->packs[m]->loads.size(); ++l)
      for (std::size_t n = 0; n < world->packs.size(); ++n)
        for (std::size_t d = 0; d < world->packs[n]->derived.size(); ++d)
          if (n != m && world->packs[n]->derived[d].shared)
            all.push_back({2, static_cast<int>(m), static_cast<int>(n), l, d});
  }
  rng.shuffle(all);
  // Shared quantities are few among so many events: in every second world they come first.
  if (rng.chance(1, 2))
    std::stable_partition(all.begin(), all.end(), [](const Candidate& c) { return c.kind == 2; });
  std::map<std::pair<int, int>, int> per_pair;
  std::map<std::size_t, int> guards_of;
  for (const auto& c : all) {
    const bool joins = component[mech(c.from)] != component[mech(c.to)];
    auto& count = per_pair[{std::min(c.from, c.to), std::max(c.from, c.to)}];
    if (!joins && (count >= (world->tools.compact ? 2 : 3) || !rng.chance(c.kind == 2 ? 4 : 2, 5)))
      continue;
    const int edge = static_cast<int>(world->edges.size());
    std::string text;
    EdgeKind kind = EdgeKind::event;
    if (c.kind == 0) {
      auto args =
          match_event(*world, static_cast<int>(c.a), static_cast<int>(c.b), has_dropped(c.from));
      if (!args.ok()) return args.error();
      if (args->empty()) continue;
      Transition& t = world->transitions[c.a];
      if (std::any_of(t.reactions.begin(), t.reactions.end(),
                      [&](const Reaction& r) { return r.transition == static_cast<int>(c.b); }))
        continue;
      t.reactions.push_back({edge, static_cast<int>(c.b), *args});
      text = "on " + t.symbol + " do " + world->reactions[c.b].symbol;
    } else if (c.kind == 1) {
      const PackGate& gate = world->packs[mech(c.from)]->gates[c.a];
      const int over = names_for(*world, c.from).concept_named(gate.over);
      Transition& t = world->transitions[c.b];
      if (over < 0 || t.subject->domain.target != over || guards_of[c.b] >= 2) continue;
      kind = EdgeKind::guard;
      ++guards_of[c.b];
      world->pending_gates.push_back({c.from, edge, over, &gate, {static_cast<int>(c.b)}});
      text = "guard " + t.symbol + ": " + symbol(c.from, gate.name);
    } else {
      const PackGate& load = world->packs[mech(c.from)]->loads[c.a];
      const PackDerived& d = world->packs[mech(c.to)]->derived[c.b];
      if (names_for(*world, c.from).concept_named(load.over) !=
              names_for(*world, c.to).concept_named(d.over) ||
          names_for(*world, c.from).concept_named(load.over) < 0 ||
          type_over(c.from, load.over, load.term) != type_over(c.to, d.over, d.term))
        continue;
      kind = EdgeKind::quantity;
      world->loads.push_back({c.from, c.to, edge, &load, d.name});
      text = "quantity " + symbol(c.to, d.name) + " - " + symbol(c.from, load.name);
    }
    world->edges.push_back({kind, c.from, c.to, text, false});
    ++count;
    const int from = component[mech(c.from)], to = component[mech(c.to)];
    for (auto& x : component)
      if (x == from) x = to;
  }
  return std::nullopt;
}

Step Composer::add_edges() {
  std::vector<int> component(world->packs.size());
  std::iota(component.begin(), component.end(), 0);
  if (auto e = emit_edges(component)) return e;
  for (const int c : component)
    if (c != component[0] && knobs.only.empty())
      return compose_error("the mechanisms drawn cannot be connected");
  return std::nullopt;
}

}  // namespace

static Result<std::shared_ptr<World>> compose_once(const Packs& packs,
                                                   Rng rng,
                                                   const ComposeKnobs& knobs) {
  Composer c{packs, rng, knobs, std::make_shared<World>(), {}};
  // Loads change what a shared derived term means, so edges are drawn on a first parse and terms
  // are then parsed again.
  if (auto e = c.choose_mechanisms()) return *e;
  if (auto e = c.bind_roles()) return *e;
  if (auto e = c.add_attributes()) return *e;
  if (auto e = c.add_transitions()) return *e;
  if (auto e = c.add_reactions()) return *e;
  if (auto e = c.add_edges()) return *e;
  auto reparse = [&](std::vector<Transition>& list, bool reactions) -> Step {
    std::size_t i = 0;
    for (std::size_t m = 0; m < c.world->packs.size(); ++m)
      for (const auto& p :
           reactions ? c.world->packs[m]->reactions : c.world->packs[m]->transitions) {
        auto t = build_transition(*c.world, static_cast<int>(m), p);
        if (!t.ok()) return t.error();
        t->reactions = list[i].reactions;
        list[i++] = *std::move(t);
      }
    return std::nullopt;
  };
  if (!c.world->loads.empty()) {
    if (auto e = reparse(c.world->transitions, false)) return *e;
    if (auto e = reparse(c.world->reactions, true)) return *e;
  }
  if (auto e = c.add_derived_and_invariants()) return *e;
  if (c.world->tools.wish > 0)
    if (auto e = leave_out(*c.world, rng.fork("leave out"))) return *e;
  for (std::size_t m = 0; m < c.world->packs.size(); ++m)
    for (const auto& pc : c.world->packs[m]->concepts) {
      if (pc.where.empty() || pc.where == "true") continue;
      const int id = c.world->concept_named(c.symbol(static_cast<int>(m), pc.name));
      Names names = names_for(*c.world, static_cast<int>(m));
      auto self = std::make_shared<Term>();
      self->op = Op::variable;
      self->index = 0;
      self->domain = {Type::ref, id, -1, 0, 0, false};
      names.next_variable = 1;
      for (const std::string& name : {pc.name, std::string("x"), pc.name.substr(0, 1)})
        names.values[name] = self;
      auto term = parse_term(pc.where, names, "rows of " + pc.name);
      if (!term.ok()) return term.error();
      c.world->concepts[static_cast<std::size_t>(id)].where = *term;
    }
  if (auto e = add_schemes(*c.world, !knobs.only.empty())) return *e;
  return c.world;
}

Result<std::shared_ptr<World>> compose(const Packs& packs, Rng rng, const ComposeKnobs& knobs) {
  // Most draws connect; one that does not costs little, one of too many concepts still less.
  const std::uint64_t draws = knobs.most_tools > 0 ? 40 : 8;
  for (std::uint64_t i = 0;; ++i) {
    auto world = compose_once(packs, rng.fork("draw", i), knobs);
    if (world.ok() || i + 1 == draws) return world;
  }
}

bool connected(const World& world) {
  std::vector<std::size_t> component(world.mechanisms.size());
  std::iota(component.begin(), component.end(), std::size_t{0});
  for (const auto& e : world.edges) {
    if (e.dead || e.kind == EdgeKind::unify) continue;
    const std::size_t from = component[static_cast<std::size_t>(e.from)],
                      to = component[static_cast<std::size_t>(e.to)];
    for (auto& x : component)
      if (x == from) x = to;
  }
  return std::all_of(component.begin(), component.end(),
                     [&](std::size_t x) { return x == component[0]; });
}

}  // namespace seedbed::envgen
