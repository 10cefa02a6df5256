// The kinds of goals, by name.
#include "envgen/general/goal_drawer.h"

namespace seedbed::envgen {

std::optional<Goal> draw_choice(const Lowered& l, Rng rng);  // goal_choose.cpp

namespace {

constexpr std::uint64_t kDraws = 4;  // for a goal that hangs on an interaction

// A goal that acts, to be one of two.
std::optional<Goal> acting(const Lowered& l, const Rng& rng) {
  Drawer d{l, *l.world, Speaker{l}, rng.fork("part")};
  if (d.rng.chance(1, 2))
    if (auto g = d.scheme(Drawer::Form::act)) return g;
  return d.achieve();
}

std::optional<Goal> two(const Lowered& l, const Rng& rng, bool by_turns) {
  auto first = acting(l, rng.fork("first"));
  if (!first) return std::nullopt;
  Rng choice = rng.fork("second form");
  Drawer d{l, *l.world, Speaker{l}, rng.fork("second")};
  auto second = choice.chance(1, 3) ? d.scheme(Drawer::Form::tell) : acting(l, rng.fork("other"));
  if (!second || second->expression == first->expression) return std::nullopt;
  return d.combine(*std::move(first), *std::move(second), by_turns);
}

std::optional<Goal> draw_once(const Lowered& l, const std::string& kind, const Rng& rng) {
  Drawer d{l, *l.world, Speaker{l}, rng};
  const bool packs = d.rng.chance(3, 5);  // in the packs' words, where they have some
  const auto scheme = [&](Drawer::Form form, bool hide = false) {
    return packs ? d.scheme(form, hide) : std::nullopt;
  };
  std::optional<Goal> g;
  if (kind == "lookup") return d.lookup();
  if (kind == "aggregate") return (g = scheme(Drawer::Form::tell)) ? g : d.aggregate();
  if (kind == "achieve") return (g = scheme(Drawer::Form::act)) ? g : d.achieve();
  if (kind == "multi") return packs ? d.multi() : two(l, rng, false);
  if (kind == "each") return (g = scheme(Drawer::Form::each)) ? g : d.each();
  if (kind == "if") return (g = scheme(Drawer::Form::branch)) ? g : d.conditional();
  if (kind == "choose") return draw_choice(l, rng);
  if (kind == "refuse") return d.refuse();
  if (kind == "ask") return (g = scheme(Drawer::Form::act, true)) ? g : d.ask();
  if (kind == "exception") return d.exception();
  if (kind == "duty") return d.duty();
  if (kind == "restore") return d.restore();
  if (kind == "fallback") return d.fallback();
  if (kind == "saga") return d.saga();
  if (kind == "talk") return two(l, rng, true);
  return std::nullopt;
}

}  // namespace

std::optional<Goal> draw_scheme(const Lowered& l, int scheme, Rng rng) {
  Drawer d{l, *l.world, Speaker{l}, std::move(rng)};
  auto goal = d.bind_scheme(scheme, false);
  if (goal && !add_duties(l, *goal)) return std::nullopt;
  return goal;
}

// The first of a few draws that hangs on an interaction of mechanisms, else the last.
std::optional<Goal> draw_goal(const Lowered& l, const std::string& kind, Rng rng) {
  std::optional<Goal> out;
  for (std::uint64_t i = 0; i < kDraws; ++i) {
    auto g = draw_once(l, kind, rng.fork("draw", i));
    if (!g || !add_duties(l, *g)) continue;
    g->interactions = interactions_of(l, *g, g->mechanisms);
    const bool crossing = g->interactions > 0 && g->mechanisms > 1;
    out = std::move(g);
    if (crossing) break;
  }
  return out;
}

}  // namespace seedbed::envgen
