// The demo's second part: the model that comes with the program at work, beside scripted agents.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "agent/run.h"
#include "cli/common.h"

namespace seedbed::cli {

struct PolicyResult {
  std::string policy;
  agent::RunSummary summary;
};
Table result_table(const std::vector<PolicyResult>& results);

// Small environments of their own (8 to 12 tools, tasks of level 1) in DIR/small.db, at least 64
// tasks, played by oracle, random, greedy and the model in the folder `model`.
Result<std::vector<PolicyResult>> play_model(Context& context,
                                             const std::string& model,
                                             const std::string& dir,
                                             std::int64_t seed,
                                             const std::shared_ptr<Jails>& jails);

}  // namespace seedbed::cli
