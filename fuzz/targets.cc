#include "fuzz/targets.h"

#include "sandbox/sql_wire.h"
#include "schemas/call.h"
#include "schemas/environment.h"
#include "schemas/json_schema.h"
#include "schemas/task.h"
#include "schemas/trajectory.h"

namespace seedbed::fuzz {
namespace {

using namespace std::string_literals;

// What is read is written so that it reads back the same.
std::string json(std::string_view input) {
  const auto value = schemas::parse_json(input);
  if (!value.ok()) return "";
  const auto again = schemas::parse_json(schemas::dump(*value));
  if (!again.ok()) return "what was written does not parse: " + again.error().message;
  return *again == *value ? "" : "reads back as another value";
}

std::string changes(std::string_view input) {
  const auto rows = schemas::decode_changes(input);
  if (!rows.ok()) return "";
  const auto again = schemas::decode_changes(schemas::encode_changes(*rows));
  return again.ok() && *again == *rows ? "" : "reads back as other changes";
}

// A reply from inside the jail: all that the parent reads of it.
std::string reply(std::string_view input) {
  const auto head = sandbox::wire::read_reply_head(input);
  if (!head.ok() || input.size() < sandbox::wire::kReplyHead)
    return head.ok() ? "a reply shorter than its head was taken" : "";
  const auto body = input.substr(sandbox::wire::kReplyHead);
  const auto play = sandbox::wire::read_play_body(body);
  if (play.ok())
    for (const auto& plan : play->plans)
      for (const auto node : plan)
        if (node >= play->nodes.size()) return "a plan names a node that is not there";
  // The strict parser takes less depth; whatever it takes is JSON.
  if (schemas::parse_json(body).ok() && !sandbox::wire::is_json(body))
    return "parse_json takes what is_json refuses";
  return "";
}

// {"schema": ..., "instance": ...}: compiles or not, holds or not, but always ends.
std::string json_schema(std::string_view input) {
  const auto value = schemas::parse_json(input);
  if (!value.ok()) return "";
  const auto* schema = value->find("schema");
  const auto* instance = value->find("instance");
  if (schema == nullptr || instance == nullptr) return "";
  const auto compiled = schemas::JsonSchema::compile(*schema);
  if (!compiled.ok()) return "";
  const bool holds = compiled->validate(*instance).empty();
  return holds == compiled->validate(*instance, 8).empty()
             ? ""
             : "another verdict for another bound of violations";
}

template <class T>
std::string record(std::string_view input) {
  const auto read = schemas::parse_record<T>(input, "input");
  if (!read.ok()) return "";
  const auto text = schemas::dump_record(*read);
  const auto again = schemas::parse_record<T>(text, "input");
  if (!again.ok()) return "a record written does not read: " + again.error().message;
  return schemas::dump_record(*again) == text ? "" : "a record reads back as another";
}

schemas::Environment an_environment() {
  schemas::Environment env;
  env.family = "general";
  env.tools.push_back(
      {"cancel", "Cancel one.", schemas::Value::object().set("type", "object"), {}});
  env.tools[0].program.steps.push_back({.let = "x",
                                        .require = {},
                                        .run = {},
                                        .each = {},
                                        .sql = "SELECT 1",
                                        .code = {},
                                        .message = {},
                                        .when = {},
                                        .body = {}});
  env.views.push_back({"item", "v_item", "id", {"price"}, {"price"}, {"item"}});
  return env;
}

std::string some_changes() {
  return schemas::encode_changes({{0, "item", {}, {std::int64_t{1}, "a"s, std::monostate{}}},
                                  {3, "slot", {std::int64_t{-9}, "é"s}, {std::int64_t{9}, ""s}}});
}

std::string a_reply(std::string_view body) {
  std::string out;
  sandbox::wire::begin_reply(out, 7, sandbox::wire::Status::done, schemas::End::ok);
  out += body;
  return out.substr(4);  // without the frame's length
}

std::string a_play() {
  std::string nodes, plans, body;
  sandbox::wire::put_u32(body, 2);
  sandbox::wire::put_play_node(nodes, schemas::End::ok, R"({"id":1})", some_changes());
  sandbox::wire::put_play_node(nodes, schemas::End::tool_error,
                               R"({"error":{"code":"x","message":"y"}})", "");
  body += nodes;
  sandbox::wire::put_u32(body, 2);
  sandbox::wire::put_play_plan(plans, {0, 1});
  sandbox::wire::put_play_plan(plans, {0});
  return body + plans;
}

}  // namespace

const std::vector<Target>& targets() {
  static const std::vector<Target> all = [] {
    std::vector<Target> list = {
        {"json",
         json,
         {R"({"a":[1,-2.5e3,true,null,"\u00e9\ud83d\ude00"],"b":{"c":9223372036854775807}})",
          "[[[[]]]]", "1e-7"}},
        {"changes", changes, {some_changes(), schemas::encode_changes({})}},
        {"reply", reply, {a_reply(R"({"a":[1]})"), a_reply(a_play())}},
        {"json_schema",
         json_schema,
         {R"({"schema":{"type":"object","properties":{"a":{"type":"string","pattern":"^[a-z]{1,8}$","maxLength":9},"b":{"$ref":"#/$defs/n"}},"required":["a"],"additionalProperties":false,"$defs":{"n":{"anyOf":[{"type":"integer","minimum":1},{"const":null}]}}},"instance":{"a":"abc","b":3}})",
          R"({"schema":{"type":"array","prefixItems":[{"enum":[1,"x"]}],"items":{"format":"date"},"uniqueItems":true,"maxItems":5},"instance":[1,"2031-03-05"]})",
          R"({"schema":{"oneOf":[{"multipleOf":0.01},{"not":{"type":"number"}}]},"instance":19.99})"}},
        {"environment", record<schemas::Environment>, {schemas::dump_record(an_environment())}},
        {"task", record<schemas::TaskSpec>, {schemas::dump_record(schemas::TaskSpec{})}},
        {"verifier", record<schemas::Verifier>, {schemas::dump_record(schemas::Verifier{})}},
        {"trajectory", record<schemas::Trajectory>, {schemas::dump_record(schemas::Trajectory{})}},
    };
    for (const auto& more : {checkpoint_targets(), chat_targets(), grammar_targets(),
                             http_targets(), sandbox_targets(), tokenizer_targets()})
      list.insert(list.end(), more.begin(), more.end());
    return list;
  }();
  return all;
}

}  // namespace seedbed::fuzz
