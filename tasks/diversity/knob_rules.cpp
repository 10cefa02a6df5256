#include "tasks/diversity/knob_rules.h"

#include <algorithm>
#include <array>
#include <set>
#include <string_view>

#include "tasks/solvers/level.h"

namespace seedbed::tasks::diversity {
namespace {

// What a kind means, as bounds of another knob.
struct KindRule {
  std::string_view kind, knob;
  std::int64_t low, high;
  std::string_view why;
};
constexpr std::int64_t kAny = 1'000'000;
constexpr KindRule kKindRules[] = {
    {"lookup", "writes", 0, 0, "a lookup only tells"},
    {"aggregate", "writes", 0, 0, "an aggregate only tells"},
    {"choose", "writes", 0, 0, "a choice is submitted, not carried out"},
    {"refuse", "writes", 0, 0, "a refusal changes nothing"},
    {"achieve", "writes", 1, 2, "it achieves by an operation, which may have one duty"},
    {"each", "writes", 2, kAny, "it is done for each of two rows or more"},
    {"if", "writes", 1, 2, "each branch is an operation, which may have one duty"},
    {"exception", "writes", 1, 2, "what the exception allows is done, and its one duty"},
    {"restore", "writes", 2, kAny, "the obstacle is cleared, then the operation is done"},
    {"fallback", "writes", 1, 2, "the second best is done, and its one duty"},
    {"saga", "writes", 2, kAny, "the first step is done, then the second, or the way back"},
    {"multi", "writes", 1, kAny, "its first part is an operation"},
    {"talk", "writes", 1, kAny, "its first part is an operation"},
    {"ask", "writes", 1, 2, "what is asked for is part of an operation, which may have one duty"},
    {"choose", "interactions", 0, 0, "records are chosen by attributes of their own"},
    {"choose", "plan_mechanisms", 0, 1, "records of one concept are chosen"},
    {"choose", "level", 1, 5, "neither an obligation nor an interaction bears on a choice"},
    {"choose", "plan_calls", 3, 14,
     "one list is read: at most six pages and eight records one by one"},
    {"saga", "plan_mechanisms", 2, kAny, "its two steps are of different mechanisms"},
    {"duty", "writes", 2, 2, "an operation and what the handbook ties to it"},
    {"duty", "duties", 1, kAny, "a duty is what it is about"},
    {"restore", "obstacles", 1, kAny, "something stands in the way"},
    {"fallback", "obstacles", 1, kAny, "the first choice is not possible"},
    {"ask", "turns", 1, kAny, "the user must be asked"},
    {"talk", "turns", 1, kAny, "the second request comes later"},
    {"lookup", "duties", 0, 0, "duties come with operations"},
    {"aggregate", "duties", 0, 0, "duties come with operations"},
    {"choose", "duties", 0, 0, "duties come with operations"},
    {"refuse", "duties", 0, 0, "duties come with operations that are done"},
};
// Only these can have an obstacle or a later turn; the others are one request done straight.
constexpr std::array<std::string_view, 3> kWithObstacles = {"restore", "fallback", "saga"};
constexpr std::array<std::string_view, 2> kWithTurns = {"ask", "talk"};

template <std::size_t N>
bool among(const std::array<std::string_view, N>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

bool disjoint(const KnobValue& v, std::int64_t low, std::int64_t high) {
  return v.high < low || v.low > high;
}

std::string kind_against(const std::string& kind, const KnobDomain& knob, const KnobValue& v) {
  for (const auto& rule : kKindRules)
    if (rule.kind == kind && rule.knob == knob.name && disjoint(v, rule.low, rule.high))
      return std::string(rule.why);
  if (knob.name == "obstacles" && v.low > 0 && !among(kWithObstacles, kind))
    return "nothing stands in the way of this kind";
  if (knob.name == "turns" && v.low > 0 && !among(kWithTurns, kind))
    return "all is said in the prompt";
  return "";
}

// The least points that a task with this value has (docs/levels.md): three calls, one use of a
// result, and a blind search among eight tools for the plan's calls and the submission.
std::int64_t least_points(const KnobDomain& knob, const KnobValue& v) {
  solvers::Hardness h;
  std::int64_t tools_bits = 3;
  h.plan_calls = 3;
  h.hops = 1;
  if (knob.name == "plan_calls") h.plan_calls = v.low;
  if (knob.name == "writes") h.writes = v.low;
  if (knob.name == "interactions") h.interactions = v.low;
  if (knob.name == "kind" && v.name == "refuse") {
    h.refusal = 1;
    h.obligations = 1;
  }
  if (knob.name == "tools" && v.low >= 16) tools_bits = 4;
  h.plan_calls = std::max({h.plan_calls, h.writes});
  h.search_bits = 16 * tools_bits * (h.plan_calls + 1);
  return solvers::points_of(h);
}

std::string level_against(const KnobValue& level, const KnobDomain& knob, const KnobValue& v) {
  const auto floors = solvers::level_floors();
  const auto next = static_cast<std::size_t>(level.high);
  if (next < floors.size() && least_points(knob, v) >= floors[next] && level.high < 5)
    return "it alone is worth more points than the level has";
  return "";
}

// Bounds of one number by another.
std::string numbers_against(const std::string& a,
                            const KnobValue& x,
                            const std::string& b,
                            const KnobValue& y) {
  if (a == "plan_calls" && b == "writes" && x.high < y.low) return "each operation is a call";
  if (a == "plan_mechanisms" && b == "mechanisms" && x.low > y.high)
    return "a plan touches no more mechanisms than the environment has";
  if (a == "writes" && b == "duties" && y.low > 0 && x.high < 2)
    return "a duty follows another operation";
  if (a == "turns" && b == "obstacles" && x.low > 0 && y.low > 0)
    return "no kind has both a later turn and an obstacle";
  if (a == "writes" && b == "turns" && y.low > 0 && x.high < 1)
    return "a user is asked about operations";
  if (a == "writes" && b == "obstacles" && y.low > 0 && x.high < 1)
    return "an obstacle is in the way of an operation";
  return "";
}

}  // namespace

std::string excluded_because(const KnobDomain& knob_a,
                             const KnobValue& a,
                             const KnobDomain& knob_b,
                             const KnobValue& b) {
  if (knob_a.name == "kind")
    if (auto why = kind_against(a.name, knob_b, b); !why.empty()) return why;
  if (knob_b.name == "kind")
    if (auto why = kind_against(b.name, knob_a, a); !why.empty()) return why;
  if (knob_a.name == "level")
    if (auto why = level_against(a, knob_b, b); !why.empty()) return why;
  if (knob_b.name == "level")
    if (auto why = level_against(b, knob_a, a); !why.empty()) return why;
  if (auto why = numbers_against(knob_a.name, a, knob_b.name, b); !why.empty()) return why;
  return numbers_against(knob_b.name, b, knob_a.name, a);
}

}  // namespace seedbed::tasks::diversity
