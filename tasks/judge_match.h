// How the facts that changed meet the facts that should have changed. Inside tasks only.
#pragma once
#include <string>
#include <vector>

#include "schemas/environment.h"
#include "schemas/task.h"
#include "tasks/judge_facts.h"

namespace seedbed::tasks {

// Empty text where the part holds, else what is wrong, in words.
struct Match {
  std::string delta;
  std::string frame;
};

// A change at a place that `wanted` names is a matter of the delta even where its value is wrong;
// any other is the frame's. New facts are matched as a whole set to the wanted ones (a maximum
// matching), since their keys are not known beforehand.
Match match_delta(const std::vector<schemas::FactChange>& wanted,
                  const std::vector<ChangedFact>& changed,
                  const Facts& facts,
                  const std::vector<schemas::View>& views);

// A database value and a JSON value that mean the same (true is 1).
bool same_value(const schemas::Scalar& scalar, const schemas::Value& value);
std::string scalar_text(const schemas::Scalar& scalar);

}  // namespace seedbed::tasks
