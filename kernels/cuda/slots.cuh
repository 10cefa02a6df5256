// From a position of a row's sequence to its physical slot, for the ops that map pages.
#pragma once
#include "kernels/cuda/device.h"
#include "kernels/paged.h"

namespace seedbed::kernels::KN_NS {

__device__ __forceinline__ const std::int32_t* table_of(const PageTable& table, std::int64_t row) {
  const std::int64_t sequence = table.sequence == nullptr ? 0 : table.sequence[row];
  return table.table + sequence * table.table_stride;
}
// -1 where the position is negative or the table names no page.
__device__ __forceinline__ std::int32_t slot_at(const std::int32_t* table, std::int32_t position) {
  if (position < 0) return -1;
  const std::int32_t page = table[position / kPageTokens];
  return page < 0 ? -1
                  : static_cast<std::int32_t>(static_cast<std::uint32_t>(page) * kPageTokens +
                                              static_cast<std::uint32_t>(position) % kPageTokens);
}

}  // namespace seedbed::kernels::KN_NS
