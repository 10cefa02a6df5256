#include <algorithm>
#include <fstream>

#include "base/hash.h"
#include "envgen/from_mcp/from_mcp.h"
#include "tasks/normal.h"

namespace seedbed::envgen {
namespace {

using schemas::AnswerField;
using schemas::AnswerType;
using schemas::GoldKind;
using schemas::GoldStep;
using schemas::ServerTask;
using schemas::Value;

constexpr std::size_t kMaxLine = 1 << 20;
constexpr std::size_t kMaxTasks = 100'000;

Error bad_task(const std::string& at, const std::string& found, const std::string& todo) {
  return make_error(Where::usage, "task", at, found, todo);
}

bool is_date(const std::string& text) {
  return text.size() >= 10 && text[4] == '-' && text[7] == '-' &&
         tasks::normal_date(text).has_value();
}

Value type_schema(const char* type) {
  return Value::object().set("type", type);
}

// How a field of the answer is compared, and its schema; an empty schema where it cannot be.
Value read_field(const std::string& name, const Value& value, AnswerField& out) {
  out.name = name;
  if (value.is_int()) {
    out.type = AnswerType::integer;
    out.accept = {std::to_string(value.as_int())};
    return type_schema("integer");
  }
  if (value.is_string() && !value.as_string().empty()) {
    out.type = is_date(value.as_string()) ? AnswerType::date : AnswerType::text;
    out.accept = {value.as_string()};
    return type_schema("string");
  }
  const auto items = tasks::normal_set(value);
  if (!items || items->empty()) return {};
  out.type = AnswerType::set;
  out.accept = *items;
  const bool numbers = std::all_of(value.items().begin(), value.items().end(),
                                   [](const Value& item) { return item.is_int(); });
  return type_schema("array").set("items", type_schema(numbers ? "integer" : "string"));
}

bool names(const std::optional<std::vector<std::string>>& list, const std::string& name) {
  return list && std::find(list->begin(), list->end(), name) != list->end();
}

GoldStep step_of(const ServerTask& task, GoldKind kind, const Value& args, int at) {
  GoldStep step;
  step.kind = kind;
  step.args = args.is_object() ? args : Value::object();
  if (at > 0) step.needs = {at - 1};
  for (const auto& [name, value] : step.args.members())
    if (names(task.derived, name)) step.derived.push_back(name);
  return step;
}

}  // namespace

Result<std::vector<ServerTask>> read_server_tasks(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file)
    return make_error(Where::usage, "file of tasks", path, "cannot be opened, wanted JSON lines",
                      "give a file with one task a line (seedbed schema server_task)");
  std::vector<ServerTask> out;
  std::string line;
  for (std::size_t number = 1; std::getline(file, line); ++number) {
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    const std::string at = path + ":" + std::to_string(number);
    if (line.size() > kMaxLine)
      return bad_task(at,
                      "found a line of " + std::to_string(line.size()) + " bytes, wanted at most " +
                          std::to_string(kMaxLine),
                      "shorten it");
    SEEDBED_TRY(auto task, schemas::parse_record<ServerTask>(line, at));
    out.push_back(std::move(task));
    if (out.size() > kMaxTasks)
      return bad_task(at, "found more than 100,000 tasks", "split the file");
  }
  if (out.empty())
    return bad_task(path, "found no task, wanted one a line",
                    "see docs/from-mcp.md for an example");
  return out;
}

Result<tasks::Draft> server_draft(const ServerTask& task,
                                  const std::string& environment_id,
                                  std::int64_t number) {
  const std::string at = "number " + std::to_string(number + 1);
  tasks::Draft out;
  const Value answer = task.answer ? *task.answer : Value::object();
  if (!answer.is_object())
    return bad_task(at, "found an answer that is no object, wanted one of named fields",
                    "for instance {\"total\": 12}");
  Value properties = Value::object(), required = Value::array();
  for (const auto& [name, value] : answer.members()) {
    AnswerField field;
    Value schema = read_field(name, value, field);
    if (schema.is_null())
      return bad_task(at,
                      "found " + dump(value).substr(0, 80) + " as '" + name +
                          "', wanted a whole number, a text or an array of them",
                      "give another kind of number as a text");
    out.verifier.answer.push_back(std::move(field));
    properties.set(name, std::move(schema));
    required.push(name);
  }
  if (task.files)
    for (const auto& check : *task.files)
      out.verifier.post.push_back({check.name, check.sql, check.sql});
  out.task.environment_id = environment_id;
  out.task.kind = task.kind.value_or(out.verifier.answer.empty() ? "achieve" : "lookup");
  out.task.prompt = task.prompt;
  out.task.submit_schema = Value::object()
                               .set("type", "object")
                               .set("properties", std::move(properties))
                               .set("required", std::move(required))
                               .set("additionalProperties", false);
  out.task.number = number;
  out.task.skeleton = content_hash(task.prompt);
  out.task.knobs = {{"plan_calls", static_cast<std::int64_t>(task.calls.size())}};
  out.task.budget.max_calls =
      std::max<int>(out.task.budget.max_calls, 2 * static_cast<int>(task.calls.size()));
  out.task.budget.max_turns =
      std::max<int>(out.task.budget.max_turns, 2 * static_cast<int>(task.calls.size()));
  int step = 0;
  for (const auto& call : task.calls) {
    out.gold.steps.push_back(step_of(task, GoldKind::call, call.args, step++));
    out.gold.steps.back().tool = call.tool;
  }
  out.gold.steps.push_back(step_of(task, GoldKind::submit, answer, step));
  return out;
}

}  // namespace seedbed::envgen
