// The OpenAI chat dialect as pure functions: what is sent, and how an answer is read. No network
// here.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "agent/client.h"
#include "agent/http_options.h"

namespace seedbed::agent {

// The messages of a conversation. Reasoning goes back inside a tool loop and is dropped once a
// newer user message stands. `tells_reasoning`: the endpoint gives reasoning a member of its own,
// and wants it back even where it is empty.
schemas::Value chat_messages(const View& view, bool tells_reasoning = false);
schemas::Value chat_tools(const std::vector<schemas::Tool>& tools);
// `seed` in 63 bits.
std::string request_body(const View& view,
                         const HttpOptions& options,
                         std::uint64_t seed,
                         bool tells_reasoning = false);

// Reads a 2xx body. Error{model} names `url` and the first bytes found; what the model itself did
// wrong is a Malformed.
Result<Reply> parse_chat_reply(std::string_view body, const std::string& url);
// Whether an error body says that the prompt is longer than the model's window.
bool says_context_exceeded(std::string_view body);

// The URL for people: without user, password, query and fragment.
std::string shown_url(std::string_view url);
// The first bytes of a body for people: one line, printable, bounded.
std::string first_bytes(std::string_view body);

}  // namespace seedbed::agent
