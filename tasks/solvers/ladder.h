// G15: scripted solvers on one task. What they read before the first write depends on no task, so
// it is played once per environment and shared; a write is played with those before it, from a
// reset.
//
// Every task has its level (level.h); every one with a short plan has first-match's try, since only
// such a one could be trivial. All solvers run on a sample of the tasks, 1 in kSampled by a keyed
// hash of the task's id, and the note says so.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "base/result.h"
#include "schemas/environment.h"
#include "schemas/task.h"
#include "tasks/admit.h"
#include "tasks/judge.h"
#include "tasks/solvers/level.h"

namespace seedbed::tasks::solvers {

inline constexpr std::uint64_t kSampled = 8;
inline constexpr std::int64_t kShortPlan = 5;  // calls of a plan from which no task is trivial
inline constexpr int kTrivialCalls = 3;        // first-match must not solve a task with fewer
inline constexpr std::string_view kLadder[] = {"greedy", "bfs-3", "no-policy"};

struct Try {  // one solver on one task
  std::string solver;
  bool solved = false;
  int calls = 0;
};
struct Climb {
  int level = 0;
  std::int64_t points = 0;
  std::vector<Try> tries;  // first-match where the plan is short; all where the task is sampled
  bool sampled = false;
};

// One environment; not thread-safe. `env`, `judge` and the host behind `play` outlive it.
class Ladder {
 public:
  Ladder(const schemas::Environment& env, PlayCalls play, Judge& judge);
  ~Ladder();
  Ladder(const Ladder&) = delete;
  Ladder& operator=(const Ladder&) = delete;

  // Error{sandbox} where the host fails, Error{verifier} where the verifier cannot be judged.
  Result<Try> attempt(std::string_view solver,
                      const schemas::TaskSpec& task,
                      const schemas::Verifier& verifier);
  Result<Climb> climb(const Draft& draft);
  // The gate: rejects what first-match solves with fewer than kTrivialCalls calls.
  Result<std::variant<schemas::GateResult, Rejected>> gate(const Draft& draft);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace seedbed::tasks::solvers
