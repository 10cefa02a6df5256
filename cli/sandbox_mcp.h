// `seedbed sandbox mcp`: a third-party MCP server in a jail: what it offers, or one call.
#pragma once
#include "cli/commands.h"

namespace seedbed::cli {

Result<int> cmd_sandbox_mcp(Context& context, const Words& words);

}  // namespace seedbed::cli
