// Writes new tokens into their pages. slot < 0 or beyond the pages: the token is skipped. Exact:
// the same bytes on every backend.
#pragma once
#include "kernels/paged.h"

namespace seedbed::kernels {
class Pool;
// f8: the latent is quantised by 128 channels with power-of-two scales, latent_scale(amax); the
// rotated key is stored as bf16.
struct KvWriteParams {
  int tokens = 0, c = 0, r = 0;
  const float* latent = nullptr;  // f32 [tokens, latent_step]
  std::int64_t latent_step = 0;
  const float* key = nullptr;  // f32 [tokens, key_step], already rotated
  std::int64_t key_step = 0;
  const std::int32_t* slots = nullptr;  // i32 [tokens]
  Pages pages;
  Pool* pool = nullptr;
};
// f8: k is e4m3 [tokens, d] with scale f32 [tokens, ceil(d/128)] (from hadamard_quant); else f32
// [tokens, d], stored in the pages' dtype.
struct IndexWriteParams {
  int tokens = 0, d = 0;
  const void* k = nullptr;
  const float* scale = nullptr;
  const std::int32_t* slots = nullptr;
  Pages pages;
  Pool* pool = nullptr;
};
}  // namespace seedbed::kernels
