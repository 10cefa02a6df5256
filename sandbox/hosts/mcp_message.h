// What an MCP server says, read: tools and results. Pure functions of values that nobody trusts.
#pragma once
#include <optional>
#include <string>

#include "schemas/call.h"
#include "schemas/json_schema.h"

namespace seedbed::sandbox {

struct McpTool {
  std::string name;         // [A-Za-z0-9_-], at most 64
  std::string description;  // at most 4 KiB
  schemas::Value input;     // JSON Schema of an object
};

struct ReadTool {
  McpTool tool;  // where it cannot be offered: its name, shortened
  std::optional<schemas::JsonSchema> schema;
  std::string why;  // it cannot be offered; "" where it can
};
ReadTool read_mcp_tool(const schemas::Value& tool);

// The result of tools/call as one JSON text of at most `most_bytes` (an object that says so where
// it is longer): structured content as it is; one text that is JSON as that; one other text as
// {"text"}; several blocks as {"content"}, what is no text described.
schemas::ToolResult mcp_result(const schemas::Value& result, std::size_t most_bytes);
schemas::ToolResult mcp_error(const std::string& code,
                              const std::string& message,
                              schemas::End end = schemas::End::tool_error);

// At most so many bytes, cut between characters.
std::string cut_text(std::string text, std::size_t most);

}  // namespace seedbed::sandbox
