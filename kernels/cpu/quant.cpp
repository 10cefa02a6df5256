// Rounding of activations. Loops without branches, which the compiler turns into lanes for each
// instruction set; the arithmetic is that of dtype.h, bit for bit.
#include "kernels/quant.h"

#include <cmath>

#include "kernels/cpu/ops_here.h"
#include "kernels/pool.h"
#if defined(SEEDBED_ISA_avx512)
#include "kernels/cpu/avx512/quant_lanes.h"
#endif

namespace seedbed::kernels::SEEDBED_ISA {
namespace {

inline std::uint32_t bits_of(float x) {
  return __builtin_bit_cast(std::uint32_t, x);
}
inline float float_of(std::uint32_t x) {
  return __builtin_bit_cast(float, x);
}

// f32_to_bf16 without its branch.
inline void cast_row(const float* __restrict x, int count, std::uint16_t* __restrict out) {
  for (int i = 0; i < count; ++i) {
    const std::uint32_t bits = bits_of(x[i]);
    const std::uint32_t rounded = (bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16;
    const std::uint32_t nan = (bits >> 16) | 0x40U;
    out[i] = static_cast<std::uint16_t>((bits & 0x7fffffffU) > 0x7f800000U ? nan : rounded);
  }
}

#if !defined(SEEDBED_ISA_avx512)  // cpu/avx512/quant_lanes.h
// f32_to_e4m3 without its branches: both ways of rounding are computed, one is taken.
inline std::uint32_t code_of(float x) {
  const std::uint32_t bits = bits_of(x), sign = (bits >> 24) & 0x80U;
  const std::uint32_t magnitude = bits & 0x7fffffffU;
  const std::uint32_t small = bits_of(float_of(magnitude) + 0x1p14F) & 0xfU;
  const std::uint32_t normal = ((magnitude + 0x7ffffU + ((magnitude >> 20) & 1U)) >> 20) - 960U;
  std::uint32_t code = magnitude < 0x3c800000U ? small : normal;
  code = magnitude >= 0x43e00000U ? 0x7eU : code;
  code = magnitude > 0x7f800000U ? 0x7fU : code;
  return code | sign;
}

// The largest magnitude; NaN is passed over. As integers, magnitudes order as the floats do.
// Sixteen of them at once, spelled out: the compiler does not find it in the plain loop.
inline float largest_of(const float* x, int count) {
  constexpr int kAtOnce = 16;
  std::int32_t most[kAtOnce] = {};
  const auto magnitude_of = [](float v) {
    const auto magnitude = static_cast<std::int32_t>(bits_of(v) & 0x7fffffffU);
    return magnitude > 0x7f800000 ? 0 : magnitude;
  };
  int i = 0;
  for (; i + kAtOnce <= count; i += kAtOnce)
    for (int j = 0; j < kAtOnce; ++j) {
      const std::int32_t magnitude = magnitude_of(x[i + j]);
      most[j] = magnitude > most[j] ? magnitude : most[j];
    }
  for (int j = 0; i + j < count; ++j) {
    const std::int32_t magnitude = magnitude_of(x[i + j]);
    most[j] = magnitude > most[j] ? magnitude : most[j];
  }
  for (int half = kAtOnce / 2; half > 0; half /= 2)
    for (int j = 0; j < half; ++j) most[j] = most[j] > most[j + half] ? most[j] : most[j + half];
  return float_of(static_cast<std::uint32_t>(most[0]));
}

inline void quantise_block(
    const float* __restrict x, int count, bool ue8m0, std::uint8_t* __restrict out, float* scale) {
  const float s = fp8_scale(largest_of(x, count), ue8m0);
  *scale = s;
  for (int i = 0; i < count; ++i) out[i] = static_cast<std::uint8_t>(code_of(x[i] / s));
}

#endif

inline void quantise_row(const float* x, int dim, bool ue8m0, std::uint8_t* out, float* scale) {
  int at = 0;
  for (; at + kQuantBlock <= dim; at += kQuantBlock)
    quantise_block(x + at, kQuantBlock, ue8m0, out + at, scale++);
  if (at < dim) quantise_block(x + at, dim - at, ue8m0, out + at, scale);
}

// One pass of butterflies: pairs at distance S become their sum and difference.
template <int S>
inline void butterflies(float* y, int dim) {
  for (int i = 0; i < dim; i += 2 * S)
    for (int j = 0; j < S; ++j) {
      const float a = y[i + j], b = y[i + j + S];
      y[i + j] = a + b;
      y[i + j + S] = a - b;
    }
}

void rotate_row(const float* x, int dim, float factor, float* y) {
#if defined(SEEDBED_ISA_avx512)
  const bool within = dim >= 16;
  for (int i = 0; within && i < dim; i += 16)
    _mm512_storeu_ps(y + i, butterflies_within(_mm512_loadu_ps(x + i)));
#else
  constexpr bool within = false;
#endif
  if (!within) {
    for (int i = 0; i < dim; ++i) y[i] = x[i];
    if (dim > 1) butterflies<1>(y, dim);
    if (dim > 2) butterflies<2>(y, dim);
    if (dim > 4) butterflies<4>(y, dim);
    if (dim > 8) butterflies<8>(y, dim);
  }
  if (dim > 16) butterflies<16>(y, dim);
  if (dim > 32) butterflies<32>(y, dim);
  if (dim > 64) butterflies<64>(y, dim);
  if (dim > 128) butterflies<128>(y, dim);
  if (dim > 256) butterflies<256>(y, dim);
  if (dim > 512) butterflies<512>(y, dim);
  for (int i = 0; i < dim; ++i) y[i] *= factor;
}

// Rows a piece of work: few enough to share, enough to be worth handing out.
std::int64_t rows_a_piece(int dim) {
  constexpr int kElements = 16'384;
  return dim >= kElements || dim <= 0 ? 1 : kElements / dim;
}

}  // namespace

void cast_bf16(const CastBf16Params& p) {
  KERNEL_CHECK(p.rows >= 0 && p.dim >= 0, p.rows, p.dim);
  const std::int64_t ldx = p.ldx != 0 ? p.ldx : p.dim;
  parallel_for(p.pool, p.rows, rows_a_piece(p.dim), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = begin; r < end; ++r) cast_row(p.x + r * ldx, p.dim, p.out + r * p.dim);
  });
}

