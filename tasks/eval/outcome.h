// What went wrong in an episode: one class for each that is not solved, found from what it did, its
// verdict and the gold plan. A function of the records alone. docs/eval.md says it in words.
#pragma once
#include <array>
#include <cstdint>
#include <string_view>

#include "schemas/environment.h"
#include "schemas/task.h"
#include "schemas/trajectory.h"
#include "tasks/judge.h"

namespace seedbed::tasks::eval {

enum class ErrorClass : std::uint8_t {
  wrong_tool,      // a tool of the plan was never called, or one changed what it should not
  wrong_argument,  // the plan's tools, but not with its arguments
  malformed,       // no accepted end, and at least half of what was said could not be read
  rule_broken,     // a rule that tools do not enforce, or an answer where a rule forbids one
  gave_up,         // ended by a message, or refused what could be done
  out_of_budget,   // turns, calls, tokens or time were used up
  wrong_answer     // the plan's calls were made; what was handed in is wrong
};
inline constexpr std::size_t kErrorClasses = 7;
constexpr std::array<std::string_view, kErrorClasses> enum_names(ErrorClass) {
  return {"wrong_tool", "wrong_argument", "malformed",   "rule_broken",
          "gave_up",    "out_of_budget",  "wrong_answer"};
}
constexpr std::string_view name_of(ErrorClass c) {
  return enum_names(c)[static_cast<std::size_t>(c)];
}

// Of an episode that is not solved. `episode` is its evidence: the host calls, what they gave, what
// they wrote.
ErrorClass error_class(const schemas::Environment& env,
                       const schemas::Verifier& verifier,
                       const schemas::Gold& gold,
                       const schemas::Trajectory& trajectory,
                       const Episode& episode);

}  // namespace seedbed::tasks::eval
