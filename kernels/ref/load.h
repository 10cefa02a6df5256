// How the oracles read stored numbers.
#pragma once
#include <cstdint>
#include <cstring>

#include "kernels/paged.h"

namespace seedbed::kernels::ref {

// Element i of an array of dtype; f8 without its scale.
static inline float load(DType dtype, const void* data, std::int64_t i) {
  switch (dtype) {
    case DType::f32: {
      float value = 0;  // pages have no alignment to rely on
      std::memcpy(&value, static_cast<const std::byte*>(data) + 4 * i, 4);
      return value;
    }
    case DType::bf16: {
      std::uint16_t value = 0;
      std::memcpy(&value, static_cast<const std::byte*>(data) + 2 * i, 2);
      return bf16_to_f32(value);
    }
    case DType::f8:
      return e4m3_to_f32(static_cast<const std::uint8_t*>(data)[i]);
  }
  return 0;
}

static inline bool valid_slot(const Pages& pages, std::int64_t slot) {
  return slot >= 0 && slot < std::int64_t{kPageTokens} * pages.count;
}
static inline std::byte* page_of(const Pages& pages, std::int64_t slot) {
  return pages.base + slot / kPageTokens * pages.stride;
}

// The physical slot of position p of row t; -1 where the table names no page.
static inline std::int64_t slot_of(const PageTable& table, std::int64_t t, std::int64_t p) {
  const std::int64_t sequence = table.sequence == nullptr ? 0 : table.sequence[t];
  const std::int64_t page = table.table[sequence * table.table_stride + p / kPageTokens];
  return page < 0 ? -1 : page * kPageTokens + p % kPageTokens;
}

}  // namespace seedbed::kernels::ref
