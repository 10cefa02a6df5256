// Pieces that the tensor-core kernels share: 16-byte loads, widening e4m3 to 16 bits, cutting f32
// into bf16 parts.
//
// All of them take a row's numbers 16 bytes (a "chunk") at a time: lane 4g + t holds chunk t of row
// g. mma wants k = 2t, 2t + 1, 2t + 8, 2t + 9 in a lane; which number of a row is called which k is
// free as long as both operands agree, so mma s of a chunk takes the lane's numbers 4s .. 4s + 3.
// No shuffle, no ldmatrix, and the same products in the same mma wherever a row comes from.
#pragma once
#include "kernels/cuda/device.h"

namespace seedbed::kernels::KN_NS {
namespace {

// 16 bytes at p, of which the first `count` exist, the rest is zero. p has any alignment.
__device__ __forceinline__ uint4 load16_bytes(const std::byte* p, int count) {
  std::uint32_t word[4] = {0, 0, 0, 0};
#pragma unroll
  for (int i = 0; i < 16; ++i)
    if (i < count) word[i / 4] |= static_cast<std::uint32_t>(p[i]) << (8 * (i % 4));
  return make_uint4(word[0], word[1], word[2], word[3]);
}
// kAligned: p is 16-byte aligned and count is 16 or <= 0.
template <bool kAligned>
__device__ __forceinline__ uint4 load16(const std::byte* p, int count) {
  if constexpr (kAligned)
    return count > 0 ? *reinterpret_cast<const uint4*>(p) : make_uint4(0, 0, 0, 0);
  else
    return load16_bytes(p, count);
}

// The two 16-bit formats that mma takes.
enum class Half { bf16, f16 };

// Products of pairs, and f32 to pairs and back.
template <Half half>
__device__ __forceinline__ std::uint32_t times(std::uint32_t a, std::uint32_t b) {
  if constexpr (half == Half::bf16) {
    const __nv_bfloat162 product = __hmul2(*reinterpret_cast<const __nv_bfloat162*>(&a),
                                           *reinterpret_cast<const __nv_bfloat162*>(&b));
    return *reinterpret_cast<const std::uint32_t*>(&product);
  } else {
    const __half2 product =
        __hmul2(*reinterpret_cast<const __half2*>(&a), *reinterpret_cast<const __half2*>(&b));
    return *reinterpret_cast<const std::uint32_t*>(&product);
  }
}
template <Half half>
__device__ __forceinline__ std::uint32_t pack(float low, float high) {
  if constexpr (half == Half::bf16) {
    return pack_bf16(low, high);
  } else {
    const __half2 pair = __floats2half2_rn(low, high);
    return *reinterpret_cast<const std::uint32_t*>(&pair);
  }
}
template <Half half>
__device__ __forceinline__ float2 unpack(std::uint32_t pair) {
  if constexpr (half == Half::bf16)
    return unpack_bf16(pair);
  else
    return __half22float2(*reinterpret_cast<const __half2*>(&pair));
}
template <Half half>
__device__ __forceinline__ void mma(float (&c)[4],
                                    const std::uint32_t (&a)[4],
                                    const std::uint32_t (&b)[2]) {
  if constexpr (half == Half::bf16)
    mma_bf16(c, a, b);
  else
    mma_f16(c, a, b);
}

// e4m3 codes in the high byte of each half to bf16 or f16, exactly: exponent and mantissa moved to
// where the format has them, then times 2^120 (2^8), the difference of the biases; subnormals come
// out right. What the low bytes hold does not matter. NaN comes out as 480.
template <Half half>
__device__ __forceinline__ std::uint32_t widen_spread(std::uint32_t spread) {
  if constexpr (half == Half::bf16)
    return times<half>(((spread >> 4) & 0x07f007f0U) | (spread & 0x80008000U), 0x7b807b80U);
  else
    return times<half>(((spread >> 1) & 0x3f803f80U) | (spread & 0x80008000U), 0x5c005c00U);
}
__device__ __forceinline__ std::uint32_t nan_bytes(std::uint32_t codes) {
  return ((codes & 0x7f7f7f7fU) + 0x01010101U) & 0x80808080U;
}
template <Half half>
__device__ __forceinline__ std::uint32_t nan_for_480(std::uint32_t pair) {
  constexpr std::uint32_t found = half == Half::bf16 ? 0x43f0U : 0x5f80U;
  if ((pair & 0x7fffU) == found) pair |= 0x7fffU;
  if ((pair & 0x7fff0000U) == found << 16) pair |= 0x7fff0000U;
  return pair;
}
// 16 codes to 8 pairs, ascending.
template <Half half>
__device__ __forceinline__ void widen16(const uint4& codes, std::uint32_t (&pair)[8]) {
  const std::uint32_t word[4] = {codes.x, codes.y, codes.z, codes.w};
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    pair[2 * i] = widen_spread<half>(__byte_perm(word[i], 0, 0x1404));
    pair[2 * i + 1] = widen_spread<half>(__byte_perm(word[i], 0, 0x3424));
  }
  if ((nan_bytes(word[0]) | nan_bytes(word[1]) | nan_bytes(word[2]) | nan_bytes(word[3])) != 0)
#pragma unroll
    for (int i = 0; i < 8; ++i) pair[i] = nan_for_480<half>(pair[i]);
}

// x = high + mid + low, each a bf16 (by truncation: 8 bits each, 24 in all), exactly; infinities
// become NaN.
struct Parts {
  std::uint32_t high, mid, low;
};
__device__ __forceinline__ Parts cut3(float x, float y) {
  Parts parts;
  parts.high = __byte_perm(__float_as_uint(x), __float_as_uint(y), 0x7632);
  x = __fsub_rn(x, __uint_as_float(__float_as_uint(x) & 0xffff0000U));
  y = __fsub_rn(y, __uint_as_float(__float_as_uint(y) & 0xffff0000U));
  parts.mid = __byte_perm(__float_as_uint(x), __float_as_uint(y), 0x7632);
  x = __fsub_rn(x, __uint_as_float(__float_as_uint(x) & 0xffff0000U));
  y = __fsub_rn(y, __uint_as_float(__float_as_uint(y) & 0xffff0000U));
  parts.low = __byte_perm(__float_as_uint(x), __float_as_uint(y), 0x7632);
  return parts;
}

}  // namespace
}  // namespace seedbed::kernels::KN_NS
