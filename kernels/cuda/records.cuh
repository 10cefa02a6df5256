// Where a token's records lie in the pages, and how four numbers of a row get there.
#pragma once
#include "kernels/cuda/rows.cuh"
#include "kernels/paged.h"

namespace seedbed::kernels::KN_NS {

__device__ __forceinline__ std::byte* page_holding(const Pages& pages, std::int64_t slot) {
  return pages.base + slot / kPageTokens * pages.stride;
}
__device__ __forceinline__ bool slot_exists(const Pages& pages, std::int64_t slot) {
  return slot >= 0 && slot < std::int64_t{kPageTokens} * pages.count;
}

// Numbers i .. i+3 of a row of n, stored as kType from `to` on (its number 0). kAligned: all at
// multiples of their size.
template <DType kType, bool kAligned>
__device__ __forceinline__ void store_numbers(std::byte* to, int i, int n, float4 v) {
  const int left = n - i < 4 ? n - i : 4;
  if constexpr (kType == DType::bf16)
    store_bytes<kAligned, 8>(to + 2 * i, bf16x4(v), 2 * left);
  else
    store_bytes<kAligned, 16>(to + 4 * i, v, 4 * left);
}

// Numbers i .. i+3 of a warp's block of a latent of c, in an f8 record.
template <bool kAligned>
__device__ __forceinline__ void store_latent_f8(std::byte* record, int i, int c, float4 v) {
  const float scale = latent_scale(warp_max(magnitude4(v)));
  if (threadIdx.x % 32 == 0) store_bytes<kAligned, 4>(record + c + 4 * (i / kQuantBlock), scale, 4);
  if (i < c) store_bytes<kAligned, 4>(record + i, quantise4(v, scale, true), c - i);
}

// Whether a latent record's parts may be stored in units of four numbers.
static inline bool records_aligned(const Pages& pages, int c, int r) {
  const int unit = pages.dtype == DType::f32 ? 16 : 8, number = pages.dtype == DType::f32 ? 4 : 2;
  const int record = kv_record_bytes(pages.dtype, c, r);
  return c % 4 == 0 && r % 4 == 0 && aligned(pages.base, static_cast<std::size_t>(unit)) &&
         pages.stride % unit == 0 && record % unit == 0 && (record - r * number) % unit == 0;
}

}  // namespace seedbed::kernels::KN_NS
