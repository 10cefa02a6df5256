// Reasons in which every choice is made of small ones that can be seen: for small models. The first
// says the plan by the request's own words (teacher_plan.h); later ones say what comes next and go
// through the records of a list, each with what counts of it and whether it fits, before one is
// taken; each ends with the arguments of the call, each after its value.
#pragma once
#include <string>

#include "agent/teacher_reason.h"

namespace seedbed::agent {

inline constexpr std::size_t kMostPlainWords = 160;

// planned: the plan was said, though no step was made since. today: YYYY-MM-DD. For calls and
// submissions; all else is worded by reason().
std::string plain_reason(const Facts& facts,
                         const Outlook& outlook,
                         bool planned,
                         const std::string& today);

}  // namespace seedbed::agent
