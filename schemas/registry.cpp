#include "schemas/registry.h"

#include "base/text.h"
#include "schemas/environment.h"
#include "schemas/evaluation.h"
#include "schemas/mix.h"
#include "schemas/request.h"
#include "schemas/server_task.h"
#include "schemas/task.h"
#include "schemas/trajectory.h"

namespace seedbed::schemas {

namespace {

template <class T>
Value record() {
  return schema_of<T>();
}

}  // namespace

const std::vector<SchemaEntry>& schema_registry() {
  static const std::vector<SchemaEntry> kEntries = {
      {"budget", "limits of one episode", record<Budget>},
      {"certificate", "what admission showed of a task", record<Certificate>},
      {"environment", "state, tools, views, handbook", record<Environment>},
      {"evaluation", "what `eval` found", record<Evaluation>},
      {"gen_request", "what `gen` was asked for", record<GenRequest>},
      {"gold", "the right plan, its variants and near misses", record<Gold>},
      {"made_call", "a tool call in a trajectory, with its result", record<MadeCall>},
      {"mix", "which kinds and levels of tasks to keep", record<Mix>},
      {"policy", "handbook and reason codes", record<Policy>},
      {"program", "the guarded SQL of a tool", record<Program>},
      {"recipe", "how an environment came about", record<Recipe>},
      {"server_task", "a task for the tools of an MCP server, as people write it",
       record<ServerTask>},
      {"token_record", "exact tokens of an episode, for training", record<TokenRecord>},
      {"task_spec", "what an agent is asked", record<TaskSpec>},
      {"tool", "name, description, arguments, program", record<Tool>},
      {"tool_call", "a tool and its arguments", record<ToolCall>},
      {"tool_result", "how a call ended and what it gave", record<ToolResult>},
      {"trajectory", "what one rollout did", record<Trajectory>},
      {"turn", "one message of a trajectory", record<Turn>},
      {"user_script", "a deterministic user", record<UserScript>},
      {"verdict", "score by named parts", record<Verdict>},
      {"verifier", "what judges an episode", record<Verifier>},
      {"view", "a view of the state as facts", record<View>},
  };
  return kEntries;
}

Result<Value> schema_by_name(std::string_view name) {
  std::vector<std::string> names;
  for (const auto& entry : schema_registry()) {
    if (entry.name == name) return entry.schema();
    names.emplace_back(entry.name);
  }
  const auto near = nearest(name.substr(0, 80), names);
  return make_error(Where::usage, "schema", name.substr(0, 80),
                    "found no such record, wanted one of " + join(names, ", "),
                    near.empty() ? "choose one of them" : "did you mean '" + near + "'?");
}

}  // namespace seedbed::schemas
