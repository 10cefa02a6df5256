// Runs of the policy `engine` on a model that is open already.
#pragma once
#include "agent/engine_client_model.h"
#include "agent/run.h"

namespace seedbed::agent {

// As run_policy; options.engine is not looked at: the model has its own.
Result<RunSummary> run_model(tasks::Store& store,
                             const RunOptions& options,
                             const EngineModel& model,
                             const HostFactory& hosts,
                             const OnProgress& progress = {});

}  // namespace seedbed::agent
