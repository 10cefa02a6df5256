// Evaluation, step by step: the suites' stores, the tasks chosen from them, policies through them.
#pragma once
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "agent/run.h"
#include "cli/common.h"
#include "cli/eval_suites.h"
#include "schemas/evaluation.h"
#include "tasks/eval/seen.h"

namespace seedbed::cli {

struct TrainingStore {
  std::string path;
  tasks::eval::Seen seen;
};
Result<std::vector<TrainingStore>> read_training_stores(Context& context,
                                                        const std::vector<std::string>& paths);

struct SuiteOptions {
  std::string folder;
  std::int64_t tasks = 0;    // of each suite; 0: all
  bool unseen_only = false;  // leave out tasks whose environment or triple a training store has
  bool fresh = false;
  bool upgrade = false;
  std::int64_t jobs = 1;
};
struct PreparedSuite {
  schemas::EvalSuite record;
  std::string path;
  std::vector<schemas::EvalTask> tasks;  // chosen, in the store's order, no tries yet
  std::vector<std::string> triples;      // of each
};
// Generates what is not there yet and chooses. Error{store} where nothing is left to choose.
Result<PreparedSuite> prepare_suite(Context& context,
                                    const Suite& suite,
                                    const SuiteOptions& options,
                                    const std::vector<TrainingStore>& training,
                                    const std::shared_ptr<Jails>& jails);

// What the chosen tasks share with the training stores.
std::vector<schemas::EvalLeak> leaks_of(const std::vector<PreparedSuite>& suites,
                                        const std::vector<TrainingStore>& training);

// Runs the policy through the chosen tasks (what is stored is not made again) and scores it.
Result<schemas::EvalPolicy> evaluate(Context& context,
                                     const std::vector<PreparedSuite>& suites,
                                     const agent::RunOptions& run,
                                     const std::shared_ptr<Jails>& jails);

}  // namespace seedbed::cli
