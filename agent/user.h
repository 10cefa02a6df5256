// The deterministic user of a task: says what its script says on the terms that it states
// (schemas/task.h).
#pragma once
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "schemas/task.h"

namespace seedbed::agent {

class User {
 public:
  explicit User(const schemas::UserScript& script)
      : script_(&script), used_(script.reveals.size(), false) {}

  // The answer to a message of the agent; empty where the user has left.
  std::optional<std::string> answer(std::string_view message);

 private:
  const schemas::UserScript* script_;
  std::vector<bool> used_;
  int replies_ = 0;
};

}  // namespace seedbed::agent
