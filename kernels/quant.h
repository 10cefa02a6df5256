// Rounding of activations for the products that want it. Exact: the same bytes on every backend.
#pragma once
#include <cstdint>

#include "kernels/dtype.h"

namespace seedbed::kernels {
class Pool;
// f32 -> bf16, nearest even.
struct CastBf16Params {
  int rows = 0, dim = 0;
  const float* x = nullptr;      // f32 [rows, ldx]
  std::int64_t ldx = 0;          // 0 means dim
  std::uint16_t* out = nullptr;  // bf16 [rows, dim]
  Pool* pool = nullptr;
};
// act_quant of DeepSeek-V3.2-Exp: e4m3 with one scale for 128 channels of a row; the last block of
// a row may be shorter. scale = fp8_scale(amax, ue8m0); code = e4m3(x / scale).
struct ActQuantParams {
  int rows = 0, dim = 0;
  const float* x = nullptr;  // f32 [rows, ldx]
  std::int64_t ldx = 0;
  bool ue8m0 = true;
  std::uint8_t* out = nullptr;  // e4m3 [rows, dim]
  float* scale = nullptr;       // f32 [rows, ceil(dim/128)]
  Pool* pool = nullptr;
};
// The rotation by the normalised Hadamard matrix (Sylvester order, times dim^-0.5, butterflies of
// stride 1, 2, 4 ... in f32, then each times float(1 / sqrt(double(dim)))) and then act_quant. dim
// is a power of two up to 1024. Both indexer queries and keys take it, so that products stay while
// outliers spread (deepseek-v32: rotate_activation).
struct HadamardQuantParams {
  int rows = 0, dim = 0;
  const float* x = nullptr;  // f32 [rows, dim]
  bool ue8m0 = true;
  std::uint8_t* out = nullptr;  // e4m3 [rows, dim]
  float* scale = nullptr;       // f32 [rows, ceil(dim/128)]
  Pool* pool = nullptr;
};
}  // namespace seedbed::kernels
