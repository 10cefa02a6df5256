// Admission: gates as theorems. Only Admission makes an Admitted*, and the store accepts nothing
// else. The jail comes in as callables, so tasks never sees a process.
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/result.h"
#include "schemas/environment.h"
#include "schemas/task.h"
#include "tasks/judge.h"

namespace seedbed::tasks {

struct PlayedPlan {
  std::vector<schemas::ToolResult> results;
  std::vector<schemas::RowChange> changes;
};
using Plans = std::vector<std::vector<schemas::ToolCall>>;
// Plays each plan from a reset state, in the jail.
using PlayCalls = std::function<Result<std::vector<PlayedPlan>>(const Plans&)>;

struct Player {
  PlayCalls play;
  PlayCalls play_again;  // the same in another host (or at least after another reset): for G1
  std::function<Result<std::string>()> digest;  // hash of the host's state now: for G17
};

// The second oracle (the World in memory), bound by envgen; facts are lines as fact_line() prints
// them. After each step only the difference from the initial facts is said: a whole listing a step
// would cost more than the replay.
struct OracleStep {
  bool ok = true;        // the call succeeds
  bool changed = false;  // gone and come are filled; else they are those of the step before (at
                         // first both empty)
  std::vector<std::string> gone;  // sorted: initial lines that no longer hold
  std::vector<std::string> come;  // sorted: lines that hold now and did not at first
};
struct Oracle {
  std::function<Result<std::vector<std::string>>()> initial;  // all initial facts, sorted
  std::function<Result<std::vector<OracleStep>>(const std::vector<schemas::ToolCall>&)>
      run;  // from the initial facts
};

struct Draft {  // a task not yet admitted; its environment is admitted before
  schemas::TaskSpec task;
  schemas::Gold gold;
  schemas::Verifier verifier;
};

struct Rejected {
  std::string gate;  // G1 ... or "build"
  std::string why;
};

class AdmittedEnvironment {
 public:
  [[nodiscard]] const schemas::Environment& environment() const { return env_; }
  [[nodiscard]] const std::string& image() const { return image_; }
  [[nodiscard]] const std::string& id() const { return id_; }

 private:
  friend class Admission;
  friend struct AdmissionForTests;  // tests/tasks/admission_for_tests.h
  schemas::Environment env_;
  std::string image_, id_;
};

class AdmittedTask {
 public:
  [[nodiscard]] const Draft& draft() const { return draft_; }
  [[nodiscard]] const schemas::Certificate& certificate() const { return certificate_; }

 private:
  friend class Admission;
  friend struct AdmissionForTests;  // tests/tasks/admission_for_tests.h
  Draft draft_;
  schemas::Certificate certificate_;
};

// The gates of one environment: open once, then its tasks one by one. Walks that do not depend on
// the task (random callers) are made once and judged by every task.
class Admission {
 public:
  // Checks the environment itself: every table has a NOT NULL primary key, tools have schemas,
  // reset is exact (G17), random walks agree with the oracle (G14). Where a server of somebody else
  // offers the tools there is no oracle (give an empty one), and G7, G8, G9, G13, G14 and G15 are
  // left out of the certificates: they need programs and facts that can be read.
  static Result<std::variant<std::unique_ptr<Admission>, Rejected>> open(
      const schemas::Environment& env,
      std::string image,
      Player player,
      Oracle oracle,
      std::uint64_t seed);
  ~Admission();
  Admission(const Admission&) = delete;
  Admission& operator=(const Admission&) = delete;

  [[nodiscard]] const AdmittedEnvironment& environment() const;
  Result<std::variant<AdmittedTask, Rejected>> admit(Draft draft);
  struct State;

 private:
  explicit Admission(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace seedbed::tasks
