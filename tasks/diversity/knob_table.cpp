// The domain of the knobs and the pairs that cannot be.
#include <limits>

#include "tasks/diversity/knob_rules.h"

namespace seedbed::tasks::diversity {
namespace {

constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();

KnobDomain numbers(std::string name, const std::vector<std::int64_t>& begins, bool of_environment) {
  KnobDomain out{std::move(name), {}, of_environment};
  for (std::size_t i = 0; i < begins.size(); ++i) {
    const std::int64_t low = begins[i], high = i + 1 < begins.size() ? begins[i + 1] - 1 : kMost;
    out.values.push_back({high == kMost ? std::to_string(low) + "+"
                          : low == high ? std::to_string(low)
                                        : std::to_string(low) + "-" + std::to_string(high),
                          low, high});
  }
  return out;
}

}  // namespace

std::vector<KnobDomain> knob_table(const std::vector<std::string>& layout_passes,
                                   const std::vector<std::string>& surface_passes) {
  std::vector<KnobDomain> out;
  KnobDomain kinds{"kind", {}, false};
  for (const char* kind :
       {"lookup", "aggregate", "achieve", "multi", "each", "if", "choose", "refuse", "ask",
        "restore", "fallback", "saga", "exception", "duty", "talk"})
    kinds.values.push_back({kind, 0, 0});
  out.push_back(std::move(kinds));
  out.push_back({"level", {}, false});
  for (std::int64_t level = 1; level <= 10; ++level)
    out.back().values.push_back({std::to_string(level), level, level});
  out.push_back(numbers("plan_calls", {1, 5, 7, 10, 15}, false));
  out.back().values.front().name = "3-4";
  out.back().values.front().low = 3;
  out.push_back(numbers("interactions", {0, 1, 2, 3}, false));
  out.push_back(numbers("plan_mechanisms", {0, 2, 3}, false));
  out.push_back(numbers("writes", {0, 1, 2, 3}, false));
  out.push_back(numbers("turns", {0, 1}, false));
  out.push_back(numbers("duties", {0, 1}, false));
  out.push_back(numbers("obstacles", {0, 1}, false));
  out.push_back(numbers("mechanisms", {2, 3, 4, 5}, true));
  out.push_back(numbers("tools", {8, 16, 24, 32}, true));
  for (const auto& pass : layout_passes)
    out.push_back({"layout " + pass, {{"off", 0, 0}, {"on", 1, 1}}, true});
  for (const auto& pass : surface_passes)
    out.push_back({"surface " + pass, {{"off", 0, 0}, {"on", 1, 1}}, true});
  return out;
}

}  // namespace seedbed::tasks::diversity
