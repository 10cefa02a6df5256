// The handbook, as far as a solver without understanding can follow it: rules that name a column, a
// number and what they forbid; reasons with the evidence that they want.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tasks/solvers/operation.h"

namespace seedbed::tasks::solvers {

// Arguments of refuse for the reason: the evidence that the handbook names beside the code, from
// the operation's records and those that they point to. Empty where the code is no reason.
std::optional<schemas::Value> refusal_for(const Catalog& c,
                                          const Knowledge& known,
                                          const std::vector<RowRef>& rows,
                                          std::string_view code);
// The reason of the first rule that forbids the tool on these records, as far as it can be read.
std::optional<std::string> broken_rule(const Catalog& c,
                                       const Knowledge& known,
                                       int tool,
                                       const std::vector<RowRef>& rows);

}  // namespace seedbed::tasks::solvers
