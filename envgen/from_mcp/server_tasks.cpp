#include <algorithm>
#include <fstream>

#include "base/hash.h"
#include "base/text.h"
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
// Bytes of what stands in a message.
constexpr std::size_t kShownValue = 80;
constexpr std::size_t kShownName = 40;
constexpr std::size_t kShownPrompt = 40;

Error bad_line(const std::string& at, const std::string& found, const std::string& todo) {
  return make_error(Where::usage, "task", at, found, todo);
}

// At most that many bytes, whole characters only.
std::string beginning(const std::string& text, std::size_t most) {
  if (text.size() <= most) return text;
  std::size_t size = most;
  while (size > 0 && (static_cast<unsigned char>(text[size]) & 0xc0U) == 0x80) --size;
  return text.substr(0, size);
}

// What a person looks for in the file, on one line.
std::string first_words(std::string prompt) {
  for (char& c : prompt)
    if (static_cast<unsigned char>(c) < ' ') c = ' ';
  const std::string text(trim(prompt));
  const std::string shown = beginning(text, kShownPrompt);
  if (shown.size() == text.size()) return shown;
  const auto space = text.rfind(' ', shown.size());
  return space == std::string::npos ? shown : text.substr(0, space);
}

// The task's line is not known here, and blank lines do not count.
Error bad_task(const ServerTask& task,
               std::int64_t number,
               const std::string& found,
               const std::string& todo) {
  return make_error(Where::usage, "task " + std::to_string(number + 1), first_words(task.prompt),
                    found, todo);
}

// The next line without its end; false at the end of the file and where it cannot be read. Of a
// line that is too long only one byte more than is allowed is held: the caller refuses it.
bool next_line(std::istream& file, std::string& line) {
  line.clear();
  for (char c = 0; line.size() <= kMaxLine && file.get(c); line += c)
    if (c == '\n') return true;
  return !line.empty() && !file.bad();
}

bool is_date(const std::string& text) {
  return text.size() >= 10 && text[4] == '-' && text[7] == '-' &&
         tasks::normal_date(text).has_value();
}

Value type_schema(const char* type) {
  return Value::object().set("type", type);
}

// What all items are, as JSON Schema names it; nullptr for a mixture, for other kinds and for none:
// the schema of a set says one type.
const char* type_of_items(const Value& array) {
  const auto all = [&](bool (Value::*is)() const) {
    return std::all_of(array.items().begin(), array.items().end(),
                       [&](const Value& item) { return (item.*is)(); });
  };
  if (array.items().empty()) return nullptr;
  if (all(&Value::is_int)) return "integer";
  return all(&Value::is_string) ? "string" : nullptr;
}

// How a field of the answer is compared, and its schema; null where it cannot be.
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
  const char* type = value.is_array() ? type_of_items(value) : nullptr;
  const auto items = tasks::normal_set(value);
  if (type == nullptr || !items) return {};
  out.type = AnswerType::set;
  out.accept = *items;
  return type_schema("array").set("items", type_schema(type));
}

// What to do about a value that read_field does not take.
std::string todo_of(const Value& value) {
  const bool nothing =
      value.is_null() || value.is_string() || (value.is_array() && value.items().empty());
  if (nothing) return "leave the field out or ask for something that is there";
  return value.is_array() ? "give all its items as texts" : "give it as a text";
}

// The fields of the answer with the schema that a submission must meet.
Step read_answer(const ServerTask& task,
                 std::int64_t number,
                 const Value& answer,
                 tasks::Draft& out) {
  if (!answer.is_object())
    return bad_task(task, number,
                    "found " + beginning(dump(answer), kShownValue) +
                        " as the answer, wanted an object of named fields",
                    "for instance {\"total\": 12}");
  Value properties = Value::object(), required = Value::array();
  for (const auto& [name, value] : answer.members()) {
    AnswerField field;
    Value schema = read_field(name, value, field);
    if (schema.is_null())
      return bad_task(task, number,
                      "found " + beginning(dump(value), kShownValue) + " as '" +
                          beginning(name, kShownName) +
                          "' of the answer, wanted a whole number, a text that is not empty, or "
                          "an array of whole numbers only or of texts only",
                      todo_of(value));
    out.verifier.answer.push_back(std::move(field));
    properties.set(name, std::move(schema));
    required.push(name);
  }
  out.task.submit_schema = Value::object()
                               .set("type", "object")
                               .set("properties", std::move(properties))
                               .set("required", std::move(required))
                               .set("additionalProperties", false);
  return std::nullopt;
}

