// GPT-2's byte alphabet: each byte is spelled as one printable character, so that tokens of
// arbitrary bytes are text.
#pragma once
#include <optional>
#include <string>
#include <string_view>

namespace seedbed::engine::text {

std::string spell_bytes(std::string_view bytes);
// The bytes that a spelling stands for; nothing where a character is not of the alphabet.
std::optional<std::string> read_spelling(std::string_view spelling);

}  // namespace seedbed::engine::text
