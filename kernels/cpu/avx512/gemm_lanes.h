// Vectors of the AVX-512 matrix products: e4m3 to bf16, multiply-add by kind of number, sums.
#pragma once
#include <immintrin.h>

#include "kernels/cpu/gemm_drive.h"

namespace seedbed::kernels::SEEDBED_ISA {
namespace {

constexpr int kVector = 64;  // bytes
constexpr int kTileCols = 4;
constexpr int kBlockVectors = 4;  // f8: a block of 128 k, widened

// The two bytes of each non-negative e4m3 code, times a power of two, as bf16.
struct CodeTable {
  alignas(64) std::uint8_t high[128];
  alignas(64) std::uint8_t low[128];
};
constexpr CodeTable make_code_table(int exponent) {
  CodeTable table{};
  for (unsigned code = 0; code < 128; ++code) {
    unsigned bf16 = 0x7fc0;  // NaN
    if (code >= 8 && code < 127) bf16 = (code << 4) + (120U << 7);
    if (code < 8 && code > 0) {  // code * 2^-9
      unsigned top = code >= 4 ? 2 : code >= 2 ? 1 : 0;
      bf16 = ((127U - 9U + top) << 7) | (((code << (7 - top)) & 0x7fU));
    }
    if (code > 0 && code < 127) bf16 += static_cast<unsigned>(exponent + 64) * 128U - 64U * 128U;
    if (code == 0) bf16 = 0;
    table.high[code] = static_cast<std::uint8_t>(bf16 >> 8);
    table.low[code] = static_cast<std::uint8_t>(bf16 & 0xffU);
  }
  return table;
}
// Scales that are powers of two within these bounds go into the numbers themselves: such products
// are exact as bf16, and products of two of them far from the ends of f32.
constexpr int kMostExponent = 40;
struct CodeTables {
  CodeTable of[2 * kMostExponent + 1];
};
constexpr CodeTables make_code_tables() {
  CodeTables tables{};
  for (int e = -kMostExponent; e <= kMostExponent; ++e)
    tables.of[e + kMostExponent] = make_code_table(e);
  return tables;
}
constexpr CodeTables kCodes = make_code_tables();

static inline bool is_plain(const float* scales, int count) {
  constexpr std::uint32_t kLeast = (127U - kMostExponent) << 23;
  bool plain = true;
  for (int i = 0; i < count; ++i) {
    const auto bits = std::bit_cast<std::uint32_t>(scales[i]);
    plain = plain && (bits & 0x7fffffU) == 0 && bits - kLeast <= (2U * kMostExponent) << 23;
  }
  return plain;
}
// Of a plain scale.
static inline const CodeTable& codes_times(float scale) {
  return kCodes.of[(std::bit_cast<std::uint32_t>(scale) >> 23) - (127U - kMostExponent)];
}

struct Decoder {
  __m512i high0, high1, low0, low1;
  explicit Decoder(const CodeTable& t = kCodes.of[kMostExponent])
      : high0(_mm512_load_si512(t.high)),
        high1(_mm512_load_si512(t.high + 64)),
        low0(_mm512_load_si512(t.low)),
        low1(_mm512_load_si512(t.low + 64)) {}