bool names(const std::optional<std::vector<std::string>>& list, const std::string& name) {
  return list && std::find(list->begin(), list->end(), name) != list->end();
}

GoldStep step_of(const ServerTask& task, GoldKind kind, const Value& args, int at) {
  GoldStep step;
  step.kind = kind;
  step.args = args;
  if (at > 0) step.needs = {at - 1};
  for (const auto& [name, value] : step.args.members())
    if (names(task.derived, name)) step.derived.push_back(name);
  return step;
}

// The calls, then what is submitted.
Step read_plan(const ServerTask& task,
               std::int64_t number,
               const Value& answer,
               tasks::Draft& out) {
  int at = 0;
  for (const auto& call : task.calls) {
    if (!call.args.is_object())
      return bad_task(task, number,
                      "found " + beginning(dump(call.args), kShownValue) + " as args of call " +
                          std::to_string(at + 1) + " (" + beginning(call.tool, kShownName) +
                          "), wanted an object",
                      "give the arguments by name, {} where there are none");
    out.gold.steps.push_back(step_of(task, GoldKind::call, call.args, at++));
    out.gold.steps.back().tool = call.tool;
  }
  out.gold.steps.push_back(step_of(task, GoldKind::submit, answer, at));
  return std::nullopt;
}

}  // namespace

Result<std::vector<ServerTask>> read_server_tasks(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file)
    return make_error(Where::usage, "file of tasks", path, "cannot be opened, wanted JSON lines",
                      "give a file with one task a line (seedbed schema server_task)");
  std::vector<ServerTask> out;
  std::string line;
  for (std::size_t number = 1; next_line(file, line); ++number) {
    const std::string at = path + ":" + std::to_string(number);
    if (line.size() > kMaxLine)
      return bad_line(at,
                      "found a line of more than " + std::to_string(kMaxLine) +
                          " bytes, wanted at most that many",
                      "shorten it");
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    SEEDBED_TRY(auto task, schemas::parse_record<ServerTask>(line, at));
    out.push_back(std::move(task));
    if (out.size() > kMaxTasks)
      return bad_line(at, "found more than 100,000 tasks", "split the file");
  }
  if (file.bad())
    return make_error(Where::usage, "file of tasks", path,
                      "cannot be read to its end, wanted JSON lines",
                      "give a file with one task a line, no folder, on a disk that can be read");
  if (out.empty())
    return bad_line(path, "found no task, wanted one a line",
                    "see docs/from-mcp.md for an example");
  return out;
}

Result<tasks::Draft> server_draft(const ServerTask& task,
                                  const std::string& environment_id,
                                  std::int64_t number) {
  tasks::Draft out;
  const Value answer = task.answer ? *task.answer : Value::object();
  if (auto error = read_answer(task, number, answer, out)) return *std::move(error);
  if (task.files)
    for (const auto& check : *task.files)
      out.verifier.post.push_back({check.name, check.sql, check.sql});
  if (out.verifier.answer.empty() && out.verifier.post.empty())
    return bad_task(task, number,
                    "found no field of an answer and no condition on files, wanted something that "
                    "is judged",
                    "give 'answer' or 'files' (docs/from-mcp.md)");
  out.task.environment_id = environment_id;
  out.task.kind = task.kind.value_or(out.verifier.answer.empty() ? "achieve" : "lookup");
  out.task.prompt = task.prompt;
  out.task.number = number;
  out.task.skeleton = content_hash(task.prompt);
  out.task.knobs = {{"plan_calls", static_cast<std::int64_t>(task.calls.size())}};
  out.task.budget.max_calls =
      std::max<int>(out.task.budget.max_calls, 2 * static_cast<int>(task.calls.size()));
  out.task.budget.max_turns =
      std::max<int>(out.task.budget.max_turns, 2 * static_cast<int>(task.calls.size()));
  if (auto error = read_plan(task, number, answer, out)) return *std::move(error);
  return out;
}

}  // namespace seedbed::envgen
