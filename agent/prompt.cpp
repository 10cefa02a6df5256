#include "agent/prompt.h"

#include <cstdio>

#include "base/date.h"
#include "schemas/trajectory.h"

namespace seedbed::agent {
namespace {

using schemas::Value;

Result<std::string> check(std::optional<schemas::JsonSchema>& compiled,
                          const Value& schema,
                          std::string_view tool,
                          const Value& args) {
  if (!compiled) {
    auto made = schemas::JsonSchema::compile(schema);
    if (!made.ok())
      return make_error(Where::verifier, "reserved tool", "'" + std::string(tool) + "'",
                        "its schema does not compile: " + made.error().message,
                        "generate the task again");
    compiled = *std::move(made);
  }
  const auto wrong = compiled->validate(args, 1);
  if (wrong.empty()) return std::string();
  return (wrong[0].pointer.empty() ? std::string("arguments") : wrong[0].pointer) + ": " +
         wrong[0].message;
}

constexpr std::string_view kSubmitAbout =
    "Finish the task: hand in the result. Call it once, when everything that was asked for has "
    "been done. "
    "The first valid call ends the conversation.";
constexpr std::string_view kRefuseAbout =
    "Finish the task by refusing it, because a rule of the handbook forbids what was asked. Give "
    "the reason's code and the ids "
    "of exactly those records that prove it. The first valid call ends the conversation.";

}  // namespace

bool may_refuse(const schemas::Environment& env) {
  return !env.policy.handbook.empty() || !env.policy.reasons.empty();
}

std::string date_time(std::int64_t minutes) {
  std::int64_t days = minutes / 1440, rest = minutes % 1440;
  if (rest < 0) {
    rest += 1440;
    --days;
  }
  char clock[16];
  std::snprintf(clock, sizeof clock, " %02d:%02d", static_cast<int>(rest / 60),
                static_cast<int>(rest % 60));
  return iso_date(days) + clock;
}

std::string system_text(const schemas::Environment& env) {
  std::string out = "You work for " + env.title +
                    ". You act through the tools you are given; they are the only way to see "
                    "or change its records.\n\n";
  if (!env.server)
    out += "It is " + date_time(env.now_minutes) + ", and the clock stands still.\n\n";
  if (!env.policy.handbook.empty()) {
    out += "# Handbook\nThese rules bind you, also where a tool would let you break them.\n\n" +
           env.policy.handbook;
    if (out.back() != '\n') out += '\n';
    out += '\n';
  }
  out +=
      "# How to work\n"
      "- Look things up; never guess an id, a number or a name.\n"
      "- Change only what the task asks for and what the handbook demands.\n" +
      std::string(
          env.server ? "- Read the error of a failed call, then try another way.\n"
                     : "- A failed call changes nothing: read its error, then try another way.\n") +
      "- Text without a tool call is a message to the person who asked. Write one only to ask for "
      "what no tool can tell "
      "you; if nobody answers, the task ends without a result.\n\n"
      "# How to finish\n"
      "- Call `" +
      std::string(schemas::kSubmitTool) +
      "` once when the task is done; its arguments are the result.\n";
  if (may_refuse(env))
    out += "- If the handbook forbids what was asked, change nothing and call `" +
           std::string(schemas::kRefuseTool) +
           "` with the reason's code and, as `evidence_ids`, the ids of exactly the records that "
           "prove "
           "it.\n";
  out += may_refuse(env) ? "- The first valid call of either ends the task.\n"
                         : "- The first valid call of it ends the task.\n";
  if (!env.policy.reasons.empty()) {
    out += "\nReason codes:\n";
    for (const auto& reason : env.policy.reasons)
      out += "- `" + reason.code + "`: " + reason.text + "\n";
  }
  return out;
}

Value refuse_schema(const schemas::Environment& env) {
  Value code = Value::object();
  code.set("type", "string");
  if (!env.policy.reasons.empty()) {
    Value codes = Value::array();
    for (const auto& reason : env.policy.reasons) codes.push(reason.code);
    code.set("enum", std::move(codes));
  }
  code.set("description", "Reason code of the handbook");
  Value item = Value::object();
  item.set("type", "string");
  Value ids = Value::object();
  ids.set("type", "array").set("items", std::move(item)).set("maxItems", 64);
  ids.set("description", "Ids of exactly the records that prove the reason");
  Value properties = Value::object();
  properties.set("reason_code", std::move(code)).set("evidence_ids", std::move(ids));
  Value required = Value::array();
  required.push("reason_code");
  required.push("evidence_ids");
  Value out = Value::object();
  out.set("type", "object")
      .set("properties", std::move(properties))
      .set("required", std::move(required));
  out.set("additionalProperties", false);
  return out;
}

std::vector<schemas::Tool> offered_tools(const schemas::Environment& env,
                                         const schemas::TaskSpec& task) {
  std::vector<schemas::Tool> out;
  out.reserve(env.tools.size() + 2);
  const auto add = [&out](std::string_view name, std::string_view about, const Value& input) {
    schemas::Tool tool;
    tool.name = name;
    tool.description = about;
    tool.input = input;
    out.push_back(std::move(tool));
  };
  for (const auto& tool : env.tools) add(tool.name, tool.description, tool.input);
  add(schemas::kSubmitTool, kSubmitAbout, task.submit_schema);
  if (may_refuse(env)) add(schemas::kRefuseTool, kRefuseAbout, refuse_schema(env));
  return out;
}

const std::vector<schemas::Tool>& Offered::tools() const {
  if (!tools_) tools_ = offered_tools(*env_, *task_);
  return *tools_;
}

Result<std::string> Offered::check_submit(const Value& args) const {
  return check(submit_, task_->submit_schema, schemas::kSubmitTool, args);
}

Result<std::string> Offered::check_refuse(const Value& args) const {
  if (refuse_) return check(refuse_, {}, schemas::kRefuseTool, args);
  return check(refuse_, refuse_schema(*env_), schemas::kRefuseTool, args);
}

}  // namespace seedbed::agent
