// `seedbed sandbox session`: a shell or a Python that stays in a jail, a request a line.
#pragma once
#include "cli/commands.h"

namespace seedbed::cli {

Result<int> cmd_sandbox_session(Context& context, const Words& words);

}  // namespace seedbed::cli
