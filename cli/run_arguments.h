// The flags that say who acts in a run and how: `run` and `eval` have them alike.
#pragma once
#include <cstdint>
#include <string>

#include "agent/run.h"
#include "cli/common.h"

namespace seedbed::cli {

struct RunArguments {
  std::int64_t seed = 1, samples = 1, jobs = core_count(), concurrency = 8, call_wall_ms = 5'000;
  std::int64_t max_turns = 0, max_calls = 0, wall_ms = 0, max_tokens = 0, timeout_ms = 120'000;
  std::int64_t top_k = 0, threads = 0, context = 0, cache_tokens = 0, chunk = 0, max_batch = 64,
               host_cache_tokens = 0;
  double temperature = -1, top_p = 0.95, min_p = 0;
  bool deterministic = false;
  std::string extra, thinking = "auto", kv_dtype = "fp8";
};

// Both must outlive the options' parsing.
void declare_run(Options& options, RunArguments& arguments, agent::RunOptions& run);
// What was given, into `run`. Error{usage} naming `command` where a policy lacks what it needs, or
// a flag is of no use to it.
Step settle_run(const std::string& command,
                const Options& options,
                const RunArguments& arguments,
                agent::RunOptions& run);

}  // namespace seedbed::cli
