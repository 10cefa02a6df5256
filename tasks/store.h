// One SQLite file (WAL, one writer): environments, tasks, certificates, runs, episodes, blobs
// (zstd, by content hash). tasks/schema.sql is the only DDL. Killed at any moment, nothing
// committed is lost and nothing is doubled. Not thread-safe: one thread a Store. While a Store is
// open for writing, a second writer is refused; readers are not. After a failed write every later
// write returns the same error: the batch is rolled back, what was committed stays.
//
// Reads see what is selected unless they say otherwise: selection (tasks/selection.h) is a pure
// function of the stored set, computed at the end of gen and merge. Integer row ids never leave the
// store; content hashes do.
#pragma once
#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "schemas/environment.h"
#include "schemas/request.h"
#include "schemas/task.h"
#include "schemas/trajectory.h"
#include "tasks/admit.h"

namespace seedbed::tasks {

struct StoreOptions {
  bool create = false;   // else a missing file is an error
  bool fresh = false;    // remove the store that is there first, and create; refuses to remove what
                         // is no store
  bool upgrade = false;  // bring an older schema version up to date
  bool read_only = false;
};

struct GateCount {
  std::string gate;
  std::int64_t count = 0;
};

struct MechanismCount {
  std::string gate, mechanism;
  std::int64_t count = 0;
};

// All that one slot gave; committed whole or not at all.
struct SlotRecord {
  std::int64_t slot = 0;
  std::unique_ptr<AdmittedEnvironment> environment;  // empty where every attempt was rejected
  std::vector<AdmittedTask> tasks;
  std::vector<GateCount> rejections;  // drafts (and environments, gate "env:...") rejected by gate
  // The same once for each mechanism of the environment that was tried: the sums are larger.
  std::vector<MechanismCount> rejections_by_mechanism;
};

// What somebody found wrong with a task. The same title by the same author is the same issue.
struct Issue {
  enum class Status : std::uint8_t { open, resolved, wont_fix };
  std::string id;  // content hash of task, title and author
  std::string task_id, title;
  std::string author;  // user or program
  Status status = Status::open;
  std::string resolution;
  std::int64_t revision = 0;
};
constexpr std::array<std::string_view, 3> enum_names(Issue::Status) {
  return {"open", "resolved", "wont_fix"};
}
constexpr std::string_view name_of(Issue::Status status) {
  return enum_names(status)[static_cast<std::size_t>(status)];
}

struct StoredTask {
  std::string id;
  schemas::TaskSpec task;
  schemas::Verifier verifier;
  schemas::Gold gold;
  schemas::Certificate certificate;
};
struct StoredEnvironment {
  std::string id;
  schemas::Environment environment;
  std::string image;
};

// Identity of an episode: the same key is never stored twice.
struct EpisodeKey {
  std::string run;  // hash of (policy, policy version, model, seed, budget...): Store::run_id
  std::string task_id;
  std::int64_t sample = 0;
};
struct RunInfo {
  std::string policy;
  std::string policy_version;
  std::string seed;
  schemas::Value settings;  // object: whatever else makes it another run (model name, temperature
                            // ...); never a secret
};
struct StoredEpisode {
  std::string
      id;  // content hash of run and trajectory without timings; a later verdict does not change it
  std::string run;
  schemas::Trajectory trajectory;
  Episode evidence;  // what reverify needs
};
struct PolicyRow {
  std::string policy, policy_version, run;
  std::int64_t episodes = 0, solved = 0, infra_errors = 0, tool_calls = 0;
  double score_sum = 0;
};

class Store {
 public:
  // Errors: missing, not a database, foreign (another application id), newer, older (needs
  // upgrade), damaged, full disk.
  static Result<std::unique_ptr<Store>> open(const std::string& path, const StoreOptions& options);
  ~Store();  // flushes
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  // ---- generation ----
  Result<std::optional<schemas::GenRequest>> request();
  Step set_request(
      const schemas::GenRequest& request);  // refuses another one, with the difference shown
  Result<std::set<std::int64_t>> finished_slots();
  Step put_slot(SlotRecord record);  // batched: durable after the next flush (every ~200 ms or 64
                                     // records, and at close)
  Step flush();
  Step checkpoint();  // WAL into the file: copying the one file copies the store
  Result<std::vector<GateCount>> rejections();
  Result<std::vector<MechanismCount>> rejections_by_mechanism();

  // ---- reading; only what is selected, in the order of (slot, number) ----
  Result<std::vector<std::string>> environment_ids();
  Result<std::vector<std::string>> task_ids();
  Result<std::vector<std::string>> task_ids_of(const std::string& environment_id);
  Result<StoredEnvironment> environment(const std::string& id);
  Result<StoredTask> task(const std::string& id);
  Result<schemas::Certificate> certificate(const std::string& task_id);

  // ---- runs ----
  static std::string run_id(const RunInfo& info);
  Result<std::string> begin_run(const RunInfo& info);  // idempotent
  Result<std::set<std::pair<std::string, std::int64_t>>> finished_episodes(
      const std::string& run);  // (task, sample)
  Step put_episode(const EpisodeKey& key,
                   const schemas::Trajectory& trajectory,
                   const Episode& evidence);  // batched
  Step put_infra_error(const EpisodeKey& key,
                       const std::string& why);  // counted, never scored; tried again on resume
  Result<std::vector<PolicyRow>> policies();
  // Episodes of selected tasks in the order of (run, slot, task number, sample); the callback may
  // stop by returning an error, and may use the store. With `run`, that run's alone.
  Step for_each_episode(const std::function<Step(const StoredEpisode&)>& f,
                        const std::string& run = "");
  Result<StoredEpisode> episode(const std::string& id);
  Step set_verdict(const std::string& episode_id, const schemas::Verdict& verdict);

  // ---- issues ----
  // Idempotent; its id. Error{usage}: no such task, or a title that is empty, longer than 1,000
  // bytes or no UTF-8.
  Result<std::string> add_issue(const std::string& task_id,
                                const std::string& title,
                                const std::string& author);
  // Error{usage}: no such issue.
  Step set_issue(const std::string& id, Issue::Status status, const std::string& resolution);
  Result<std::vector<Issue>> issues();  // in the order of (slot, task number, id); of every task
  Result<std::set<std::string>> tasks_with_open_issues();

  // ---- the whole ----
  Result<std::string>
  content_digest();  // over sorted (environment id, task id, certificate hash) of what is selected
  Result<std::string> runs_digest();  // over (run, task, sample, trajectory without timings)
  Result<schemas::Value> counts();    // {environments, tasks, rejected, episodes, ...}
  Step select();                      // recomputes the selection from the request and the set
  // Merge: takes over another store's slots and episodes (same request, adopted where this store
  // has none yet) and selects anew; whole or not at all. Commutative, associative, idempotent; the
  // same slot must be equal in both, of two episodes under one key the one with the lower hash
  // stays.
  Step absorb(const std::string& path);
  // An id given by a person: full hash or unique prefix of an environment, task, episode or
  // issue -> (kind, full id).
  Result<std::pair<std::string, std::string>> resolve(const std::string& prefix);
  struct State;

 private:
  explicit Store(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace seedbed::tasks
