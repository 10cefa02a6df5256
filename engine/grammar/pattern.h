// An ECMA-262 pattern as a tree.
#pragma once
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "engine/grammar/text_dfa.h"

namespace seedbed::engine::grammar {

constexpr std::uint32_t kForever = 0xffffffff;

struct PatternPart {
  enum class Kind : std::uint8_t { set, sequence, choice, repeat, begin, end };
  Kind kind = Kind::sequence;
  CharSet set;
  std::vector<PatternPart> parts;
  std::uint32_t min = 1, max = 1;
};

// Error{usage} says what is out of the subset. Of valid UTF-8.
Result<PatternPart> read_pattern(std::string_view pattern);

}  // namespace seedbed::engine::grammar
