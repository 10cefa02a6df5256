// Sixteen lanes of what kernels/cpu/quant.cpp says in plain loops; the same bytes.
#pragma once
#include <immintrin.h>

#include "kernels/quant.h"

namespace seedbed::kernels::SEEDBED_ISA {
namespace {

static inline __mmask16 first_lanes(int count) {
  return static_cast<__mmask16>(count >= 16 ? 0xffffU : (1U << count) - 1U);
}

// f32_to_e4m3 of each lane, as a 32-bit number.
static inline __m512i codes_of(__m512 x) {
  const __m512i bits = _mm512_castps_si512(x);
  const __m512i magnitude = _mm512_and_si512(bits, _mm512_set1_epi32(0x7fffffff));
  const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(magnitude, 20), _mm512_set1_epi32(1));
  const __m512i rounded = _mm512_srli_epi32(
      _mm512_add_epi32(_mm512_add_epi32(magnitude, _mm512_set1_epi32(0x7ffff)), odd), 20);
  // Largest code: what is beyond saturates. Small ones are replaced below.
  __m512i code =
      _mm512_min_epu32(_mm512_sub_epi32(rounded, _mm512_set1_epi32(960)), _mm512_set1_epi32(0x7e));
  const __m512 shifted = _mm512_add_ps(_mm512_castsi512_ps(magnitude), _mm512_set1_ps(0x1p14F));
  code =
      _mm512_mask_and_epi32(code, _mm512_cmplt_epi32_mask(magnitude, _mm512_set1_epi32(0x3c800000)),
                            _mm512_castps_si512(shifted), _mm512_set1_epi32(0xf));
  code =
      _mm512_mask_mov_epi32(code, _mm512_cmpgt_epi32_mask(magnitude, _mm512_set1_epi32(0x7f800000)),
                            _mm512_set1_epi32(0x7f));
  // code | (bits >> 24 & 0x80)
  return _mm512_ternarylogic_epi32(code, _mm512_srli_epi32(bits, 24), _mm512_set1_epi32(0x80),
                                   0xf8);
}

static inline float largest_of(const float* x, int count) {
  __m512i most = _mm512_setzero_si512();
  for (int i = 0; i < count; i += 16) {
    const __m512i bits = _mm512_castps_si512(_mm512_maskz_loadu_ps(first_lanes(count - i), x + i));
    const __m512i magnitude = _mm512_and_si512(bits, _mm512_set1_epi32(0x7fffffff));
    most = _mm512_mask_max_epi32(
        most, _mm512_cmple_epi32_mask(magnitude, _mm512_set1_epi32(0x7f800000)), most, magnitude);
  }
  return __builtin_bit_cast(float, _mm512_reduce_max_epi32(most));
}

static inline void quantise_block(
    const float* x, int count, bool ue8m0, std::uint8_t* out, float* scale) {
  const float s = fp8_scale(largest_of(x, count), ue8m0);
  *scale = s;
  const __m512 divisor = _mm512_set1_ps(s);
  for (int i = 0; i < count; i += 16) {
    const __mmask16 here = first_lanes(count - i);
    const __m512 value = _mm512_div_ps(_mm512_maskz_loadu_ps(here, x + i), divisor);
    _mm512_mask_cvtepi32_storeu_epi8(out + i, here, codes_of(value));
  }
}

// Butterflies of stride 1, 2, 4 and 8 within 16 lanes: the partner plus or minus what is here.
static inline __m512 butterflies_within(__m512 y) {
  const auto step = [](__m512 partner, __m512 here, __mmask16 upper) {
    const __m512i signs = _mm512_maskz_set1_epi32(upper, static_cast<int>(0x80000000U));
    return _mm512_add_ps(partner,
                         _mm512_castsi512_ps(_mm512_xor_si512(_mm512_castps_si512(here), signs)));
  };
  y = step(_mm512_permute_ps(y, 0xb1), y, 0xaaaa);
  y = step(_mm512_permute_ps(y, 0x4e), y, 0xcccc);
  y = step(_mm512_shuffle_f32x4(y, y, 0xb1), y, 0xf0f0);
  return step(_mm512_shuffle_f32x4(y, y, 0x4e), y, 0xff00);
}

}  // namespace
}  // namespace seedbed::kernels::SEEDBED_ISA
