// What the agent reads of a tool: its description and the JSON Schema of its arguments.
#pragma once
#include <string>
#include <vector>

#include "envgen/general/surface.h"

namespace seedbed::envgen {

std::string description_of(const Lowered& lowered, const std::vector<const ToolForm*>& forms);
// The column in which a tool that is busy now and then says so: one that the concept has not.
std::string busy_column(const Lowered& lowered, int concept_id);
schemas::Value input_of(const Lowered& lowered, const std::vector<const ToolForm*>& forms);

}  // namespace seedbed::envgen
