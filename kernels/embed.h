// out[t] = table[ids[t]] as f32. An id outside [0, vocab) is a broken contract: ids are checked
// where they enter. Exact; the same bits on every backend.
#pragma once
#include <cstdint>

#include "kernels/dtype.h"

namespace seedbed::kernels {
class Pool;
struct EmbedParams {
  int tokens = 0, vocab = 0, dim = 0;
  const std::int32_t* ids = nullptr;  // i32 [tokens]
  DType dtype = DType::bf16;          // f32 or bf16
  const void* table = nullptr;        // [vocab, dim]
  float* out = nullptr;               // f32 [tokens, dim]
  Pool* pool = nullptr;
};
}  // namespace seedbed::kernels
