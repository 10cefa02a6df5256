// Norms over the last dimension, f32 in and out. The sum over a row is the same for any number of
// rows. Tolerance between backends: 1e-6 relative to the row's largest magnitude.
#pragma once
#include <cstdint>

namespace seedbed::kernels {
class Pool;
// y = w * h / sqrt(mean(h^2) + eps), h = x, or residual + x where residual is given; the sum is
// stored back to residual.
struct RmsNormParams {
  int rows = 0, dim = 0;
  const float* x = nullptr;       // f32 [rows, ldx]; may be null with residual: h = residual
  std::int64_t ldx = 0;           // 0 means dim
  float* residual = nullptr;      // f32 [rows, dim] in and out, or null
  const float* weight = nullptr;  // f32 [dim]
  float eps = 1e-6F;
  float* out = nullptr;  // f32 [rows, ldo]; may be x
  std::int64_t ldo = 0;
  Pool* pool = nullptr;
};
// y = (x - mean) / sqrt(var + eps) * weight + bias, variance without Bessel's correction.
struct LayerNormParams {
  int rows = 0, dim = 0;
  const float* x = nullptr;
  const float *weight = nullptr, *bias = nullptr;  // f32 [dim]
  float eps = 1e-6F;
  float* out = nullptr;  // f32 [rows, dim]; may be x
  Pool* pool = nullptr;
};
}  // namespace seedbed::kernels
