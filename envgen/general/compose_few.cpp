// Worlds of few tools: fewer mechanisms, fewer rows, and only some of the transitions.
#include <algorithm>
#include <numeric>

#include "base/text.h"
#include "envgen/general/effects.h"

namespace seedbed::envgen {
namespace {

constexpr std::size_t kLeastOperations = 4, kOperationsOfEach = 2;  // in all, of a mechanism
constexpr int kFewRows = 4, kMostRows = 10;

std::size_t at(int i) {
  return static_cast<std::size_t>(i);
}

Error no_room(const std::string& found) {
  return {Where::pack, "composition: " + found};
}

std::size_t least_operations(const World& world) {
  return std::max(kLeastOperations, kOperationsOfEach * world.mechanisms.size());
}

struct Leaving {
  World& world;
  Rng rng;
  std::size_t room;
  std::vector<bool> kept;
  std::size_t count = 0;

  void keep(int t) {
    if (t < 0 || kept[at(t)]) return;
    kept[at(t)] = true;
    ++count;
  }
  [[nodiscard]] int named(int mechanism, std::string_view name) const {
    const std::string symbol = world.mechanisms[at(mechanism)] + "." + std::string(name);
    for (std::size_t t = 0; t < world.transitions.size(); ++t)
      if (world.transitions[t].symbol == symbol) return static_cast<int>(t);
    return -1;
  }
  // The transition that an interaction hangs on; -1 where it hangs on none.
  [[nodiscard]] int carrier(int edge) const {
    for (std::size_t t = 0; t < world.transitions.size(); ++t)
      for (const auto& r : world.transitions[t].reactions)
        if (r.edge == edge) return static_cast<int>(t);
    for (const auto& gate : world.pending_gates)
      if (gate.edge == edge) return gate.transitions[0];
    return -1;
  }
  // What takes it back, or what a duty wants done after it; -1 where there is neither.
  [[nodiscard]] int partner(int t) const {
    const Transition& x = world.transitions[at(t)];
    const PackTransition& pack = pack_transition(world, x);
    if (!pack.undo.empty()) return named(x.mechanism, pack.undo);
    for (const auto& duty : world.packs[at(x.mechanism)]->duties)
      if (duty.on == pack.name)
        return named(x.mechanism, trim(duty.then.substr(0, duty.then.find('('))));
    return -1;
  }
  void connect();
  void fill();
  void erase();
};

// One transition for each interaction that is needed to connect the mechanisms.
void Leaving::connect() {
  std::vector<std::size_t> component(world.mechanisms.size());
  std::iota(component.begin(), component.end(), std::size_t{0});
  std::vector<int> edges;
  const auto join = [&](const Edge& e) {
    const std::size_t from = component[at(e.from)], to = component[at(e.to)];
    for (auto& x : component)
      if (x == from) x = to;
    return from != to;
  };
  for (std::size_t e = 0; e < world.edges.size(); ++e) {
    if (world.edges[e].kind == EdgeKind::quantity) join(world.edges[e]);
    if (world.edges[e].kind == EdgeKind::event || world.edges[e].kind == EdgeKind::guard)
      edges.push_back(static_cast<int>(e));
  }
  rng.shuffle(edges);
  for (const int e : edges)
    if (join(world.edges[at(e)])) keep(carrier(e));
}

// Some of each mechanism; then, up to the room, whatever comes, half of it with its partner.
void Leaving::fill() {
  std::vector<int> order(world.transitions.size());
  std::iota(order.begin(), order.end(), 0);
  rng.shuffle(order);
  for (int m = 0; m < static_cast<int>(world.mechanisms.size()); ++m) {
    std::size_t own = 0;
    for (const int t : order)
      own += world.transitions[at(t)].mechanism == m && kept[at(t)] ? 1U : 0U;
    for (const int t : order) {
      if (own >= kOperationsOfEach) break;
      if (world.transitions[at(t)].mechanism != m || kept[at(t)]) continue;
      keep(t);
      ++own;
    }
  }
  for (const int t : order) {
    if (count < room) keep(t);
    if (kept[at(t)] && count < room && rng.chance(1, 2)) keep(partner(t));
  }
}

void Leaving::erase() {
  std::vector<int> now(world.transitions.size(), -1);
  std::vector<Transition> left;
  for (std::size_t t = 0; t < world.transitions.size(); ++t) {
    if (kept[t]) {
      now[t] = static_cast<int>(left.size());
      left.push_back(std::move(world.transitions[t]));
      continue;
    }
    world.left_out.insert(world.transitions[t].symbol);
    for (const auto& r : world.transitions[t].reactions) world.edges[at(r.edge)].dead = true;
  }
  world.transitions = std::move(left);
  std::vector<PendingGate> gates;
  for (auto& gate : world.pending_gates) {
    std::vector<int> transitions;
    for (const int t : gate.transitions)
      if (now[at(t)] >= 0) transitions.push_back(now[at(t)]);
    gate.transitions = std::move(transitions);
    if (gate.transitions.empty())
      world.edges[at(gate.edge)].dead = true;
    else
      gates.push_back(std::move(gate));
  }
  world.pending_gates = std::move(gates);
}

}  // namespace

void fit_mechanisms(ComposeKnobs& knobs) {
  knobs.max_mechanisms = std::clamp(static_cast<int>(knobs.most_tools) / 4, 2, 6);
  knobs.min_mechanisms =
      std::clamp(static_cast<int>(knobs.least_tools) / 8, 2, knobs.max_mechanisms);
}

Step wish_tools(World& world, const ComposeKnobs& knobs, Rng rng) {
  const std::size_t needed = world.concepts.size() + least_operations(world);
  if (needed > knobs.most_tools) return no_room("more concepts than tools can read");
  world.tools.least = knobs.least_tools;
  world.tools.wish = static_cast<std::size_t>(
      rng.between(static_cast<std::int64_t>(std::max(knobs.least_tools, needed)),
                  static_cast<std::int64_t>(knobs.most_tools)));
  world.tools.compact = knobs.most_tools <= kCompactTools;
  if (!world.tools.compact) return std::nullopt;
  for (auto& c : world.concepts) {  // half of the rows
    c.count_lo = std::clamp((c.count_lo + 1) / 2, std::min(kFewRows, c.count_lo), kMostRows);
    c.count_hi = std::clamp((c.count_hi + 1) / 2, c.count_lo, kMostRows);
  }
  return std::nullopt;
}

Step leave_out(World& world, Rng rng) {
  const std::size_t most = world.tools.wish - world.concepts.size(),
                    least = least_operations(world);
  const auto room = static_cast<std::size_t>(
      rng.between(static_cast<std::int64_t>(std::max(least, (2 * most + 2) / 3)),
                  static_cast<std::int64_t>(most)));
  if (room >= world.transitions.size()) return std::nullopt;
  Leaving leaving{world, rng.fork("which"), room, std::vector<bool>(world.transitions.size()), 0};
  leaving.connect();
  leaving.fill();
  if (leaving.count > room) return no_room("more operations than there is room for");
  leaving.erase();
  return connected(world) ? std::nullopt : Step(no_room("what is left is not connected"));
}

}  // namespace seedbed::envgen
