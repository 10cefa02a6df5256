#include "engine/chat/message.h"

#include <algorithm>
#include <array>

#include "base/text.h"

namespace seedbed::engine::chat {
namespace {

using schemas::Value;

constexpr std::array<std::string_view, 5> kRoles = {"system", "user", "developer", "assistant",
                                                    "tool"};

Error refuse(const std::string& at, const std::string& found, const std::string& todo) {
  return make_error(Where::model, "chat messages", at, found, todo);
}

bool is_absent(std::string_view json) {
  return json == "null" || (json.front() == '[' && json_items(json).empty());
}

Error unknown_key(const std::string& at,
                  const std::string& key,
                  const std::vector<std::string>& known) {
  const auto near = nearest(key, known);
  return refuse(at, "found key '" + key + "', wanted one of " + join(known, ", "),
                near.empty() ? "remove it" : "did you mean '" + near + "'?");
}

Result<std::string> text_of(std::string_view json, const std::string& at) {
  if (json.front() != '"')
    return refuse(at, "found " + std::string(json.substr(0, 40)) + ", wanted a string",
                  "send the text itself");
  return json_string(json);
}

// A string, or OpenAI's list of text parts (joined by a line end, as other servers do).
Result<std::string> content_of(std::string_view json, const std::string& at) {
  if (json.front() != '[') return text_of(json, at);
  std::vector<std::string> texts;
  for (const auto part : json_items(json)) {
    const auto here = at + "/" + std::to_string(texts.size());
    if (part.front() != '{')
      return refuse(here, "found no object, wanted a part {\"type\": \"text\", \"text\": ...}",
                    "send the content as one string");
    std::string type;
    std::optional<std::string> text;
    for (const auto& [key, value] : json_members(part)) {
      if (key == "type") {
        SEEDBED_TRY(type, text_of(value, here + "/type"));
      } else if (key == "text") {
        SEEDBED_TRY(text, text_of(value, here + "/text"));
      }
    }
    if (type != "text" || !text)
      return refuse(here,
                    "found a part of type '" + type + "', wanted text: this model reads no other",
                    "send the content as one string");
    texts.push_back(*std::move(text));
  }
  return join(texts, "\n");
}

Result<ToolCall> call_of(std::string_view json, const std::string& at) {
  ToolCall call;
  if (json.front() != '{')
    return refuse(at, "found no object, wanted a tool call", "see `seedbed chat encode --help`");
  std::string_view function;
  for (const auto& [key, value] : json_members(json)) {
    if (is_absent(value)) continue;
    if (key == "id") {
      SEEDBED_TRY(call.id, text_of(value, at + "/id"));
    } else if (key == "type") {
      SEEDBED_TRY(const auto type, text_of(value, at + "/type"));
      if (type != "function")
        return refuse(at + "/type", "found '" + type + "', wanted 'function'",
                      "only function calls have a spelling");
    } else if (key == "function") {
      function = value;
    } else if (key != "index") {  // left over from a stream of deltas
      return unknown_key(at, key, {"id", "type", "function", "index"});
    }
  }
  if (function.empty() || function.front() != '{')
    return refuse(at + "/function", "found none, wanted {\"name\", \"arguments\"}",
                  "send the call as the model made it");
  for (const auto& [key, value] : json_members(function)) {
    if (key == "name") {
      SEEDBED_TRY(call.name, text_of(value, at + "/function/name"));
    } else if (key == "arguments" && value.front() == '{') {
      call.arguments = respell(value);  // some clients send the object itself
    } else if (key == "arguments") {
      SEEDBED_TRY(call.arguments, text_of(value, at + "/function/arguments"));
    } else if (!is_absent(value)) {
      return unknown_key(at + "/function", key, {"name", "arguments"});
    }
  }
  if (call.name.empty())
    return refuse(at + "/function/name", "found none, wanted the tool's name",
                  "send the call as the model made it");
  return call;
}

Result<std::vector<ToolDef>> tools_of(std::string_view json, const std::string& at) {
  std::vector<ToolDef> tools;
  if (json.front() != '[')
    return refuse(at, "found no array, wanted an array of tools",
                  "send [{\"type\": \"function\", \"function\": {...}}]");
  for (const auto item : json_items(json)) {
    const auto here = at + "/" + std::to_string(tools.size());
    std::string_view function;
    if (item.front() == '{')
      for (const auto& member : json_members(item))
        if (member.key == "function") function = member.value;
    if (function.empty() || function.front() != '{')
      return refuse(
          here,
          "found no \"function\" object, wanted {\"type\": \"function\", \"function\": {...}}",
          "wrap the definition so");
    SEEDBED_TRY(auto tool, read_json(function));
    if (tool.value.text("name").empty())
      return refuse(here + "/function/name", "found none, wanted the tool's name", "name the tool");
    tools.push_back(std::move(tool));
  }
  return tools;
}

Result<Role> role_of(std::string_view json, const std::string& at) {
  SEEDBED_TRY(const auto name, text_of(json, at));
  const auto found = std::find(kRoles.begin(), kRoles.end(), name);
  if (found == kRoles.end())
    return refuse(at,
                  "found role '" + name + "', wanted system, user, developer, assistant or tool",
                  "use one of these");
  return static_cast<Role>(found - kRoles.begin());
}

Step add_member(Message& message, const JsonMember& member, const std::string& at) {
  const auto& [key, value] = member;
  const auto here = at + "/" + key;
  const auto set = [](auto& field, auto result) -> Step {
    if (!result.ok()) return result.error();
    field = *std::move(result);
    return std::nullopt;
  };
  if (key == "content") return set(message.content, content_of(value, here));
  if (key == "reasoning_content") return set(message.reasoning_content, text_of(value, here));
  if (key == "tool_call_id") return set(message.tool_call_id, text_of(value, here));
  if (key == "tools") return set(message.tools, tools_of(value, here));
  if (key == "response_format") return set(message.response_format, read_json(value));
  if (key == "tool_calls") {
    if (value.front() != '[')
      return refuse(here, "found no array, wanted the calls", "send an array");
    for (const auto item : json_items(value)) {
      auto call = call_of(item, here + "/" + std::to_string(message.tool_calls.size()));
      if (!call.ok()) return call.error();
      message.tool_calls.push_back(*std::move(call));
    }
    return std::nullopt;
  }
  if (key == "role" || key == "name") return std::nullopt;  // a participant's name has no spelling
  return unknown_key(at, key,
                     {"role", "content", "reasoning_content", "tool_calls", "tool_call_id", "tools",
                      "response_format", "name"});
}

// What each role may carry, so that nothing given is silently dropped.
Step check_message(const Message& message, bool has_content, const std::string& at) {
  const bool frame = message.role == Role::system || message.role == Role::developer;
  const auto misplaced = [&](const char* key, const char* roles) -> Step {
    return refuse(at + "/" + key,
                  "found on a message of role " + std::string(role_name(message.role)) +
                      ", wanted on " + roles,
                  "move it there");
  };
  if (message.role != Role::assistant) {
    if (!message.tool_calls.empty()) return misplaced("tool_calls", "assistant");
    if (!message.reasoning_content.empty()) return misplaced("reasoning_content", "assistant");
  }
  if (message.role != Role::tool && !message.tool_call_id.empty())
    return misplaced("tool_call_id", "tool");
  if (!frame && !message.tools.empty()) return misplaced("tools", "system or developer");
  if (!frame && message.response_format) return misplaced("response_format", "system or developer");
  if (!has_content && (message.role == Role::user || message.role == Role::tool))
    return refuse(at + "/content", "found none, wanted a string",
                  "send the text, \"\" where it is empty");
  return std::nullopt;
}

Result<Message> message_of(std::string_view json, const std::string& at) {
  if (json.front() != '{')
    return refuse(at, "found no object, wanted a message",
                  "send {\"role\": ..., \"content\": ...}");
  Message message;
  bool has_role = false, has_content = false;
  const auto members = json_members(json);
  for (const auto& member : members) {
    if (member.key != "role") continue;
    SEEDBED_TRY(message.role, role_of(member.value, at + "/role"));
    has_role = true;
  }
  if (!has_role) return refuse(at + "/role", "found none, wanted the message's role", "add it");
  for (const auto& member : members) {
    if (is_absent(member.value)) continue;
    has_content = has_content || member.key == "content";
    if (auto error = add_member(message, member, at)) return *std::move(error);
  }
  if (auto error = check_message(message, has_content, at)) return *std::move(error);
  return message;
}

Result<std::vector<Message>> messages_of(std::string_view json, const std::string& at) {
  if (json.empty() || json.front() != '[')
    return refuse(at, "found no array, wanted the messages",
                  "send [...] or {\"messages\": [...], \"tools\": [...]}");
  std::vector<Message> out;
  for (const auto item : json_items(json)) {
    SEEDBED_TRY(auto message, message_of(item, at + "/" + std::to_string(out.size())));
    out.push_back(std::move(message));
  }
  if (out.empty()) return refuse(at, "found no message, wanted at least one", "add a user message");
  return out;
}

bool is_plain_text(const Json& format) {
  return format.value.text("type") == "text";  // OpenAI's name for no format
}

}  // namespace

std::string_view role_name(Role role) {
  return kRoles[static_cast<std::size_t>(role)];
}

Value ToolCall::parsed() const {
  if (trim_json(arguments).empty()) return Value::object();
  auto value = schemas::parse_json(arguments);
  return value.ok() && value->is_object() ? *std::move(value) : Value();
}

Result<std::vector<Message>> parse_conversation(std::string_view json,
                                                const ConversationOptions& options) {
  if (auto value = schemas::parse_json(json); !value.ok())
    return Error{Where::model, value.error().message};
  json = trim_json(json);
  if (json.front() != '{') return messages_of(json, "");
  std::string_view list, tools, format;
  for (const auto& [key, value] : json_members(json)) {
    if (key == "messages")
      list = value;
    else if (is_absent(value))
      continue;
    else if (key == "tools")
      tools = value;
    else if (key == "response_format")
      format = value;
    else if (!options.other_keys)
      return unknown_key("/", key, {"messages", "tools", "response_format"});
  }
  SEEDBED_TRY(auto messages, messages_of(list, "/messages"));
  Message frame;
  if (!tools.empty()) {
    SEEDBED_TRY(frame.tools, tools_of(tools, "/tools"));
  }
  if (!format.empty()) {
    SEEDBED_TRY(auto read, read_json(format));
    if (!is_plain_text(read)) frame.response_format = std::move(read);
  }
  if (frame.tools.empty() && !frame.response_format) return messages;
  if (messages[0].role != Role::system && messages[0].role != Role::developer)
    messages.insert(messages.begin(), Message{.role = Role::system,
                                              .content = {},
                                              .reasoning_content = {},
                                              .tool_calls = {},
                                              .tool_call_id = {},
                                              .tools = {}});
  if ((!messages[0].tools.empty() && !frame.tools.empty()) ||
      (messages[0].response_format && frame.response_format))
    return refuse(
        "/messages/0",
        "found tools or a response format both here and for the whole request, wanted one place",
        "keep those of the request");
  if (!frame.tools.empty()) messages[0].tools = std::move(frame.tools);
  if (frame.response_format) messages[0].response_format = std::move(frame.response_format);
  return messages;
}

}  // namespace seedbed::engine::chat
