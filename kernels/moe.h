// Routing and movement of tokens between experts. Ids exact on every backend (given equal logits);
// equal scores: the lowest expert wins.
#pragma once
#include <cstdint>

namespace seedbed::kernels {
class Pool;
// DeepSeek-V3's gate ("noaux_tc"): s = sigmoid(logits); choice = s + bias; a group's score is the
// sum of its two highest choices; experts outside the topk_groups best groups are out (-inf, so
// negative biases cannot bring them back); the topk best of the rest by choice, listed in
// descending choice. weight = s, over the sum of the chosen + 1e-20 if normalise, times scale.
struct MoeRouteParams {
  int tokens = 0, experts = 0, groups = 1, topk_groups = 1, topk = 0;
  const float* logits = nullptr;  // f32 [tokens, experts]
  const float* bias = nullptr;    // f32 [experts]
  bool normalise = true;
  float scale = 1;
  const std::int32_t* forced =
      nullptr;  // i32 [tokens, topk]: take these experts (replayed routing), weights are computed
  std::int32_t* ids = nullptr;  // i32 [tokens, topk]
  float* weights = nullptr;     // f32 [tokens, topk]
  Pool* pool = nullptr;
};
// Sorts the tokens' choices by expert, stable in token order: row offsets[e] .. offsets[e+1]-1 of
// `out` are expert e's.
struct MoePermuteParams {
  int tokens = 0, topk = 0, experts = 0, dim = 0;
  const std::int32_t* ids = nullptr;  // i32 [tokens, topk]
  const float* x = nullptr;           // f32 [tokens, dim]
  std::int32_t* offsets = nullptr;    // i32 [experts + 1], written
  std::int32_t* row_of = nullptr;     // i32 [tokens, topk], written: the sorted row of each choice
  float* out = nullptr;               // f32 [tokens * topk, dim], written
  Pool* pool = nullptr;
};
// out[t] = shared[t] + sum_j weights[t][j] * y[row_of[t][j]], j ascending, one rounding each
// product and sum.
struct MoeUnpermuteParams {
  int tokens = 0, topk = 0, dim = 0;
  const float* y = nullptr;  // f32 [tokens * topk, dim]
  const std::int32_t* row_of = nullptr;
  const float* weights = nullptr;
  const float* shared = nullptr;  // f32 [tokens, dim], or null: 0
  float* out = nullptr;           // f32 [tokens, dim]; may be shared
  Pool* pool = nullptr;
};
// out = silu(gate) * up.
struct SiluMulParams {
  std::int64_t count = 0;
  const float *gate = nullptr, *up = nullptr;
  float* out = nullptr;  // may be gate
  Pool* pool = nullptr;
};
}  // namespace seedbed::kernels
