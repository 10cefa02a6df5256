// Texts as bytes: inside the quotes of JSON, or as they are.
#pragma once
#include <cstdint>
#include <string_view>

#include "engine/grammar/automaton.h"
#include "engine/grammar/text_dfa.h"

namespace seedbed::engine::grammar {

// Left out where a reader would take tags for what they are although they stand in a string: the
// bar of DSML's marker. Escaped it does no harm.
constexpr std::uint32_t kBar = 0xff5c;

enum class Spelling : std::uint8_t {
  json,       // between quotes: escapes only where they are needed
  key,        // between quotes, no escapes: what would need one is left out
  attribute,  // a name in a tag: neither escapes nor what ends a tag
  raw
};

// The texts of `text` lead from `from` to `to`. `flags` stand at each character.
void add_text(RuleBuilder& rule,
              int from,
              const TextDfa& text,
              Spelling spelling,
              int to,
              std::uint8_t flags = kPlain,
              bool no_bar = false);
// Any JSON string with all its escapes, from after its opening quote up to its closing quote
// included. `counted`: each character is a counted edge, and the end needs enough of them.
void add_string_body(RuleBuilder& rule, int from, bool counted, int to, bool no_bar);

}  // namespace seedbed::engine::grammar
