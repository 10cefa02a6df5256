// Number formats that weights, activations and caches are stored in, and their exact conversions.
// Everything here has internal linkage on purpose: files built for different instruction sets each
// get their own copy.
#pragma once
#include <bit>
#include <cstdint>

// Callable on a device too, where CUDA sources include this (with --expt-relaxed-constexpr).
#if defined(__CUDACC__)
#define KERNEL_HD __host__ __device__
#else
#define KERNEL_HD
#endif

namespace seedbed::kernels {

enum class DType : std::uint8_t { f32, bf16, f8 };  // f8: e4m3fn, largest 448, NaN = 0x7f and 0xff

KERNEL_HD static inline int bytes_of(DType dtype) {
  return dtype == DType::f32 ? 4 : dtype == DType::bf16 ? 2 : 1;
}

KERNEL_HD static inline float bf16_to_f32(std::uint16_t x) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(x) << 16);
}
// Round to nearest, ties to even; NaN stays NaN.
KERNEL_HD static inline std::uint16_t f32_to_bf16(float x) {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  if ((bits & 0x7fffffffU) > 0x7f800000U) return static_cast<std::uint16_t>((bits >> 16) | 0x40U);
  return static_cast<std::uint16_t>((bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16);
}
KERNEL_HD static inline float e4m3_to_f32(std::uint8_t x) {
  const std::uint32_t sign = static_cast<std::uint32_t>(x & 0x80U) << 24;
  if ((x & 0x7fU) == 0x7fU) return std::bit_cast<float>(sign | 0x7fc00000U);
  // The seven bits as a float's exponent and mantissa, its bias corrected by 2^120: right for
  // subnormals too.
  const std::uint32_t magnitude = static_cast<std::uint32_t>(x & 0x7fU) << 20;
  const float value = std::bit_cast<float>(magnitude) * 0x1p120F;
  return std::bit_cast<float>(std::bit_cast<std::uint32_t>(value) | sign);
}
// Round to nearest, ties to even; beyond 448 saturates; NaN gives NaN.
KERNEL_HD static inline std::uint8_t f32_to_e4m3(float x) {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  const auto sign = static_cast<std::uint8_t>((bits >> 24) & 0x80U);
  const std::uint32_t magnitude = bits & 0x7fffffffU;
  if (magnitude > 0x7f800000U) return static_cast<std::uint8_t>(sign | 0x7fU);
  if (magnitude >= 0x43e00000U) return static_cast<std::uint8_t>(sign | 0x7eU);  // >= 448
  if (magnitude < 0x3c800000U) {  // below 2^-6: steps of 2^-9, done by the adder's own rounding
    const float shifted = std::bit_cast<float>(magnitude) + 0x1p14F;
    return static_cast<std::uint8_t>(sign | (std::bit_cast<std::uint32_t>(shifted) & 0xfU));
  }
  const std::uint32_t rounded = magnitude + 0x7ffffU + ((magnitude >> 20) & 1U);
  const std::uint32_t code = (rounded >> 20) - (120U << 3);
  return static_cast<std::uint8_t>(sign | (code > 0x7eU ? 0x7eU : code));
}

constexpr int kQuantBlock = 128;  // channels that share one fp8 scale
KERNEL_HD static inline int quant_blocks(int channels) {
  return (channels + kQuantBlock - 1) / kQuantBlock;
}
// The scale of a block whose largest magnitude is amax (DeepSeek-V3.2-Exp, act_quant): amax, at
// least 1e-4, over 448; with ue8m0 rounded up to a power of two.
KERNEL_HD static inline float fp8_scale(float amax, bool ue8m0) {
  const float scale = (amax < 1e-4F ? 1e-4F : amax) / 448.0F;
  if (!ue8m0) return scale;
  const auto bits = std::bit_cast<std::uint32_t>(scale);
  const std::uint32_t up = (bits & 0x7fffffU) != 0 ? 1U : 0U;
  return std::bit_cast<float>(((bits >> 23) + up) << 23);
}

// The scale of a block of a cached latent (FlashMLA's quant.py): amax over 448, at least 1e-4,
// rounded up to a power of two.
KERNEL_HD static inline float latent_scale(float amax) {
  const float scale = amax / 448.0F;
  const auto bits = std::bit_cast<std::uint32_t>(scale < 1e-4F ? 1e-4F : scale);
  const std::uint32_t up = (bits & 0x7fffffU) != 0 ? 1U : 0U;
  return std::bit_cast<float>(((bits >> 23) + up) << 23);
}

}  // namespace seedbed::kernels
