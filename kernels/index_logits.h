// Scores of the lightning indexer (DeepGEMM README, "V3.2 MQA kernels"):
//   out[t][s] = k_scale[s] * sum_h w[t][h] * relu(dot(q[t][h], k[s]))      key_begin[t] <= s <
//   key_end[t] out[t][s] = -inf elsewhere in [0, columns)
// Heads are added in an order that is fixed for a backend and a head count. q's scale, dim^-0.5 and
// heads^-0.5 are folded into w by the caller. The k scale is outside the relu because it is
// positive; with f8 and dim > 128 (several scales a key) the scaled partial dots are summed before
// the relu. One output's bits do not depend on rows, columns or threads. Accumulation f32. f8 and
// bf16 inputs: products are exact. Tolerance between backends: 1 - 2xy/(xx+yy) <= 5e-6, and the
// same -inf cells.
#pragma once
#include "kernels/paged.h"

namespace seedbed::kernels {
class Pool;
struct IndexLogitsParams {  // contiguous keys ("ragged": each row its own range)
  int tokens = 0, heads = 0, dim = 0, columns = 0;
  DType dtype = DType::f8;         // of q and k: f8, bf16 or f32
  const void* q = nullptr;         // [tokens, heads, dim]; f8 without scale (folded into w)
  const float* w = nullptr;        // f32 [tokens, heads]; may be negative
  const void* k = nullptr;         // [columns, dim]
  const float* k_scale = nullptr;  // f8: f32 [columns, ceil(dim/128)]
  const std::int32_t* key_begin = nullptr;  // i32 [tokens], or null: 0
  const std::int32_t* key_end = nullptr;    // i32 [tokens], exclusive
  float* out = nullptr;                     // f32 [tokens, ldo]
  std::int64_t ldo = 0;
  Pool* pool = nullptr;
};
struct IndexLogitsPagedParams {  // keys in pages; row t sees the positions [0, key_end[t]) of its
                                 // sequence
  int tokens = 0, heads = 0, dim = 0, columns = 0;
  const void* q = nullptr;  // [tokens, heads, dim] in pages.dtype
  const float* w = nullptr;
  Pages pages;
  PageTable table;
  const std::int32_t* key_end = nullptr;
  float* out = nullptr;
  std::int64_t ldo = 0;
  Pool* pool = nullptr;
};
// What the caller folds into w: w[i] = (w[i] * fold) * scale[i], scale null: w[i] * fold. Each
// product rounded once: the same bits on every backend.
struct FoldWeightsParams {
  std::int64_t count = 0;
  float* w = nullptr;  // f32 [count], in place
  float fold = 1;
  const float* scale = nullptr;  // f32 [count], or null
  Pool* pool = nullptr;
};
}  // namespace seedbed::kernels
