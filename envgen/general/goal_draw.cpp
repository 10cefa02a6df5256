// The kinds of goals, by name.
#include "envgen/general/goal_drawer.h"

namespace seedbed::envgen {

std::optional<Goal> draw_choice(const Lowered& l, Rng rng);  // goal_choose.cpp

std::optional<Goal> draw_goal(const Lowered& l, const std::string& kind, Rng rng) {
  Drawer d{l, *l.world, Speaker{l}, rng};
  if (kind == "lookup") return d.lookup();
  if (kind == "aggregate") return d.aggregate();
  if (kind == "achieve") return d.achieve();
  if (kind == "multi") return d.multi();
  if (kind == "each") return d.each();
  if (kind == "if") return d.conditional();
  if (kind == "choose") return draw_choice(l, rng);
  if (kind == "refuse") return d.refuse();
  if (kind == "ask") return d.ask();
  return std::nullopt;
}

}  // namespace seedbed::envgen
