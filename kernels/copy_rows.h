// out[i][0..dim) = x[i][0..dim): parts of rows, moved. Exact.
#pragma once
#include <cstdint>

namespace seedbed::kernels {
class Pool;
struct CopyRowsParams {
  std::int64_t rows = 0;
  int dim = 0;
  const float* x = nullptr;  // f32 [rows, ldx]
  std::int64_t ldx = 0;
  float* out = nullptr;  // f32 [rows, ldo]; does not overlap x
  std::int64_t ldo = 0;
  Pool* pool = nullptr;
};
}  // namespace seedbed::kernels
