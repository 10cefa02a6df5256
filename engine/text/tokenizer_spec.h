// What a tokenizer.json says, read and checked, before tables are made of it.
#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "schemas/value.h"

namespace seedbed::engine::text {

// Limits on a tokenizer from outside.
inline constexpr std::size_t kMaxTokenizerBytes = 64U << 20;
inline constexpr std::int32_t kMaxTokenId = (1 << 21) - 1;
inline constexpr std::size_t kMaxMerges = (1U << 22) - 1;
inline constexpr std::size_t kMaxAddedTokens = 1U << 16;
inline constexpr std::size_t kMaxTokenBytes = 4096;
inline constexpr std::size_t kMaxAddedTokenBytes = 256;
inline constexpr std::size_t kMaxPreTokenizerSteps = 16;

struct AddedToken {
  std::int32_t id = 0;
  std::string content;
  bool special = false;
  bool single_word = false;  // only where no word character stands beside it
  bool lstrip = false;       // takes the white space before it
  bool rstrip = false;       // takes the white space after it
  bool normalized = false;   // looked for after those that are not (no normalizer is computed here)
};

enum class Behavior : std::uint8_t {
  removed,
  isolated,
  merged_with_previous,
  merged_with_next,
  contiguous
};

struct PreTokenizerStep {
  enum class Kind : std::uint8_t { split, digits, byte_level };
  Kind kind = Kind::split;
  std::string pattern;  // split
  bool literal = false;
  bool invert = false;
  Behavior behavior = Behavior::isolated;
  bool individual_digits = false;  // digits
  bool add_prefix_space = false;   // byte_level
  bool use_regex = false;
};

struct Token {
  std::string bytes;
  bool present = false;
  bool byte_level = false;  // spelled in the byte alphabet, so that merges can reach it
};

struct Merge {
  std::int32_t left = 0, right = 0, merged = 0;
};

struct TokenizerSpec {
  std::vector<Token> tokens;  // by id; ids may have holes
  std::array<std::int32_t, 256> byte_ids{};
  std::vector<Merge> merges;  // by rank; of equal pairs the last counts (trainers write some twice)
  bool ignore_merges = false;
  std::vector<AddedToken> added;
  std::vector<PreTokenizerStep> steps;
  std::vector<std::int32_t> prefix, suffix;  // what the post-processor puts around one text
};

// `at` names the source in messages. Refuses by name whatever would not be computed exactly.
Result<TokenizerSpec> read_tokenizer_spec(const schemas::Value& json, std::string_view at);

}  // namespace seedbed::engine::text
