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

// Whether the text's number holds for the column that it names, of the records or what they point
// to; nothing where it cannot be read.
std::optional<bool> rule_holds(const Catalog& c,
                               const Knowledge& known,
                               std::string_view body,
                               const std::vector<RowRef>& rows);
// The line that gives the code; "" where none does.
std::string_view rule_of(const Catalog& c, std::string_view code);

}  // namespace seedbed::tasks::solvers
