// The words that every agent reads before a task, and the tools it is offered. The one place where
// they are written.
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "schemas/environment.h"
#include "schemas/json_schema.h"
#include "schemas/task.h"

namespace seedbed::agent {

// Part of what identifies a run of a model: raised whenever system_text or the reserved tools'
// descriptions change.
inline constexpr std::string_view kPromptVersion = "1";

// The system turn: what the place is, the handbook, how to finish.
std::string system_text(const schemas::Environment& env);
// "2031-03-05 14:20" for minutes since 2000-01-01 00:00.
std::string date_time(std::int64_t minutes);

// Without rules and reasons there is nothing to refuse for, and the tool is not offered.
bool may_refuse(const schemas::Environment& env);
// Schema of refuse's arguments: reason_code (enum of the handbook's reasons) and evidence_ids.
schemas::Value refuse_schema(const schemas::Environment& env);
// The environment's tools without their programs, then submit_result and refuse.
std::vector<schemas::Tool> offered_tools(const schemas::Environment& env,
                                         const schemas::TaskSpec& task);

// What one task offers, each part made on first use: the scripted clients need little of it. Not
// thread-safe; keeps references to both arguments.
class Offered {
 public:
  Offered(const schemas::Environment& env, const schemas::TaskSpec& task)
      : env_(&env), task_(&task) {}

  const std::vector<schemas::Tool>& tools() const;
  // Why the arguments of submit_result or refuse are refused, "" where they are valid.
  // Error{verifier}: the task's own schema does not compile.
  Result<std::string> check_submit(const schemas::Value& args) const;
  Result<std::string> check_refuse(const schemas::Value& args) const;

 private:
  const schemas::Environment* env_;
  const schemas::TaskSpec* task_;
  mutable std::optional<std::vector<schemas::Tool>> tools_;
  mutable std::optional<schemas::JsonSchema> submit_, refuse_;
};

}  // namespace seedbed::agent