void act_quant(const ActQuantParams& p) {
  KERNEL_CHECK(p.rows >= 0 && p.dim >= 0, p.rows, p.dim);
  const std::int64_t ldx = p.ldx != 0 ? p.ldx : p.dim;
  parallel_for(p.pool, p.rows, rows_a_piece(p.dim), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = begin; r < end; ++r)
      quantise_row(p.x + r * ldx, p.dim, p.ue8m0, p.out + r * p.dim,
                   p.scale + r * quant_blocks(p.dim));
  });
}

void hadamard_quant(const HadamardQuantParams& p) {
  KERNEL_CHECK(p.dim >= 1 && p.dim <= 1024 && (p.dim & (p.dim - 1)) == 0, p.dim, 1024);
  const auto factor = static_cast<float>(1.0 / std::sqrt(static_cast<double>(p.dim)));
  parallel_for(p.pool, p.rows, rows_a_piece(p.dim), [&](std::int64_t begin, std::int64_t end) {
    alignas(64) float y[1024];
    for (std::int64_t r = begin; r < end; ++r) {
      rotate_row(p.x + r * p.dim, p.dim, factor, y);
      quantise_row(y, p.dim, p.ue8m0, p.out + r * p.dim, p.scale + r * quant_blocks(p.dim));
    }
  });
}

}  // namespace seedbed::kernels::SEEDBED_ISA
