// Rows of floats worked on several at a time, written once for every instruction set. Everything
// here has internal linkage: a file built for AVX-512 must not leave code that others could link.
// The bits of a result depend on the instruction set (its width), never on how callers block.
#pragma once
#include <cstdint>
#include <cstring>

#include "kernels/dtype.h"
#if defined(SEEDBED_ISA_avx512) || defined(SEEDBED_ISA_avx2)
#include <immintrin.h>
#endif

namespace seedbed::kernels::SEEDBED_ISA {

#if defined(SEEDBED_ISA_avx512)
constexpr int kLanes = 16;
constexpr int kHeadBlock = 4;  // heads whose sums fit the registers beside each other
#elif defined(SEEDBED_ISA_avx2)
constexpr int kLanes = 8;
constexpr int kHeadBlock = 2;
#else
constexpr int kLanes = 4;
constexpr int kHeadBlock = 2;
#endif
typedef float Vec __attribute__((vector_size(4 * kLanes)));
typedef std::int32_t IntVec __attribute__((vector_size(4 * kLanes)));
typedef std::uint32_t UintVec __attribute__((vector_size(4 * kLanes)));
typedef float LooseVec __attribute__((vector_size(4 * kLanes), aligned(4), may_alias));

static inline Vec v_load(const float* p) {
  return *reinterpret_cast<const LooseVec*>(p);
}
static inline void v_store(float* p, Vec x) {
  *reinterpret_cast<LooseVec*>(p) = x;
}
static inline Vec v_set(float x) {
  return Vec{} + x;
}
static inline Vec v_fma(Vec a, Vec b, Vec c) {
#if defined(SEEDBED_ISA_avx512)
  return _mm512_fmadd_ps(a, b, c);
#elif defined(SEEDBED_ISA_avx2)
  return _mm256_fmadd_ps(a, b, c);
#else
  return a * b + c;
#endif
}
static inline Vec v_larger(Vec a, Vec b) {  // b where either is NaN
  return a > b ? a : b;
}
static inline float v_max_all(Vec x) {
#if defined(SEEDBED_ISA_avx512)
  return _mm512_reduce_max_ps(x);
#else
  float best = x[0];
  for (int i = 1; i < kLanes; ++i) best = best > x[i] ? best : x[i];
  return best;
#endif
}
static inline float v_sum_all(Vec x) {
#if defined(SEEDBED_ISA_avx512)
  return _mm512_reduce_add_ps(x);
#else
  float sum = x[0];
  for (int i = 1; i < kLanes; ++i) sum += x[i];
  return sum;
#endif
}
// The sums of four vectors; each sum's order of additions is the same whichever of the four it is.
static inline void v_sum4(Vec a, Vec b, Vec c, Vec d, float* out) {
#if defined(SEEDBED_ISA_avx512)
  const __m512 ab = _mm512_add_ps(_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
  const __m512 cd = _mm512_add_ps(_mm512_unpacklo_ps(c, d), _mm512_unpackhi_ps(c, d));
  const __m512 abcd = _mm512_add_ps(
      _mm512_castpd_ps(_mm512_unpacklo_pd(_mm512_castps_pd(ab), _mm512_castps_pd(cd))),
      _mm512_castpd_ps(_mm512_unpackhi_pd(_mm512_castps_pd(ab), _mm512_castps_pd(cd))));
  const __m256 half = _mm256_add_ps(_mm512_castps512_ps256(abcd), _mm512_extractf32x8_ps(abcd, 1));
  _mm_storeu_ps(out, _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1)));
#elif defined(SEEDBED_ISA_avx2)
  const __m256 abcd = _mm256_hadd_ps(_mm256_hadd_ps(a, b), _mm256_hadd_ps(c, d));
  _mm_storeu_ps(out, _mm_add_ps(_mm256_castps256_ps128(abcd), _mm256_extractf128_ps(abcd, 1)));
#else
  out[0] = (a[0] + a[2]) + (a[1] + a[3]);
  out[1] = (b[0] + b[2]) + (b[1] + b[3]);
  out[2] = (c[0] + c[2]) + (c[1] + c[3]);
  out[3] = (d[0] + d[2]) + (d[1] + d[3]);
#endif
}

