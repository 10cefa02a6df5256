// Multi-head latent attention, absorbed (MQA) form: every head reads the same cached latent.
//   score[h][j] = scale * (q[h][0..c) . latent[j] + q[h][c..c+r) . key[j])
//   out[h] = sum_j softmax(score[h])[j] * latent[j],  lse[h] = log sum_j exp(score[h][j])
// Entries are taken in list order, in splits of kMlaSplit entries: each split has its own maximum
// and sum, and splits are joined in order. So the bits of a row depend on its list alone, not on
// rows, pages or threads. A cached number is what the pages store, widened to f32; q stays f32. A
// row without a valid entry gives out 0 and lse +inf (as FlashMLA). Tolerance between backends:
// FlashMLA's (abs 8e-4 or rel 3.01/128, 1 - cos <= 7e-6); f32 pages 1e-5.
#pragma once
#include "kernels/paged.h"

namespace seedbed::kernels {
class Pool;
constexpr int kMlaSplit = 256;

// Entries are physical slots; a slot < 0 or >= 64 * pages.count is skipped, wherever it stands in
// the list. What unselected slots hold (NaN too) never reaches the result.
struct SparseMlaParams {
  int tokens = 0, heads = 0, c = 0, r = 0, k = 0;
  const float* q = nullptr;  // f32 [tokens, heads, c + r]
  float scale = 1;
  Pages pages;
  const std::int32_t* slots = nullptr;   // i32 [tokens, k]
  const std::int32_t* length = nullptr;  // i32 [tokens]: entries used of each list, or null: k
  float* out = nullptr;                  // f32 [tokens, heads, c]
  float* lse = nullptr;                  // f32 [tokens, heads], or null
  Pool* pool = nullptr;
};
// The list is every position [0, key_end[t]): for contexts up to index_topk, where everything is
// selected. Bit-equal to sparse_mla over the same slots.
struct DenseMlaParams {
  int tokens = 0, heads = 0, c = 0, r = 0;
  const float* q = nullptr;
  float scale = 1;
  Pages pages;
  PageTable table;
  const std::int32_t* key_end = nullptr;  // i32 [tokens]
  float* out = nullptr;
  float* lse = nullptr;
  Pool* pool = nullptr;
};
// The multi-head form, over expanded keys and values: k = [W_UK latent | key], v = W_UV latent. Row
// t attends where mask allows: selected[t] lists positions (ascending, -1 padded), or null: all of
// [0, key_end[t]). Used to check the absorbed form, and by backends for short prompts.
struct DenseMhaParams {
  int tokens = 0, heads = 0, qk_dim = 0, v_dim = 0, keys = 0;
  const float* q = nullptr;  // f32 [tokens, heads, qk_dim]
  float scale = 1;
  const float* k = nullptr;                // f32 [keys, heads, qk_dim]
  const float* v = nullptr;                // f32 [keys, heads, v_dim]
  const std::int32_t* key_end = nullptr;   // i32 [tokens]
  const std::int32_t* selected = nullptr;  // i32 [tokens, selected_count], or null
  int selected_count = 0;
  float* out = nullptr;  // f32 [tokens, heads, v_dim]
  Pool* pool = nullptr;
};
}  // namespace seedbed::kernels
