#include "envgen/general/world.h"

#include <algorithm>

#include "base/check.h"

namespace seedbed::envgen {

int Concept::attr(std::string_view attr_name) const {
  for (std::size_t i = 0; i < attrs.size(); ++i)
    if (attrs[i].name == attr_name) return static_cast<int>(i);
  return -1;
}

int World::concept_named(std::string_view symbol) const {
  for (std::size_t i = 0; i < concepts.size(); ++i)
    if (concepts[i].symbol == symbol) return static_cast<int>(i);
  return -1;
}

Scope scope_of(const World& world,
               const Facts& facts,
               const std::vector<std::int64_t>& params,
               std::vector<std::int64_t>& variables,
               int ablated) {
  return {&facts, world.now, &params, &variables, ablated, &world.attribute_edges};
}

namespace {

// One activation of a transition or reaction: parameters, then lets.
struct Activation {
  const World& world;
  Facts& facts;
  std::vector<std::int64_t> slots;
  std::vector<std::int64_t> variables;
  int ablated;

  [[nodiscard]] std::int64_t value(const Term& t) {
    return eval(t, scope_of(world, facts, slots, variables, ablated));
  }
  void bind_lets(const Transition& t) {
    for (const auto& [name, term] : t.lets) slots.push_back(value(*term));
  }
  void run(const Effect& e);
  void run_all(const std::vector<Effect>& effects) {
    for (const auto& e : effects) run(e);
  }
};

void Activation::run(const Effect& e) {
  auto& table = facts.tables[static_cast<std::size_t>(e.concept_id)];
  switch (e.kind) {
    case Effect::Kind::set:
    case Effect::Kind::add: {
      const std::int64_t v = value(*e.value);
      Row* row = table.find(value(*e.target));
      if (row == nullptr) return;
      auto& cell = row->values[static_cast<std::size_t>(e.attribute)];
      cell = e.kind == Effect::Kind::set ? v : (cell == kNone || v == kNone ? kNone : cell + v);
      return;
    }
    case Effect::Kind::make: {
      Row row;
      row.values.assign(world.concepts[static_cast<std::size_t>(e.concept_id)].attrs.size(), kNone);
      for (const auto& [attribute, term] : e.row)
        row.values[static_cast<std::size_t>(attribute)] = value(*term);
      row.key = table.next++;
      table.rows.push_back(std::move(row));
      return;
    }
    case Effect::Kind::remove: {
      const std::int64_t key = value(*e.target);
      std::erase_if(table.rows, [&](const Row& r) { return r.key == key; });
      return;
    }
    case Effect::Kind::each: {
      std::vector<std::int64_t> keys;
      const auto slot = static_cast<std::size_t>(e.variable);
      if (variables.size() <= slot) variables.resize(slot + 1, kNone);
      for (const auto& row : table.rows) {
        variables[slot] = row.key;
        if (value(*e.condition) == 1) keys.push_back(row.key);
      }
      for (const auto key : keys) {
        variables[slot] = key;
        run_all(e.body);
      }
      variables[slot] = kNone;
      return;
    }
  }
}

}  // namespace

namespace {

// Parameters, then lets; stops at the first guard that fails.
Applied stopped_by(const World& world,
                   const Transition& t,
                   const Facts& facts,
                   int ablated,
                   std::vector<std::int64_t>& slots) {
  for (std::size_t i = 0; i < t.params.size(); ++i) {
    const Domain& d = t.params[i].domain;
    if (d.type == Type::ref &&
        facts.tables[static_cast<std::size_t>(d.target)].find(slots[i]) == nullptr)
      return {false, -2, "not_found"};
  }
  std::vector<std::int64_t> variables;
  for (const auto& [name, term] : t.lets)
    slots.push_back(eval(*term, scope_of(world, facts, slots, variables, ablated)));
  for (std::size_t g = 0; g < t.guards.size(); ++g) {
    if (t.guards[g].edge >= 0 && t.guards[g].edge == ablated) continue;
    if (eval(*t.guards[g].term, scope_of(world, facts, slots, variables, ablated)) != 1)
      return {false, static_cast<int>(g), t.guards[g].code};
  }
  return {true, -1, ""};
}

}  // namespace

Applied may_apply(const World& world,
                  int transition,
                  const std::vector<std::int64_t>& args,
                  const Facts& facts,
                  int ablated) {
  std::vector<std::int64_t> slots = args;
  return stopped_by(world, world.transitions[static_cast<std::size_t>(transition)], facts, ablated,
                    slots);
}

Applied apply(const World& world,
              int transition,
              const std::vector<std::int64_t>& args,
              Facts& facts,
              int ablated) {
  const Transition& t = world.transitions[static_cast<std::size_t>(transition)];
  SEEDBED_CHECK(args.size() == t.params.size(), args.size(), t.params.size());
  Activation a{world, facts, args, {}, ablated};
  if (Applied stopped = stopped_by(world, t, facts, ablated, a.slots); !stopped.ok) return stopped;
  std::vector<std::vector<std::int64_t>> reaction_args;
  for (const auto& r : t.reactions) {
    reaction_args.emplace_back();
    for (const auto& arg : r.args) reaction_args.back().push_back(a.value(*arg));
  }
  a.run_all(t.effects);
  for (std::size_t i = 0; i < t.reactions.size(); ++i) {
    if (t.reactions[i].edge == ablated) continue;
    const Transition& r = world.reactions[static_cast<std::size_t>(t.reactions[i].transition)];
    Activation b{world, facts, reaction_args[i], {}, ablated};
    b.bind_lets(r);
    bool fires = true;
    for (std::size_t p = 0; p < r.params.size(); ++p) fires = fires && b.slots[p] != kNone;
    for (const auto& g : r.guards) fires = fires && b.value(*g.term) == 1;
    if (fires) b.run_all(r.effects);
  }
  return {true, -1, ""};
}

std::string broken_invariant(const World& world, const Facts& facts) {
  for (std::size_t i = 0; i < world.invariants.size(); ++i)
    if (eval_closed(*world.invariants[i], facts, world.now) != 1)
      return i < world.invariant_names.size() ? world.invariant_names[i] : "?";
  return "";
}

bool invariants_hold(const World& world, const Facts& facts) {
  return std::all_of(world.invariants.begin(), world.invariants.end(),
                     [&](const TermPtr& t) { return eval_closed(*t, facts, world.now) == 1; });
}

}  // namespace seedbed::envgen
