// Conversations as what a model trains on: the text that it sees, in the pieces that it is encoded
// by, with what it would have said marked. Rendered in the engine's chat format, in the way that
// the policy `engine` builds its sequences (agent/token_conversation.h holds that for tokens).
#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "engine/chat/message.h"

namespace seedbed::cli {

// system: the turn before the first message, with the tools. said: a model samples it.
enum class Part : std::uint8_t { system, given, said };
constexpr std::array<std::string_view, 3> enum_names(Part) {
  return {"system", "given", "said"};
}

struct Piece {
  std::string text;
  bool special = false;  // one token, where the vocabulary has it (engine/chat/render.h)
  Part part = Part::given;
  std::int32_t message = -1;  // index of the message that it belongs to, -1: none
  friend bool operator==(const Piece&, const Piece&) = default;
};
using Sequence = std::vector<Piece>;

// One sequence for each stretch between places where the format takes old reasoning back (a new
// user message, in thinking mode); otherwise one. What is said stands in exactly one of them. Empty
// where nobody answers. Error{model}: as chat::render.
Result<std::vector<Sequence>> training_sequences(const std::vector<engine::chat::Message>& messages,
                                                 bool thinking);

// {"sequences": [[[text, special, part, message], ...], ...]} of one line that holds {"messages",
// "tools"?, ...}; {"error": "..."} where it cannot be rendered. Without a line end.
std::string training_line(std::string_view line, bool thinking);

}  // namespace seedbed::cli
