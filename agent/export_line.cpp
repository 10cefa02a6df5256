#include "agent/export_line.h"

#include <cmath>
#include <set>

#include "schemas/trajectory.h"

namespace seedbed::agent {
namespace {

using schemas::Value;

Value arguments(const Value& args, ExportFormat format) {
  if (format == ExportFormat::openai) return args.is_string() ? args.as_string() : dump(args);
  if (args.is_object()) return args;
  Value raw = Value::object();  // what the model wrote was no object: kept, under a name of its own
  raw.set("_unparsed", args.is_string() ? args.as_string() : dump(args));
  return raw;
}

void push_turn(Value& messages,
               const schemas::Turn& turn,
               const std::string& system,
               ExportFormat format) {
  Value message = Value::object();
  message.set("role", turn.role)
      .set("content", turn.role == "system" && turn.text.empty() ? system : turn.text);
  // As axolotl and as OpenAI's fine-tuning read it; absent where the turn is to be learnt.
  if (turn.learn == false) {
    if (format == ExportFormat::openai)
      message.set("weight", 0);
    else
      message.set("train", false);
  }
  if (!turn.reasoning.empty()) message.set("reasoning_content", turn.reasoning);
  if (!turn.calls.empty()) {
    Value calls = Value::array();
    for (const auto& call : turn.calls) {
      Value function = Value::object();
      function.set("name", call.tool).set("arguments", arguments(call.args, format));
      Value item = Value::object();
      item.set("id", call.id).set("type", "function").set("function", std::move(function));
      calls.push(std::move(item));
    }
    message.set("tool_calls", std::move(calls));
  }
  messages.push(std::move(message));
  for (const auto& call : turn.calls) {
    Value result = Value::object();
    result.set("role", "tool")
        .set("name", call.tool)
        .set("tool_call_id", call.id)
        .set("content", call.result.out);
    messages.push(std::move(result));
  }
}

// ---- the check: strings are looked at as a reader of the file would ----
const std::string* text_of(const Value& object, std::string_view key) {
  const Value* v = object.find(key);
  return v != nullptr && v->is_string() ? &v->as_string() : nullptr;
}

std::string check_calls(const Value& calls,
                        ExportFormat format,
                        std::vector<std::pair<std::string, std::string>>& open,
                        std::set<std::string>& ids) {
  if (!calls.is_array() || calls.items().empty()) return "tool_calls is no list of calls";
  for (const auto& call : calls.items()) {
    const std::string* id = text_of(call, "id");
    const Value* function = call.find("function");
    if (id == nullptr || id->empty() || function == nullptr)
      return "a tool call without id or function";
    if (!ids.insert(*id).second) return "the tool call id '" + *id + "' twice";
    const std::string* name = text_of(*function, "name");
    const Value* args = function->find("arguments");
    if (name == nullptr || args == nullptr)
      return "tool call '" + *id + "' without name or arguments";
    if (format != ExportFormat::openai ? !args->is_object() : !args->is_string())
      return "arguments of tool call '" + *id + "' are " + kind_name(args->kind());
    open.emplace_back(*id, *name);
  }
  return "";
}

std::string check_messages(const Value& messages, ExportFormat format) {
  std::vector<std::pair<std::string, std::string>>
      open;  // calls whose results must follow, in order
  std::size_t answered = 0;
  std::set<std::string> ids;
  std::size_t at = 0;
  for (const auto& message : messages.items()) {
    const std::string where = "message " + std::to_string(at) + ": ";
    const std::string* role = text_of(message, "role");
    if (role == nullptr || text_of(message, "content") == nullptr)
      return where + "no role or no text";
    if (at < 2 && *role != (at == 0 ? "system" : "user")) return where + "is of " + *role;
    if (at >= 2 && *role != "user" && *role != "assistant" && *role != "tool")
      return where + "is of " + *role;
    ++at;
    if (*role == "tool") {
      const std::string* id = text_of(message, "tool_call_id");
      const std::string* name = text_of(message, "name");
      if (id == nullptr || name == nullptr || answered >= open.size() ||
          open[answered] != std::pair(*id, *name))
        return where + "a result that matches no open call";
      ++answered;
      continue;
    }
    if (answered != open.size()) return where + "follows a call without a result";
    if (const Value* calls = message.find("tool_calls")) {
      if (*role != "assistant") return where + "calls of " + *role;
      if (auto wrong = check_calls(*calls, format, open, ids); !wrong.empty()) return where + wrong;
    }
  }
  if (answered != open.size()) return "the last call has no result";
  return at < 2 ? "fewer than two messages" : "";
}

}  // namespace

Value export_messages(const schemas::Trajectory& trajectory,
                      const std::string& system,
                      ExportFormat format) {
  Value messages = Value::array();
  for (const auto& turn : trajectory.turns) push_turn(messages, turn, system, format);
  return messages;
}

Value export_line(const tasks::StoredEpisode& episode,
                  const std::string& kind,
                  const std::string& system,
                  const Value& tools,
                  ExportFormat format) {
  const schemas::Trajectory& t = episode.trajectory;
  Value line = Value::object();
  line.set("id", episode.id)
      .set("group_id", t.task_id)
      .set("environment_id", t.environment_id)
      .set("kind", kind);
  line.set("policy", t.policy)
      .set("policy_version", t.policy_version)
      .set("sample", t.sample)
      .set("seed", t.seed);
  // Loaders re-encode numbers with ten digits; six come through unchanged.
  line.set("score", std::round(t.verdict.score * 1e6) / 1e6).set("solved", t.verdict.solved);
  line.set("stop", enum_names(t.stop)[static_cast<std::size_t>(t.stop)]);
  line.set("messages", export_messages(t, system, format)).set("tools", tools);
  if (format == ExportFormat::openai) line.set("parallel_tool_calls", true);
  return line;
}

std::string check_line(std::string_view line, ExportFormat format) {
  if (line.find('\n') != std::string_view::npos) return "a line break";
  const auto parsed = schemas::parse_json(line);
  if (!parsed.ok()) return parsed.error().message;
  for (const char* key :
       {"id", "group_id", "environment_id", "kind", "policy", "policy_version", "seed", "stop"})
    if (text_of(*parsed, key) == nullptr) return std::string("no text '") + key + "'";
  const Value* score = parsed->find("score");
  if (score == nullptr || !score->is_number() || score->as_double() < 0 || score->as_double() > 1)
    return "no score from 0 to 1";
  const Value* messages = parsed->find("messages");
  if (messages == nullptr) return "no messages";
  return check_conversation(*messages, parsed->find("tools"), format);
}

std::string check_conversation(const Value& messages, const Value* tools, ExportFormat format) {
  if (tools == nullptr || !tools->is_array() || tools->items().empty()) return "no tools";
  for (const auto& tool : tools->items()) {
    const Value* function = tool.find("function");
    if (function == nullptr || text_of(*function, "name") == nullptr ||
        function->find("parameters") == nullptr)
      return "a tool without name or parameters";
  }
  if (!messages.is_array()) return "no messages";
  return check_messages(messages, format);
}

}  // namespace seedbed::agent
