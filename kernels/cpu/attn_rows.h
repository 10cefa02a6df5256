// Cached latent records, widened to f32 for the attention kernels.
#pragma once
#include "kernels/cpu/attn_lanes.h"
#include "kernels/paged.h"

namespace seedbed::kernels::SEEDBED_ISA {

// dst[0..n) = bytes of bf16.
static inline void widen_bf16(const std::byte* src, int n, float* dst) {
  int i = 0;
#if defined(SEEDBED_ISA_avx512)
  for (; i + 16 <= n; i += 16) {
    const __m256i x = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(src + 2 * i));
    _mm512_storeu_si512(dst + i, _mm512_slli_epi32(_mm512_cvtepu16_epi32(x), 16));
  }
#elif defined(SEEDBED_ISA_avx2)
  for (; i + 8 <= n; i += 8) {
    const __m128i x = _mm_loadu_si128(reinterpret_cast<const __m128i*>(src + 2 * i));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(dst + i),
                        _mm256_slli_epi32(_mm256_cvtepu16_epi32(x), 16));
  }
#endif
  for (; i < n; ++i) {
    std::uint16_t x;
    std::memcpy(&x, src + 2 * i, 2);
    dst[i] = bf16_to_f32(x);
  }
}

// dst[0..n) = e4m3 * scale.
static inline void widen_e4m3(const std::byte* src, int n, float scale, float* dst) {
  int i = 0;
#if defined(SEEDBED_ISA_avx512)
  const E4m3ToBf16 table = e4m3_to_bf16_table();
  // So ordered that the two unpackings within 16-byte lanes below leave channels in their order.
  const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  const __m512 factor = _mm512_set1_ps(scale);
  const __m512i zero = _mm512_setzero_si512();
  for (; i + 64 <= n; i += 64) {
    __m512i first, second;
    e4m3_to_bf16(table, _mm512_permutexvar_epi32(order, _mm512_loadu_si512(src + i)), first,
                 second);
    const __m512i wide[4] = {_mm512_unpacklo_epi16(zero, first), _mm512_unpackhi_epi16(zero, first),
                             _mm512_unpacklo_epi16(zero, second),
                             _mm512_unpackhi_epi16(zero, second)};
    for (int v = 0; v < 4; ++v)
      _mm512_storeu_ps(dst + i + 16 * v, _mm512_mul_ps(_mm512_castsi512_ps(wide[v]), factor));
  }
#endif
  for (; i + kLanes <= n; i += kLanes) v_store(dst + i, v_e4m3(v_load_bytes(src + i)) * scale);
  for (; i < n; ++i) dst[i] = kE4m3.value[static_cast<std::uint8_t>(src[i])] * scale;
}

// One record as c latents from dst[0] and r keys from dst[key_at]; what lies between is not
// touched.
static inline void widen_record(
    DType dtype, int c, int r, int key_at, const std::byte* record, float* dst) {
  if (dtype == DType::f32) {
    std::memcpy(dst, record, static_cast<std::size_t>(c) * 4);
    std::memcpy(dst + key_at, record + static_cast<std::ptrdiff_t>(c) * 4,
                static_cast<std::size_t>(r) * 4);
    return;
  }
  if (dtype == DType::bf16) {
    widen_bf16(record, c, dst);
    widen_bf16(record + static_cast<std::ptrdiff_t>(c) * 2, r, dst + key_at);
    return;
  }
  const int blocks = quant_blocks(c);
  for (int b = 0; b < blocks; ++b) {
    float scale;
    std::memcpy(&scale, record + c + 4 * b, 4);
    const int begin = b * kQuantBlock;
    const int n = c - begin < kQuantBlock ? c - begin : kQuantBlock;
    widen_e4m3(record + begin, n, scale, dst + begin);
  }
  widen_bf16(record + c + 4 * blocks, r, dst + key_at);
}

}  // namespace seedbed::kernels::SEEDBED_ISA
