// The rules of an episode without any input or output: who acts next, what ends it, what is
// recorded. The synchronous and the asynchronous drivers (rollout.cpp, http_run.cpp) both turn this
// crank, so an episode means the same in each.
//
//   (1) A turn is one reply. Its calls run in order; after an accepted submit_result or refuse none
//   is run. (2) The parent executes the reserved tools, the host all others. Arguments that are no
//   JSON object reach no host. (3) Budgets are checked before each reply and before each call;
//   every call counts, whoever answered it. (4) Evidence holds host calls only, in order.
#pragma once
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "agent/client.h"
#include "agent/user.h"
#include "base/clock.h"
#include "tasks/judge.h"

namespace seedbed::agent {

struct Rollout {
  schemas::Trajectory trajectory;  // without verdict
  tasks::Episode evidence;
};

// All that one episode depends on; the references outlive the rollout.
struct RolloutSpec {
  const schemas::Environment& environment;
  const schemas::TaskSpec& task;
  const Offered& offered;
  const std::string& task_id;
  std::string policy, policy_version;
  std::int64_t sample = 0;
  std::uint64_t seed = 0;
  schemas::Budget budget;  // the smaller of the task's and the run's
  int call_wall_ms = 5'000;
  const schemas::Gold* gold = nullptr;
};
// Field by field the smaller one.
schemas::Budget smaller(const schemas::Budget& a, const schemas::Budget& b);

class EpisodeLoop {
 public:
  enum class Need : std::uint8_t { reply, call, done };

  EpisodeLoop(const RolloutSpec& spec, const Clock& clock);

  [[nodiscard]] Need need() const { return need_; }
  // need() == reply
  [[nodiscard]] View view() const;
  Step take(Reply reply);  // Error{verifier}: the task's own schema is broken
  // need() == call
  [[nodiscard]] const schemas::ToolCall& call() const { return evidence_.calls.back(); }
  [[nodiscard]] int call_wall_ms() const;
  Step take(schemas::ToolResult result);
  // need() == done. `changes` as the host recorded them; hands everything over.
  [[nodiscard]] bool called_host() const { return !evidence_.calls.empty(); }
  Rollout finish(std::vector<schemas::RowChange> changes);

 private:
  void end(schemas::Stop stop, std::string detail);
  void next_turn();
  Step run_calls();
  Result<bool> run_reserved(ReplyCall& call);
  void record(ReplyCall&& call, schemas::ToolResult result, bool reserved, bool malformed);
  std::string unique_id(std::string id);
  [[nodiscard]] std::int64_t wall_ms_left() const;

  const RolloutSpec* spec_;
  const Clock* clock_;
  std::int64_t start_us_;
  std::optional<User> user_;
  Need need_ = Need::reply;
  schemas::Trajectory trajectory_;
  tasks::Episode evidence_;
  std::vector<ReplyCall> pending_;  // calls of this turn
  std::size_t next_ = 0;            // the first not yet begun
  std::set<std::string> ids_;
  int turns_ = 0, calls_ = 0;
  std::int64_t output_bytes_ = 0;
};

}  // namespace seedbed::agent
