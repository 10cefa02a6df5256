// What a run still has to do, by environment, so that a lane loads each environment once.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "agent/run.h"

namespace seedbed::agent {

struct PlannedTask {
  std::string id;
  std::vector<std::int64_t> samples;  // not yet stored
};
struct PlannedEnvironment {
  std::string id;
  std::vector<PlannedTask> tasks;
};
struct RunPlan {
  tasks::RunInfo info;
  std::string run;
  std::vector<PlannedEnvironment> environments;
  std::int64_t total = 0, skipped = 0;  // episodes
};

Result<RunPlan> plan_run(tasks::Store& store, const RunOptions& options);

Result<RunSummary> run_scripted(tasks::Store& store,
                                const RunPlan& plan,
                                const RunOptions& options,
                                const HostFactory& hosts,
                                const OnProgress& progress);
Result<RunSummary> run_http(tasks::Store& store,
                            const RunPlan& plan,
                            const RunOptions& options,
                            const HostFactory& hosts,
                            const OnProgress& progress);

Error interrupted_error(std::int64_t stored);

}  // namespace seedbed::agent
