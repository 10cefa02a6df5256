// Arguments of tools in SQL and as text; what the printer of tools and the second oracle share.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "envgen/general/surface.h"

namespace seedbed::envgen {

std::string decimal_text(std::int64_t cents);         // 1250 -> "12.50"
std::int64_t cents_of_text(const std::string& text);  // kNone where it is no such text
std::string decimal_sql(const std::string& cents);    // an SQL expression likewise
// The World value of an argument that is no reference, its fallback where it is left out.
std::string given_sql(const Lowered& lowered, const ToolParam& p);
// " FROM view WHERE ...": the facts that an argument given by name may mean.
std::string named_where(const Lowered& lowered, const ToolParam& p);
// The names that the parameter has in calls: two where an amount is given as a pair.
std::vector<std::string> argument_names(const ToolParam& p);
// What results call an amount that they show as "12.50".
std::string decimal_column(const Lowered& lowered, int concept_id, int attribute);

}  // namespace seedbed::envgen
