// The k highest of the first length[t] scores of each row, exactly; equal scores: the lowest index
// wins (-0 equals +0; NaN ranks below -inf, -inf below all else: selected only where nothing else
// is left). Indices ascend; a row with fewer than k scores lists all of them and pads with -1. Same
// output on every backend.
#pragma once
#include <cstdint>

#include "kernels/paged.h"

namespace seedbed::kernels {
class Pool;
struct TopkSelectParams {
  int rows = 0, k = 0;
  const float* scores = nullptr;  // f32 [rows, lds]
  std::int64_t lds = 0;
  const std::int32_t* length = nullptr;  // i32 [rows], 0 <= length <= lds
  std::int32_t* out = nullptr;           // i32 [rows, k]
  Pool* pool = nullptr;
};
// Logical positions -> physical slots of the row's sequence; anything negative stays -1.
struct MapSlotsParams {
  int rows = 0, k = 0;
  const std::int32_t* positions = nullptr;  // i32 [rows, k]
  PageTable table;
  std::int32_t* slots = nullptr;  // i32 [rows, k]; may be positions
  Pool* pool = nullptr;
};
}  // namespace seedbed::kernels
