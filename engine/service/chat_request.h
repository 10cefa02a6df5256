// POST /v1/chat/completions as a value: messages, tools, what the answer is held to.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "engine/chat/message.h"
#include "engine/service/common_request.h"

namespace seedbed::engine::service {

struct ChatRequest {
  CommonRequest common;
  std::string model;  // as the client named it
  std::vector<chat::Message> messages;
  bool framed = false;  // messages[0] is a system message of ours, which holds the tools
  bool thinking = false;
  bool logprobs = false, return_token_ids = false;
  std::optional<grammar::ChatFormat> format;  // absent: nothing is masked
};

// `text`: the body, which parse_json took as `body`.
Refusal read_chat(Service& service,
                  const Exchange& exchange,
                  const std::string& text,
                  const schemas::Value& body,
                  ChatRequest& out);
Refusal read_thinking(const Service& service,
                      const schemas::Value& body,
                      bool says_reasoner,
                      ChatRequest& out);
// Messages and tools alone: what /tokenize needs. After read_thinking.
Refusal read_messages(const Service& service,
                      const std::string& text,
                      const schemas::Value& body,
                      ChatRequest& out);

Refusal render_chat(const ChatRequest& request, chat::Rendered& out);

}  // namespace seedbed::engine::service