  // 64 codes as two vectors of bf16. Their order is the unpack instructions': the same for a and
  // w, so that sums do not mind.
  inline void operator()(__m512i codes, __m512i* first, __m512i* second) const {
    const __m512i low = _mm512_permutex2var_epi8(low0, codes, low1);
    const __m512i magnitude = _mm512_permutex2var_epi8(high0, codes, high1);
    // magnitude | (codes & 0x80)
    const __m512i high = _mm512_ternarylogic_epi32(magnitude, codes,
                                                   _mm512_set1_epi8(static_cast<char>(0x80)), 0xf8);
    *first = _mm512_unpacklo_epi8(low, high);
    *second = _mm512_unpackhi_epi8(low, high);
  }
};

static inline __mmask64 first_bytes(std::int64_t count) {
  return count >= 64 ? ~__mmask64{0} : count <= 0 ? __mmask64{0} : (__mmask64{1} << count) - 1;
}

static inline __m512i load_vector(const std::byte* p) {
  return _mm512_loadu_si512(p);
}

// 64 bytes of a row of w that ends `left` bytes on.
static inline __m512i load_stored(const std::byte* p, std::int64_t left) {
  return left >= kVector ? load_vector(p) : _mm512_maskz_loadu_epi8(first_bytes(left), p);
}

// sum + a * w; f32 lanes, or two bf16 a lane (subnormal bf16 count as zero there).
template <Math math>
static inline __m512 add_products(__m512 sum, __m512i a, __m512i w) {
  if constexpr (math == Math::f32 || math == Math::f32_bf16)
    return _mm512_fmadd_ps(_mm512_castsi512_ps(a), _mm512_castsi512_ps(w), sum);
  else
    return _mm512_dpbf16_ps(sum, (__m512bh)a, (__m512bh)w);
}

// The sums of four vectors; each by the same tree.
static inline __m128 sums_of(__m512 x0, __m512 x1, __m512 x2, __m512 x3) {
  const __m512 x01 = _mm512_add_ps(_mm512_unpacklo_ps(x0, x1), _mm512_unpackhi_ps(x0, x1));
  const __m512 x23 = _mm512_add_ps(_mm512_unpacklo_ps(x2, x3), _mm512_unpackhi_ps(x2, x3));
  const __m512 all = _mm512_add_ps(
      _mm512_castpd_ps(_mm512_unpacklo_pd(_mm512_castps_pd(x01), _mm512_castps_pd(x23))),
      _mm512_castpd_ps(_mm512_unpackhi_pd(_mm512_castps_pd(x01), _mm512_castps_pd(x23))));
  const __m256 half = _mm256_add_ps(_mm512_castps512_ps256(all), _mm512_extractf32x8_ps(all, 1));
  return _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
}

template <int R, int C>
static inline void clear(__m512 (&sum)[R][C]) {
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
    for (int c = 0; c < C; ++c) sum[r][c] = _mm512_setzero_ps();
}

// Four columns of a row, or fewer, to where the block wants them.
static inline void put(const GemmBlock& b, int row, int col, int count, __m128 x) {
  float* out = b.out + row * b.ldo + col;
  if (count == 4 && !b.accumulate) return _mm_storeu_ps(out, x);
  const auto mask = static_cast<__mmask8>((1U << count) - 1U);
  if (b.accumulate) x = _mm_add_ps(x, _mm_maskz_loadu_ps(mask, out));
  _mm_mask_storeu_ps(out, mask, x);
}

// A line of results that no one has touched for long is asked for ahead: the stores would wait for
// one after the other. For writing: another core may hold the line, and a copy to read would have
// to be asked for again. Spelled out, as the builtin only means it with a compiler flag of its own.
static inline void expect_result(const float* at) {
  asm volatile("prefetchw %0" : : "m"(*at));
}

// The sums of four columns that lie side by side, or of those that are there.
template <int R>
static inline void finish(
    const GemmBlock& b, int row, int col, int count, const __m512 (&sum)[R][kTileCols]) {
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r)
    put(b, row + r, col, count, sums_of(sum[r][0], sum[r][1], sum[r][2], sum[r][3]));
}

// What one load of 64 bytes of stored w gives: one vector, or two after widening.
template <Math math>
constexpr int kVectorsALoad = math == Math::f8 || math == Math::f32_bf16 ? 2 : 1;

template <Math math>
static inline void widen(const Decoder& decode, __m512i stored, __m512i (&w)[kVectorsALoad<math>]) {
  if constexpr (math == Math::f8) {
    decode(stored, &w[0], &w[1]);
  } else if constexpr (math == Math::f32_bf16) {  // even numbers, then odd ones; a is packed so too
    w[0] = _mm512_slli_epi32(stored, 16);
    w[1] = _mm512_and_si512(stored, _mm512_set1_epi32(static_cast<int>(0xffff0000U)));
  } else {
    w[0] = stored;
  }
}

}  // namespace
}  // namespace seedbed::kernels::SEEDBED_ISA
