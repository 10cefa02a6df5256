// Rotary position embedding in place on the first 2*half elements at x + t*token_step +
// h*head_step. interleaved: pairs (2i, 2i+1) (MLA); else (i, i + half) (the indexer). cos and sin
// come from a table of the batch's positions, computed once a forward pass from f32 angles position
// * inv_freq. (a, b) -> (a cos - b sin, b cos + a sin), each product and sum rounded once: the same
// bits on every backend.
#pragma once
#include <cstdint>

namespace seedbed::kernels {
class Pool;
struct RopeParams {
  int tokens = 0, heads = 0, half = 0;
  bool interleaved = true;
  float* x = nullptr;
  std::int64_t token_step = 0, head_step = 0;  // elements
  const float *cos = nullptr, *sin = nullptr;  // f32 [tokens, half]
  Pool* pool = nullptr;
};
}  // namespace seedbed::kernels