// e^x for x <= 0 to about one unit in the last place; 0 below the smallest normal number; NaN
// stays.
static inline Vec v_exp(Vec x) {
  const Vec magic = v_set(12582912.0F);  // 1.5 * 2^23: adding it rounds to whole numbers
  const Vec shifted = v_fma(x, v_set(1.44269504F), magic);
  const Vec whole = shifted - magic;
  Vec rest = v_fma(whole, v_set(-0.693359375F), x);
  rest = v_fma(whole, v_set(2.12194440e-4F), rest);
  Vec y = v_fma(v_set(1.9875691500e-4F), rest, v_set(1.3981999507e-3F));
  y = v_fma(y, rest, v_set(8.3334519073e-3F));
  y = v_fma(y, rest, v_set(4.1665795894e-2F));
  y = v_fma(y, rest, v_set(1.6666665459e-1F));
  y = v_fma(y, rest, v_set(5.0000001201e-1F));
  y = v_fma(y * rest, rest, rest) + 1.0F;
  // Unsigned: far below -87 the sum goes round, and the result is not taken.
  const UintVec power = reinterpret_cast<UintVec>(shifted) << 23;
  y = reinterpret_cast<Vec>(reinterpret_cast<UintVec>(y) + power);
  return x < -87.0F ? Vec{} : y;
}
static inline float exp_one(float x) {
  return v_exp(v_set(x))[0];
}

static inline int round_up(int x, int step) {
  return (x + step - 1) / step * step;
}

// All 256 values of e4m3.
struct E4m3Table {
  float value[256];
};
static constexpr E4m3Table make_e4m3_table() {
  E4m3Table table{};
  for (int i = 0; i < 256; ++i) {
    const auto magnitude = static_cast<std::uint32_t>(i & 0x7f) << 20;
    float x = std::bit_cast<float>(magnitude) * 0x1p120F;
    if ((i & 0x7f) == 0x7f) x = std::bit_cast<float>(0x7fc00000U);
    const std::uint32_t sign = (i & 0x80) != 0 ? 0x80000000U : 0U;
    table.value[i] = std::bit_cast<float>(std::bit_cast<std::uint32_t>(x) | sign);
  }
  return table;
}
static constexpr E4m3Table kE4m3 = make_e4m3_table();

// kLanes e4m3 from their zero-extended bytes, by arithmetic.
static inline Vec v_e4m3(IntVec x) {
  const IntVec magnitude = x & 0x7f;
  const Vec value = reinterpret_cast<Vec>(magnitude << 20) * 0x1p120F;
  const IntVec nan = (magnitude == 0x7f) & 0x7fc00000;
  return reinterpret_cast<Vec>(reinterpret_cast<IntVec>(value) | nan | ((x >> 7) << 31));
}
static inline IntVec v_load_bytes(const std::byte* p) {
#if defined(SEEDBED_ISA_avx2)
  const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p));
  return reinterpret_cast<IntVec>(_mm256_cvtepu8_epi32(bytes));
#else
  typedef std::uint8_t Bytes __attribute__((vector_size(kLanes)));
  Bytes bytes;
  std::memcpy(&bytes, p, kLanes);
  return __builtin_convertvector(bytes, IntVec);
#endif
}

#if defined(SEEDBED_ISA_avx512)
// e4m3 to bf16 by table: the low seven bits choose among 128 bytes, the sign is put back.
struct E4m3ToBf16 {
  __m512i high[2], low[2];
};
struct E4m3Bytes {
  alignas(64) std::uint8_t high[128];
  alignas(64) std::uint8_t low[128];
};
static constexpr E4m3Bytes make_e4m3_bytes() {
  E4m3Bytes bytes{};
  for (int i = 0; i < 128; ++i) {
    const std::uint32_t bits = std::bit_cast<std::uint32_t>(kE4m3.value[i]);
    bytes.high[i] = static_cast<std::uint8_t>(bits >> 24);
    bytes.low[i] = static_cast<std::uint8_t>(bits >> 16);
  }
  return bytes;
}
static constexpr E4m3Bytes kE4m3Bytes = make_e4m3_bytes();
static inline E4m3ToBf16 e4m3_to_bf16_table() {
  return {{_mm512_load_si512(kE4m3Bytes.high), _mm512_load_si512(kE4m3Bytes.high + 64)},
          {_mm512_load_si512(kE4m3Bytes.low), _mm512_load_si512(kE4m3Bytes.low + 64)}};
}
// 64 e4m3 to bf16. Within each 16 bytes, the first eight go to `first`, the others to `second`.
static inline void e4m3_to_bf16(const E4m3ToBf16& table,
                                __m512i x,
                                __m512i& first,
                                __m512i& second) {
  const __m512i low = _mm512_permutex2var_epi8(table.low[0], x, table.low[1]);
  __m512i high = _mm512_permutex2var_epi8(table.high[0], x, table.high[1]);
  high = _mm512_ternarylogic_epi32(high, x, _mm512_set1_epi8(-128), 0xf8);  // high | (x & 0x80)
  first = _mm512_unpacklo_epi8(low, high);
  second = _mm512_unpackhi_epi8(low, high);
}
#endif

}  // namespace seedbed::kernels::SEEDBED_ISA
