// A run: a policy through the tasks of a store, each episode judged and stored. Resumable: the key
// of an episode is (run, task, sample), and what is stored is never made again.
#pragma once
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "agent/engine_options.h"
#include "agent/http_options.h"
#include "base/result.h"
#include "sandbox/tool_host.h"
#include "tasks/store.h"

namespace seedbed::agent {

struct RunOptions {
  std::string policy;  // oracle, nop, random, http or engine
  std::uint64_t seed = 0;
  int samples = 1;            // episodes a task
  std::int64_t limit = 0;     // first N tasks; 0: all
  std::set<std::string> only;  // ids of tasks: no others; empty: all
  bool no_issues = false;     // leave out tasks with an open issue
  int shard = 0, shards = 1;  // the tasks whose index in the store's order is shard modulo shards
  int jobs = 2;               // lanes of the scripted policies: a thread, a core and a jail each
  int concurrency = 8;  // episodes in flight of http and engine: a jail each, one thread for all
  std::optional<schemas::Budget> budget;  // cuts the tasks' own budgets
  int call_wall_ms = 5'000;
  HttpOptions http;
  EngineOptions engine;
  const std::atomic<bool>* interrupted =
      nullptr;  // set by Ctrl-C: what is finished is flushed, what is in flight is dropped
};

// What a model in this process has read and written.
struct RunTokens {
  std::int64_t generated = 0;
  std::int64_t prompt = 0, cached = 0;  // given with all replies; of those, found in pages
  [[nodiscard]] double cached_share() const {
    return prompt == 0 ? 0 : static_cast<double>(cached) / static_cast<double>(prompt);
  }
};

struct RunSummary {
  std::int64_t episodes = 0, solved = 0, infra_errors = 0, tool_calls = 0;  // of this call
  std::int64_t skipped = 0;  // stored by an earlier one
  double score_sum = 0, seconds = 0;
  RunTokens tokens;  // of engine
  std::string run;   // Store::run_id
  [[nodiscard]] double score_mean() const {
    return episodes == 0 ? 0 : score_sum / static_cast<double>(episodes);
  }
};

struct RunProgress {
  std::int64_t done = 0, total = 0, solved = 0, infra_errors = 0;
  double seconds = 0;
  RunTokens tokens;  // of engine
};
using OnProgress = std::function<void(const RunProgress&)>;  // about five times a second, never at
                                                             // once from two threads

// A jail with nothing loaded, pinned to the core (-1: not pinned). Called from the lanes' threads.
using HostFactory = std::function<Result<std::unique_ptr<sandbox::ToolHost>>(int core)>;

// Error{usage} for an unknown policy or senseless numbers, Error{config} for a missing key,
// Error{model} where the endpoint cannot be used, Error{sandbox} where no jail can be opened,
// Error{interrupted} after a clean flush. Whatever the error, episodes finished before it are
// stored.
Result<RunSummary> run_policy(tasks::Store& store,
                              const RunOptions& options,
                              const HostFactory& hosts,
                              const OnProgress& progress = {});

struct ChangedVerdict {
  std::string episode_id;
  schemas::Verdict before, after;
};
struct Reverified {
  std::int64_t checked = 0;
  std::vector<ChangedVerdict> changed;
};
// Judges every stored episode again from its evidence, with no process, and stores the verdicts
// that differ.
Result<Reverified> reverify(tasks::Store& store, const std::atomic<bool>* interrupted = nullptr);

}  // namespace seedbed::agent
