// A conversation as OpenAI-style clients write it, read without losing what the wire format needs:
// key order, integers of any size, arguments as text.
#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "engine/chat/json_text.h"
#include "schemas/value.h"

namespace seedbed::engine::chat {

enum class Role : std::uint8_t { system, user, developer, assistant, tool };
std::string_view role_name(Role role);

// The "function" object of a tool ({"name", "description", "parameters", ...}), in its own key
// order. Made from a Value or read from text.
using ToolDef = Json;

struct ToolCall {
  std::string id;  // may be empty where results come in the order of the calls
  std::string name;
  std::string arguments;  // text exactly as it was written; "" stands for no arguments
  // The object that `arguments` spells; null where they spell none.
  [[nodiscard]] schemas::Value parsed() const;
};

struct Message {
  Role role = Role::user;
  std::string content;
  std::string reasoning_content;             // assistant
  std::vector<ToolCall> tool_calls;          // assistant
  std::string tool_call_id;                  // tool
  std::vector<ToolDef> tools;                // system, developer
  std::optional<Json> response_format = {};  // system, developer
};

struct ConversationOptions {
  bool other_keys = false;  // a request body: keys beside messages, tools, response_format are
                            // somebody else's
};
// {"messages": [...], "tools": [...]?, "response_format": {...}?} or a bare array of messages.
// Tools and format of the request go to the first message, or to an empty system message put before
// it where it is neither system nor developer. null and [] are taken for an absent key.
// Error{model} names the message and the key.
Result<std::vector<Message>> parse_conversation(std::string_view json,
                                                const ConversationOptions& options = {});

}  // namespace seedbed::engine::chat
