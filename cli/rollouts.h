// Runs and their report, as the commands and the demo use them.
#pragma once
#include <memory>

#include "agent/run.h"
#include "cli/common.h"

namespace seedbed::cli {

// Runs one policy with progress shown; the store is flushed afterwards, whatever the outcome.
Result<agent::RunSummary> run_store(Context& context,
                                    tasks::Store& store,
                                    agent::RunOptions options,
                                    const std::shared_ptr<Jails>& jails);

}  // namespace seedbed::cli
