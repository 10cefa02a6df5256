#include "engine/service/chat_request.h"

#include <algorithm>
#include <set>

namespace seedbed::engine::service {
namespace {

using grammar::ToolChoice;
using schemas::Value;

constexpr std::size_t kMostTools = 512;

Refusal read_functions(const ChatRequest& request, std::vector<grammar::Function>& out) {
  std::set<std::string> names;
  for (const auto& message : request.messages)
    for (const auto& tool : message.tools) {
      grammar::Function function;
      function.name = tool.value.text("name");
      const Value* parameters = tool.value.find("parameters");
      if (parameters != nullptr && !parameters->is_null()) {
        if (!parameters->is_object())
          return bad("tools", "found parameters of '" + function.name +
                                  "' that are no object, wanted a JSON Schema");
        function.parameters = *parameters;
      }
      const Value* strict = tool.value.find("strict");
      if (strict != nullptr && !strict->is_null() && !strict->is_bool())
        return bad("tools", "found 'strict' of '" + function.name +
                                "' that is no boolean, wanted true or false");
      function.strict = strict != nullptr && strict->is_bool() && strict->as_bool();
      if (function.name.find_first_of("\"<>\r\n") != std::string::npos ||
          function.name.size() > 256)
        return bad("tools", "found the name '" + function.name.substr(0, 80) +
                                "', wanted letters, digits, '_', '-' and '.'");
      if (!names.insert(function.name).second)
        return bad("tools", "found two functions named '" + function.name +
                                "', wanted a name for each alone");
      out.push_back(std::move(function));
    }
  if (out.size() > kMostTools)
    return bad("tools", "found " + std::to_string(out.size()) + " functions, wanted at most " +
                            std::to_string(kMostTools));
  return std::nullopt;
}

Refusal read_choice(const Value& choice, grammar::ChatFormat& format) {
  constexpr const char* kWanted =
      "wanted 'none', 'auto', 'required' or {\"type\": \"function\", \"function\": {\"name\": "
      "...}}";
  if (choice.is_string()) {
    const std::string& word = choice.as_string();
    if (word != "none" && word != "auto" && word != "required")
      return bad("tool_choice", "found '" + word.substr(0, 40) + "', " + kWanted);
    format.choice = word == "none"   ? ToolChoice::none
                    : word == "auto" ? ToolChoice::auto_
                                     : ToolChoice::required;
    return std::nullopt;
  }
  const Value* function = choice.find("function");
  if (!choice.is_object() || choice.text("type") != "function" || function == nullptr ||
      function->text("name").empty())
    return bad("tool_choice", "found " + dump(choice).substr(0, 80) + ", " + kWanted);
  format.choice = ToolChoice::named;
  format.named = function->text("name");
  return std::nullopt;
}

bool must_call(const grammar::ChatFormat& format) {
  return format.choice == ToolChoice::required || format.choice == ToolChoice::named;
}

Refusal read_tools(const ChatRequest& request, const Value& body, grammar::ChatFormat& format) {
  if (auto refusal = read_functions(request, format.functions)) return refusal;
  Fields fields(body);
  if (const Value* choice = fields.find("tool_choice"))
    if (auto refusal = read_choice(*choice, format)) return refusal;
  fields.boolean("parallel_tool_calls", format.parallel);
  if (!fields.ok()) return fields.refusal();
  if (must_call(format) && format.functions.empty())
    return bad("tool_choice", "found a call to be made and no tools, wanted 'tools' with it");
  if (format.choice == ToolChoice::named &&
      std::none_of(format.functions.begin(), format.functions.end(),
                   [&](const auto& function) { return function.name == format.named; }))
    return bad("tool_choice",
               "found '" + format.named.substr(0, 80) + "', wanted the name of one of the tools");
  // Who must call is held to the schema; who may, where the function says so or a mask can hold it.
  if (must_call(format))
    for (auto& function : format.functions) function.strict = true;
  return std::nullopt;
}

Refusal read_response_format(const Value& body, grammar::ChatFormat& format) {
  Fields fields(body);
  const Value* wanted = fields.object("response_format");
  if (!fields.ok()) return fields.refusal();
  if (wanted == nullptr) return std::nullopt;
  const std::string type = wanted->text("type");
  if (type == "text") return std::nullopt;
  if (type != "json_object" && type != "json_schema")
    return bad("response_format", "found the type '" + type.substr(0, 40) +
                                      "', wanted 'text', 'json_object' or 'json_schema'");
  format.json = true;
  if (type == "json_object") return std::nullopt;
  const Value* holder = wanted->find("json_schema");
  const Value* schema = holder == nullptr ? nullptr : holder->find("schema");
  if (schema == nullptr || (!schema->is_object() && !schema->is_bool()))
    return bad("response_format",
               "found no schema, wanted {\"type\": \"json_schema\", \"json_schema\": {\"name\": "
               "..., \"schema\": {...}}}");
  format.schema = *schema;
  return std::nullopt;
}

Refusal check_speciale(const ChatRequest& request, const Value& body) {
  const auto refuse = [](const char* param, const char* what) {
    return bad(param,
               std::string("found ") + what +
                   ", wanted none: this model reasons without tools and without a format",
               "leave it out, or serve with another --profile");
  };
  for (const auto& message : request.messages) {
    if (!message.tools.empty()) return refuse("tools", "tools");
    if (message.role == chat::Role::tool || !message.tool_calls.empty())
      return refuse("messages", "calls of tools");
  }
  Fields fields(body);
  if (const Value* choice = fields.find("tool_choice");
      choice != nullptr && *choice != Value("none") && *choice != Value("auto"))
    return refuse("tool_choice", "a choice of tools");
  if (const Value* format = fields.find("response_format");
      format != nullptr && format->text("type") != "text")
    return refuse("response_format", "a format of the answer");
  return std::nullopt;
}

Refusal read_logprobs(Fields& fields, ChatRequest& out) {
  fields.boolean("logprobs", out.logprobs);
  std::int64_t top = 0;
  if (fields.integer("top_logprobs", top, 0, 20) && top > 0 && !out.logprobs)
    fields.refuse("top_logprobs", "found it without 'logprobs', wanted \"logprobs\": true with it");
  out.common.sampling.top_logprobs = out.logprobs ? static_cast<int>(top) : 0;
  return fields.refusal();
}

}  // namespace

Refusal read_thinking(const Service& service, const Value& body, bool reasoner, ChatRequest& out) {
  Fields fields(body);
  std::optional<bool> asked;
  if (const Value* thinking = fields.object("thinking")) {
    const std::string type = thinking->text("type");
    if (type != "enabled" && type != "disabled" && type != "auto")
      return bad("thinking",
                 "found {\"type\": '" + type.substr(0, 40) + "'}, wanted 'enabled' or 'disabled'");
    if (type != "auto") asked = type == "enabled";
  }
  if (const Value* kwargs = fields.object("chat_template_kwargs"))
    for (const char* key : {"thinking", "enable_thinking"}) {
      Fields inner(*kwargs, "chat_template_kwargs.");
      bool value = false;
      if (inner.boolean(key, value)) asked = value;
      if (!inner.ok()) return inner.refusal();
    }
  if (!fields.ok()) return fields.refusal();
  if (service.options.profile == Profile::chat) {
    out.thinking = asked.value_or(reasoner);
    return std::nullopt;
  }
  if (asked == false)
    return bad(
        "thinking",
        "found thinking switched off, wanted it on: this model is served with reasoning alone",
        "leave the switch out, or serve with --profile chat");
  out.thinking = true;
  return std::nullopt;
}

Refusal read_chat(Service& service,
                  const Exchange& exchange,
                  const std::string& text,
                  const Value& body,
                  ChatRequest& out) {
  bool reasoner = false;
  if (auto refusal = check_model(service, body, reasoner)) return refusal;
  out.model = body.text("model", service.options.model_name);
  if (out.model.empty()) out.model = service.options.model_name;
  if (auto refusal = read_thinking(service, body, reasoner, out)) return refusal;
  Fields fields(body);
  read_sampling(service, fields, out.common);
  read_delivery(exchange, fields, out.common);
  fields.boolean("return_token_ids", out.return_token_ids);
  bool constrain = true;
  fields.boolean("constrain", constrain);
  std::string user;
  fields.text("user", user);
  fields.object("metadata");
  if (auto refusal = read_logprobs(fields, out)) return refusal;
  grammar::ChatFormat format;
  if (auto refusal = read_response_format(body, format)) return refusal;
  if (auto refusal = read_messages(service, text, body, out)) return refusal;
  if (service.options.profile == Profile::speciale)
    if (auto refusal = check_speciale(out, body)) return refusal;
  if (auto refusal = read_tools(out, body, format)) return refusal;
  const bool always = must_call(format) || format.json;
  if (always || (constrain && !format.functions.empty())) out.format = std::move(format);
  return std::nullopt;
}

}  // namespace seedbed::engine::service
