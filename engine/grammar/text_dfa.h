// Automata over Unicode characters: what a string may say, before it is spelled in bytes.
// Surrogates are no characters. All operations are bounded: nothing comes back where a bound is
// met.
#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace seedbed::engine::grammar {

constexpr std::uint32_t kLastChar = 0x10ffff;

// Ascending, disjoint, not touching.
struct CharRange {
  std::uint32_t lo = 0, hi = 0;
  friend bool operator==(const CharRange&, const CharRange&) = default;
};
using CharSet = std::vector<CharRange>;

CharSet all_chars();
CharSet normal_set(CharSet ranges);  // any order, overlapping
CharSet complement(const CharSet& set);
bool contains(const CharSet& set, std::uint32_t c);

// Deterministic; what has no edge is refused. State 0 is the start. No states: nothing is accepted.
struct TextDfa {
  struct Edge {
    std::uint32_t lo, hi, to;
  };
  struct State {
    std::vector<Edge> edges;  // ascending, disjoint
    bool accept = false;
  };
  std::vector<State> states;
};

constexpr std::size_t kMaxTextStates = 8'000;

TextDfa any_text();
TextDfa text_of_length(std::size_t min, std::optional<std::size_t> max);  // max <= kMaxTextStates
TextDfa text_among(const std::vector<std::string>& words);
TextDfa text_without(const std::vector<std::string>& words);  // none of them occurs inside
TextDfa not_among(const std::vector<std::string>& words);
std::optional<TextDfa> both(const TextDfa& a, const TextDfa& b);
TextDfa neither(const TextDfa& a);  // the complement
// Only states that lie on a way to acceptance, equivalent ones merged.
TextDfa minimal(const TextDfa& a);
bool accepts(const TextDfa& a, std::string_view text);
// How many texts there are, at most `bound`.
std::uint64_t count_texts(const TextDfa& a, std::uint64_t bound);
// How many of the shortest ones.
std::uint64_t count_shortest(const TextDfa& a, std::uint64_t bound);

// What a search for an ECMA-262 pattern finds: classes, groups, alternatives, quantifiers, anchors.
// Where engines differ (\s, '.'), only what all of them find. Error: what is out of the subset.
Result<TextDfa> text_matching(std::string_view pattern);

// Texts of RFC 3339 that exist: full-date; date-time without leap seconds.
const TextDfa& date_text();
const TextDfa& date_time_text();

std::vector<std::uint32_t> characters(std::string_view text);  // of valid UTF-8

}  // namespace seedbed::engine::grammar
