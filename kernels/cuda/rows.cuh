// What the light ops share: rows in pieces of four numbers, launch shapes, blocks turned into fp8.
//
// "Wide" means that every piece starts at a multiple of its size and the row's length is a multiple
// of the piece, so that a piece is one load of 128 bits. Otherwise the same thread reads the same
// numbers one by one: what a row gives never depends on where it lies.
#pragma once
#include "kernels/cuda/device.h"

namespace seedbed::kernels::KN_NS {

static inline bool aligned(const void* p, std::size_t bytes) {
  return reinterpret_cast<std::uintptr_t>(p) % bytes == 0;
}

// Blocks of up to 256 threads, x along the row, y over rows; the grid's x counts groups of rows.
struct RowShape {
  dim3 grid, block;
};
static inline RowShape row_shape(std::int64_t rows, std::int64_t pieces) {
  unsigned x = 32;
  while (x < 256 && x < pieces) x *= 2;
  const unsigned y = 256 / x;
  return {
      dim3(static_cast<unsigned>(ceil_div(rows, y)), static_cast<unsigned>(ceil_div(pieces, x))),
      dim3(x, y)};
}
__device__ __forceinline__ std::int64_t shape_row() {
  return static_cast<std::int64_t>(blockIdx.x) * blockDim.y + threadIdx.y;
}
__device__ __forceinline__ int shape_piece() {
  return static_cast<int>(blockIdx.y * blockDim.x + threadIdx.x);
}

// The numbers i .. i+3 of a row of n; beyond it 0.
template <bool kWide>
__device__ __forceinline__ float4 load4(const float* row, int i, int n) {
  if constexpr (kWide) return *reinterpret_cast<const float4*>(row + i);
  float4 v = make_float4(0, 0, 0, 0);
  if (i < n) v.x = row[i];
  if (i + 1 < n) v.y = row[i + 1];
  if (i + 2 < n) v.z = row[i + 2];
  if (i + 3 < n) v.w = row[i + 3];
  return v;
}
template <bool kWide>
__device__ __forceinline__ void store4(float* row, int i, int n, float4 v) {
  if constexpr (kWide) {
    *reinterpret_cast<float4*>(row + i) = v;
    return;
  }
  if (i < n) row[i] = v.x;
  if (i + 1 < n) row[i + 1] = v.y;
  if (i + 2 < n) row[i + 2] = v.z;
  if (i + 3 < n) row[i + 3] = v.w;
}

// The largest magnitude; NaN does not count (fmaxf passes it by).
__device__ __forceinline__ float magnitude4(float4 v) {
  return fmaxf(fmaxf(fabsf(v.x), fabsf(v.y)), fmaxf(fabsf(v.z), fabsf(v.w)));
}

// e4m3 of v / scale, the lowest byte first. Where the scale is a power of two its reciprocal is
// exact, and so is the product up to the one rounding that the quotient has too.
__device__ __forceinline__ std::uint32_t quantise4(float4 v, float scale, bool power_of_two) {
  if (power_of_two) {
    const float inverse = __fdiv_rn(1.0F, scale);
    v = make_float4(v.x * inverse, v.y * inverse, v.z * inverse, v.w * inverse);
  } else {
    v = make_float4(__fdiv_rn(v.x, scale), __fdiv_rn(v.y, scale), __fdiv_rn(v.z, scale),
                    __fdiv_rn(v.w, scale));
  }
  return static_cast<std::uint32_t>(f32_to_e4m3_bits(v.x)) |
         static_cast<std::uint32_t>(f32_to_e4m3_bits(v.y)) << 8 |
         static_cast<std::uint32_t>(f32_to_e4m3_bits(v.z)) << 16 |
         static_cast<std::uint32_t>(f32_to_e4m3_bits(v.w)) << 24;
}

// The first `count` bytes of `value` (at most kBytes, a power of two) at an address that is aligned
// to them where kWide.
template <bool kWide, int kBytes, class T>
__device__ __forceinline__ void store_bytes(std::byte* to, T value, int count) {
  static_assert(sizeof(T) == kBytes);
  if constexpr (kWide) {
    *reinterpret_cast<T*>(to) = value;
    return;
  }
  const auto* bytes = reinterpret_cast<const std::byte*>(&value);
#pragma unroll
  for (int i = 0; i < kBytes; ++i)
    if (i < count) to[i] = bytes[i];
}

// Four bf16, the lowest first.
__device__ __forceinline__ uint2 bf16x4(float4 v) {
  return make_uint2(static_cast<std::uint32_t>(f32_to_bf16(v.x)) |
                        static_cast<std::uint32_t>(f32_to_bf16(v.y)) << 16,
                    static_cast<std::uint32_t>(f32_to_bf16(v.z)) |
                        static_cast<std::uint32_t>(f32_to_bf16(v.w)) << 16);
}

}  // namespace seedbed::kernels::KN_NS
