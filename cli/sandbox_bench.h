// `seedbed sandbox bench`: what a jail costs on this machine.
#pragma once
#include "cli/commands.h"

namespace seedbed::cli {

Result<int> cmd_sandbox_bench(Context& context, const Words& words);

}  // namespace seedbed::cli
