// The arrays of a TokenBranch as numbers, and back. What is read from a store is checked: sizes
// that do not fit together are an error.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "schemas/trajectory.h"

namespace seedbed::agent {

std::string base64(std::string_view bytes);
Result<std::string> from_base64(std::string_view text);  // Error{store}: no base64 with padding

// Larger kept sets are not recorded (kept_counts -1): they would be most of the vocabulary, token
// for token.
inline constexpr std::int32_t kMaxKeptSet = 4096;

// One sequence while it grows, and as it is read back.
struct TokenArrays {
  std::vector<std::int32_t> ids;
  std::vector<std::uint8_t> mask;
  std::vector<float> logprobs, raw_logprobs;
  std::vector<std::int32_t> kept_counts, kept_ids;
  std::int64_t moe_layers = 0, experts_per_token = 0;
  std::vector<std::uint16_t> routed_experts;  // [routed, moe_layers, experts_per_token]
  std::vector<schemas::TokenSpan> spans;

  // Tokens that nobody sampled; a span of the same role before them is lengthened.
  void add_given(std::string_view role, const std::vector<std::int32_t>& tokens);
  // The first `length` tokens, none of them under loss: how a branch begins that shares them.
  [[nodiscard]] TokenArrays given_prefix(std::size_t length) const;
};

schemas::TokenBranch pack(const TokenArrays& arrays);
// Error{store} naming the array that does not fit.
Result<TokenArrays> unpack(const schemas::TokenBranch& branch);

}  // namespace seedbed::agent
