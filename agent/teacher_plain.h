// Reasons in which every choice is made of small ones that can be seen: for small models. The first
// says the plan from its end, by the names of the tools and of their arguments; later ones say
// which records fit and why, before the one that is taken; each ends with the call as it will be
// made.
#pragma once
#include <string>
#include <vector>

#include "agent/teacher_reason.h"
#include "schemas/environment.h"

namespace seedbed::agent {

inline constexpr std::size_t kMostPlainWords = 160;

// tools: those offered. today: YYYY-MM-DD. For calls and submissions; all else is worded by
// reason().
std::string plain_reason(const Facts& facts,
                         const Outlook& outlook,
                         const std::vector<schemas::Tool>& tools,
                         const std::string& today);

}  // namespace seedbed::agent
