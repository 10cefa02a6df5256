// The conversation of a chat request: from what clients send to what the format writes.
#include <algorithm>

#include "engine/chat/json_text.h"
#include "engine/chat/render.h"
#include "engine/service/chat_request.h"

namespace seedbed::engine::service {
namespace {

using schemas::Value;

bool is_one_of(std::string_view key, std::initializer_list<std::string_view> known) {
  return std::find(known.begin(), known.end(), key) != known.end();
}

// The object with the members that are known, each as it was written.
template <class Write>
std::string filtered(std::string_view object,
                     std::initializer_list<std::string_view> known,
                     const Write& write) {
  std::string out = "{";
  for (const auto& [key, value] : chat::json_members(object)) {
    if (!is_one_of(key, known)) continue;
    if (out.size() > 1) out += ',';
    chat::append_json_string(key, out);
    out += ':';
    out += write(key, value);
  }
  return out + "}";
}

std::string as_written(std::string_view, std::string_view value) {
  return std::string(value);
}

template <class Write>
std::string each_object(std::string_view array, const Write& write) {
  std::string out = "[";
  for (const auto item : chat::json_items(array)) {
    if (out.size() > 1) out += ',';
    out += item.front() == '{' ? write(item) : std::string(item);
  }
  return out + "]";
}

// Clients send back what other servers put into a message; what this one does not know is left out.
std::string known_message(std::string_view message) {
  return filtered(
      message,
      {"role", "content", "reasoning_content", "tool_calls", "tool_call_id", "tools", "name"},
      [](std::string_view key, std::string_view value) {
        if (key != "tool_calls" || value.front() != '[') return std::string(value);
        return each_object(value, [](std::string_view call) {
          return filtered(call, {"id", "type", "function"},
                          [](std::string_view inner, std::string_view written) {
                            if (inner != "function" || written.front() != '{')
                              return std::string(written);
                            return filtered(written, {"name", "arguments"}, as_written);
                          });
        });
      });
}

std::string known_conversation(std::string_view body) {
  return filtered(body, {"messages", "tools"}, [](std::string_view key, std::string_view value) {
    return key == "messages" && value.front() == '[' ? each_object(value, known_message)
                                                     : std::string(value);
  });
}

// The text of body/response_format/json_schema/schema; empty where it is not there.
std::string_view schema_text(std::string_view body) {
  for (const std::string_view step : {"response_format", "json_schema", "schema"}) {
    std::string_view next;
    if (body.empty() || body.front() != '{') return {};
    for (const auto& [key, value] : chat::json_members(body))
      if (key == step) next = value;
    body = next;
  }
  return body;
}

bool is_user(const chat::Message& message) {
  return message.role == chat::Role::user || message.role == chat::Role::developer;
}

// Reasoning belongs to the messages after the last user's; without it the model would go on from a
// text that nobody wrote.
Refusal check_reasoning(const Value& messages) {
  const auto& items = messages.items();
  std::size_t first = 0;
  for (std::size_t i = 0; i < items.size(); ++i)
    if (const auto role = items[i].text("role"); role == "user" || role == "developer") first = i;
  for (std::size_t i = first; i < items.size(); ++i) {
    if (items[i].text("role") != "assistant") continue;
    const Value* reasoning = items[i].find("reasoning_content");
    if (reasoning != nullptr && reasoning->is_string()) continue;
    Fault out = bad("messages",
                    "Missing `reasoning_content` field in the assistant message at message index " +
                        std::to_string(i) + ", wanted what the model thought before it",
                    "send the message back whole, or switch thinking off");
    return out;
  }
  return std::nullopt;
}

}  // namespace

Refusal read_messages(const Service&,
                      const std::string& text,
                      const Value& body,
                      ChatRequest& out) {
  Fields fields(body);
  const Value* messages = fields.array("messages");
  fields.array("tools");
  if (!fields.ok()) return fields.refusal();
  if (messages == nullptr) return bad("messages", "found none, wanted the conversation");
  if (fields.find("functions") != nullptr || fields.find("function_call") != nullptr)
    return bad("functions", "found the form before 'tools', wanted 'tools' and 'tool_choice'");
  for (std::size_t i = 0; i < messages->items().size(); ++i)
    if (const Value* prefix = messages->items()[i].find("prefix");
        prefix != nullptr && prefix->is_bool() && prefix->as_bool())
      return bad("messages", "found 'prefix' at message index " + std::to_string(i) +
                                 ", wanted a whole conversation: answers are not continued here");
  const std::string_view trimmed = chat::trim_json(text);
  auto read = chat::parse_conversation(known_conversation(trimmed), {.other_keys = true});
  if (!read.ok())
    return bad(read.error().message.find("'/tools") != std::string::npos ? "tools" : "messages",
               read.error());
  out.messages = *std::move(read);
  const Value* tools = fields.find("tools");
  out.framed =
      tools != nullptr && !tools->items().empty() && out.messages.size() > messages->items().size();
  if (out.thinking)
    if (auto refusal = check_reasoning(*messages)) return refusal;
  if (const auto schema = schema_text(trimmed);
      !schema.empty() && body.find("response_format")->text("type") == "json_schema") {
    // The format has a place for it in front.
    if (out.messages[0].role != chat::Role::system &&
        out.messages[0].role != chat::Role::developer) {
      out.messages.insert(out.messages.begin(), chat::Message{.role = chat::Role::system,
                                                              .content = {},
                                                              .reasoning_content = {},
                                                              .tool_calls = {},
                                                              .tool_call_id = {},
                                                              .tools = {}});
      out.framed = true;
    }
    auto json = chat::read_json(schema);
    if (!json.ok()) return bad("response_format", json.error());
    out.messages[0].response_format = *std::move(json);
  }
  return std::nullopt;
}

Refusal render_chat(const ChatRequest& request, chat::Rendered& out) {
  const chat::RenderOptions options{.thinking = request.thinking, .bos = true};
  auto rendered = chat::render(request.messages, options);
  if (!rendered.ok()) {
    if (request.framed) {
      // The client's own numbers of messages, without ours in front.
      const std::vector<chat::Message> own(request.messages.begin() + 1, request.messages.end());
      if (auto again = chat::render(own, options); !again.ok())
        return bad("messages", again.error());
    }
    return bad("messages", rendered.error());
  }
  if (rendered->opens == chat::Opens::nothing) {
    const bool asked = std::any_of(request.messages.begin(), request.messages.end(), is_user);
    return bad("messages",
               std::string("found ") +
                   (asked ? "an assistant message at the end" : "no user message") +
                   ", wanted a user or tool message as the last one",
               "end the conversation with what the model is to answer");
  }
  out = *std::move(rendered);
  return std::nullopt;
}

}  // namespace seedbed::engine::service
