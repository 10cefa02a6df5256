// Preference pairs: a task's gold plan against each of its near misses, both played in a jail. What
// both do alike stands in the prompt; `chosen` and `rejected` begin where they part.
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "agent/export_tokens.h"
#include "agent/rollout.h"
#include "tasks/judge.h"
#include "tasks/store.h"

namespace seedbed::agent {

const std::vector<TokenField>& preference_fields();

struct PreferencePair {
  std::string id, wrong;  // wrong: the near miss's name
  schemas::Value line;
};

// Plays the plans of one environment's tasks. Not thread-safe.
class PreferencePlayer {
 public:
  // `open` gives a jail with nothing loaded. Error{verifier}: the environment's image or views are
  // broken.
  static Result<std::unique_ptr<PreferencePlayer>> open(
      tasks::StoredEnvironment environment,
      std::function<Result<std::unique_ptr<sandbox::ToolHost>>()> open);

  // A pair for every near miss that scores less than gold; none where the task has none.
  // Error{verifier}: gold does not score 1 in the jail. Error{sandbox}: the jail failed twice.
  Result<std::vector<PreferencePair>> pairs(const tasks::StoredTask& task);

 private:
  PreferencePlayer() = default;
  Result<Rollout> play(const tasks::StoredTask& task,
                       const Offered& offered,
                       const std::vector<schemas::GoldStep>& steps,
                       const char* policy);

  tasks::StoredEnvironment environment_;
  std::string system_;
  std::unique_ptr<tasks::Judge> judge_;
  std::function<Result<std::unique_ptr<sandbox::ToolHost>>()> open_;
  std::unique_ptr<sandbox::ToolHost> host_;
  Clock clock_;
};

// Parses the line back: both conversations whole, the prompt ending before an assistant's turn, the
// chosen one scoring more. What is wrong, or "".
std::string check_preference_line(std::string_view line);

}  // namespace seedbed::agent
