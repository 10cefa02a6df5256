// Numbers as decimal texts: exact ranges and multiples, digit by digit.
#pragma once
#include <cstdint>
#include <optional>
#include <vector>

#include "engine/grammar/automaton.h"
#include "schemas/value.h"

namespace seedbed::engine::grammar {

struct NumberRange {
  bool whole = false;  // integers alone
  std::optional<schemas::Value> min, max, above, below;
  std::vector<schemas::Value> multiples;  // of each of them; > 0
  [[nodiscard]] bool bounded() const { return min || max || above || below || !multiples.empty(); }
};

// ok: texts of numbers of the range lead from `from` to `to`. Not all of them: integers have at
// most 18 digits, bounded numbers 15 and no exponent, so that what a reader makes of them is exact.
enum class Numbers : std::uint8_t { ok, none, too_hard };
Numbers add_numbers(RuleBuilder& rule, int from, int to, const NumberRange& range);

}  // namespace seedbed::engine::grammar
