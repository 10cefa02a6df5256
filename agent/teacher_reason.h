// Short reasons before a call, made from the plan's data flow. They speak of what stands in the
// conversation so far and of nothing else; a keyed draw chooses among the wordings.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "agent/teacher_facts.h"
#include "agent/teacher_mistake.h"
#include "base/rng.h"
#include "schemas/task.h"

namespace seedbed::agent {

inline constexpr std::size_t kMostReasonWords = 40;

// The next step among the steps of the plan.
struct Outlook {
  const std::vector<schemas::GoldStep>& steps;
  std::size_t next = 0;
  // Which call of the facts a step was; for steps before `next` that are calls.
  const std::vector<std::size_t>& call_of_step;
};

std::string reason(const Facts& facts, const Outlook& outlook, Rng& words);
// The same after a mistake: what was wrong, and what is right.
std::string reason_after(const Mistake& mistake,
                         const Facts& facts,
                         const schemas::MadeCall& made,
                         const Outlook& outlook,
                         Rng& words);
// Before a lookup that is not needed.
std::string reason_needless(const Mistake& mistake, Rng& words);

}  // namespace seedbed::agent
