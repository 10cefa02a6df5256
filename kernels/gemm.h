// out[b][i][j] = sum_k a[b][i][k] * w[b][j][k] ("nt": rows of both run along k), accumulated in
// f32.
//
//   a_dtype  w_dtype  meaning
//   f32      f32      f32 products
//   f32      bf16     w widened to f32 (lm_head, gate, weights_proj: activations are not rounded)
//   bf16     bf16     both as stored
//   f8       f8       e4m3 with scales (DeepSeek-V3.2-Exp, fp8_gemm): each block of 128 k is summed
//   in
//                     f32, then times a_scale[i][kb] * w_scale[j/128][kb] added to the f32 total
//
// The bits of one output element depend on its row of a and its row of w alone: not on rows, batch,
// position in the batch or threads (a row computed alone equals the row computed among many).
// Ragged edges of k and n are allowed. Batched calls (batch > 1) are for f32 activations and for
// bf16. Tolerance between backends: 1 - 2xy/(xx+yy) <= 1e-9 (f32), 1e-6 (bf16, f8).
#pragma once
#include <cstdint>

#include "kernels/dtype.h"

namespace seedbed::kernels {
class Pool;
struct GemmParams {
  int rows = 0, cols = 0, inner = 0;  // m, n, k
  DType a_dtype = DType::f32, w_dtype = DType::f32;
  const void* a = nullptr;         // [rows, lda]
  std::int64_t lda = 0;            // elements between rows; 0 means inner
  const float* a_scale = nullptr;  // f8: f32 [rows, ceil(inner/128)]
  const void* w = nullptr;         // [cols, inner], contiguous
  const float* w_scale = nullptr;  // f8: f32 [ceil(cols/128), ceil(inner/128)]
  float* out = nullptr;            // f32 [rows, ldo]
  std::int64_t ldo = 0;            // 0 means cols
  bool accumulate = false;         // out += instead of out =
  int batch = 1;
  std::int64_t a_step = 0, w_step = 0, out_step = 0;  // elements from one of the batch to the next
  Pool* pool = nullptr;
};

// Rows grouped by expert: rows [offsets[g], offsets[g+1]) of a meet the matrix w[g]. Same
// arithmetic and the same bits as one gemm a group. Groups may be empty.
struct GroupedGemmParams {
  int groups = 0, cols = 0, inner = 0;
  const std::int32_t* offsets = nullptr;  // i32 [groups + 1], offsets[0] = 0
  DType a_dtype = DType::f32, w_dtype = DType::f32;
  const void* a = nullptr;         // [offsets[groups], inner]
  const float* a_scale = nullptr;  // as above
  const void* const* w = nullptr;  // [groups] pointers to [cols, inner]; may be null where empty
  const float* const* w_scale = nullptr;  // [groups]
  float* out = nullptr;                   // f32 [offsets[groups], cols]
  Pool* pool = nullptr;
};

// Logits of chosen rows: out[i] = x[row_index[i]] . w^T, activations f32, w f32 or bf16 widened.
struct LmHeadParams {
  int rows = 0, vocab = 0, dim = 0;
  const float* x = nullptr;                 // f32 [*, dim]
  const std::int32_t* row_index = nullptr;  // i32 [rows], or null: rows 0..rows-1
  DType dtype = DType::bf16;
  const void* w = nullptr;  // [vocab, dim]
  float* out = nullptr;     // f32 [rows, vocab]
  Pool* pool = nullptr;
};
}  // namespace seedbed::kernels
