// Texts as bytes: inside the quotes of JSON, or as they are.
#pragma once
#include <cstdint>
#include <string_view>

#include "engine/grammar/automaton.h"
#include "engine/grammar/text_dfa.h"

namespace seedbed::engine::grammar {

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
              std::uint8_t flags = kPlain);
// Any JSON string with all its escapes, from after its opening quote up to its closing quote
// included. `counted`: each character is a counted edge, and the end needs enough of them.
void add_string_body(RuleBuilder& rule, int from, bool counted, int to);
// Characters of valid UTF-8, one after the other; `to` is left as it is reached.
void add_characters(RuleBuilder& rule,
                    int from,
                    std::uint32_t lo,
                    std::uint32_t hi,
                    int to,
                    std::uint8_t flags = kPlain);

}  // namespace seedbed::engine::grammar
