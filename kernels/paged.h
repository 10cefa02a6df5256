// The byte layout of cached keys and values: pages of 64 tokens, one layer's pages at a fixed
// stride. One definition for every op that reads or writes them. Sources: FlashMLA (656 bytes a
// token at c = 512, r = 64), DeepGEMM (132 bytes a token at d = 128, keys of the page first, then
// scales).
#pragma once
#include <cstddef>
#include <cstdint>

#include "kernels/dtype.h"

namespace seedbed::kernels {

constexpr int kPageTokens = 64;

// One token's latent record: f8: c e4m3, ceil(c/128) f32 scales, r bf16 of rotated key. bf16, f32:
// c + r numbers.
KERNEL_HD static inline int kv_record_bytes(DType dtype, int c, int r) {
  return dtype == DType::f8 ? c + 4 * quant_blocks(c) + 2 * r : (c + r) * bytes_of(dtype);
}
// One page of index keys: 64 keys of d numbers, then for f8 64 x ceil(d/128) f32 scales.
KERNEL_HD static inline int index_page_bytes(DType dtype, int d) {
  return kPageTokens * (dtype == DType::f8 ? d + 4 * quant_blocks(d) : d * bytes_of(dtype));
}

// Pages of one layer. Slot s = page s / 64, token s % 64 within it. Memory is the caller's.
struct Pages {
  std::byte* base = nullptr;
  std::int64_t stride = 0;  // bytes from one page to the next
  std::int32_t count = 0;   // pages; a slot or page id outside is invalid
  DType dtype = DType::f8;
};

// Which pages hold the logical positions of each row's sequence: position p of row t lies in page
// table[sequence[t] * table_stride + p / 64]. sequence may be null: all rows are of sequence 0.
struct PageTable {
  const std::int32_t* table = nullptr;
  std::int64_t table_stride = 0;
  const std::int32_t* sequence = nullptr;
};

}  // namespace seedbed::kernels
