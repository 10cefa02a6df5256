// The k highest scores of a row. A sample of the row brackets the k-th highest; one pass collects
// what is not below the bracket; the k-th highest is then found among the collected by halving the
// bracket, counting at each step; ties at it go to the lowest index. A bad sample costs time only.
#include "kernels/topk_select.h"

#include "kernels/cpu/attn_lanes.h"
#include "kernels/cpu/ops_here.h"
#include "kernels/pool.h"

namespace seedbed::kernels::SEEDBED_ISA {

namespace {

constexpr int kSample = 1024;
constexpr std::int32_t kLowestKey = INT32_MIN;

// Order-preserving integers: -0 is +0, NaN below -inf.
inline std::int32_t key_of(float x) {
  const float y = x + 0.0F;
  const auto bits = std::bit_cast<std::int32_t>(y);
  return y != y ? kLowestKey : bits ^ ((bits >> 31) & 0x7fffffff);
}

// Keys and indices of the scores whose key is at least `least`, ascending by index. Room for `n`
// and one vector more.
int collect(const float* score, int n, std::int32_t least, std::int32_t* key, std::int32_t* index) {
  int count = 0;
  int i = 0;
#if defined(SEEDBED_ISA_avx512)
  const __m512i bound = _mm512_set1_epi32(least);
  const __m512i step = _mm512_set1_epi32(16);
  __m512i at = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  for (; i + 16 <= n; i += 16) {
    const __m512 x = _mm512_add_ps(_mm512_loadu_ps(score + i), _mm512_setzero_ps());
    const __m512i bits = _mm512_castps_si512(x);
    __m512i y = _mm512_ternarylogic_epi32(_mm512_srai_epi32(bits, 31), bits,
                                          _mm512_set1_epi32(0x7fffffff), 0x6c);
    y = _mm512_mask_mov_epi32(y, _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q),
                              _mm512_set1_epi32(kLowestKey));
    const __mmask16 take = _mm512_cmpge_epi32_mask(y, bound);
    // Compressed in a register, then stored whole: the storing form is slow on some processors.
    _mm512_storeu_si512(key + count, _mm512_maskz_compress_epi32(take, y));
    _mm512_storeu_si512(index + count, _mm512_maskz_compress_epi32(take, at));
    at = _mm512_add_epi32(at, step);
    count += __builtin_popcount(take);
  }
#elif defined(SEEDBED_ISA_avx2)
  const __m256i bound = _mm256_set1_epi32(least);
  __m256i at = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  for (; i + 8 <= n; i += 8) {
    const __m256 x = _mm256_add_ps(_mm256_loadu_ps(score + i), _mm256_setzero_ps());
    const __m256i bits = _mm256_castps_si256(x);
    __m256i y = _mm256_xor_si256(
        bits, _mm256_and_si256(_mm256_srai_epi32(bits, 31), _mm256_set1_epi32(0x7fffffff)));
    y = _mm256_blendv_epi8(y, _mm256_set1_epi32(kLowestKey),
                           _mm256_castps_si256(_mm256_cmp_ps(x, x, _CMP_UNORD_Q)));
    const auto leave = static_cast<unsigned>(
        _mm256_movemask_ps(_mm256_castsi256_ps(_mm256_cmpgt_epi32(bound, y))));
    // The lanes to take, moved to the front: their numbers are picked out of 0..7 by their bits.
    const std::uint64_t take = _pdep_u64(leave ^ 0xffU, 0x0101010101010101U) * 0xff;
    const __m256i front = _mm256_cvtepu8_epi32(
        _mm_cvtsi64_si128(static_cast<long long>(_pext_u64(0x0706050403020100U, take))));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(key + count),
                        _mm256_permutevar8x32_epi32(y, front));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(index + count),
                        _mm256_permutevar8x32_epi32(at, front));
    at = _mm256_add_epi32(at, _mm256_set1_epi32(8));
    count += 8 - __builtin_popcount(leave);
  }
#endif
  for (; i < n; ++i) {
    const std::int32_t y = key_of(score[i]);
    key[count] = y;
    index[count] = i;
    count += y >= least ? 1 : 0;
  }
  return count;
}

int count_at_least(const std::int32_t* key, int n, std::int32_t least) {
  int count = 0;
  for (int i = 0; i < n; ++i) count += key[i] >= least ? 1 : 0;
  return count;
}

// The largest `least` in [low, high) for which at least `wanted` keys are not below it; low must be
// such a one. Works on 64-bit bounds, for high may be one past the highest key.
std::int32_t halve(
    const std::int32_t* key, int n, int wanted, std::int64_t low, std::int64_t high) {
  while (high - low > 1) {
    const std::int64_t middle = low + (high - low) / 2;
    if (count_at_least(key, n, static_cast<std::int32_t>(middle)) >= wanted)
      low = middle;
    else
      high = middle;
  }
  return static_cast<std::int32_t>(low);
}

struct Bracket {
  std::int64_t low = kLowestKey;  // most likely at least k keys are not below it
  std::int64_t high = static_cast<std::int64_t>(INT32_MAX) + 1;  // and fewer than k not below this
};

Bracket sample_bracket(const float* score, int n, int k) {
  if (n < 4 * kSample) return {};
  std::int32_t key[kSample];
  const int stride = n / kSample;
  for (int i = 0; i < kSample; ++i) key[i] = key_of(score[static_cast<std::int64_t>(i) * stride]);
  const double rank = static_cast<double>(k) * kSample / n;
  const int margin = 4 + static_cast<int>(4 * __builtin_sqrt(rank));
  const int deep = static_cast<int>(rank) + margin;
  const int high = static_cast<int>(rank) - margin;
  Bracket bracket;
  const std::int64_t top = bracket.high;
  if (deep < kSample) bracket.low = halve(key, kSample, deep, kLowestKey, top);
  if (high > 0) bracket.high = halve(key, kSample, high, bracket.low, top) + std::int64_t{1};
  return bracket;
}

// The k highest of `count` collected; those equal to the k-th highest from the front.
void emit(const std::int32_t* key,
          const std::int32_t* index,
          int count,
          int k,
          std::int32_t threshold,
          std::int32_t* out) {
  const int above = threshold == INT32_MAX ? 0 : count_at_least(key, count, threshold + 1);
  int equal = k - above;
  int n = 0;
  int i = 0;
#if defined(SEEDBED_ISA_avx512)
  const __m512i bound = _mm512_set1_epi32(threshold);
  while (n + 16 <= k && i + 16 <= count) {
    const __m512i x = _mm512_loadu_si512(key + i);
    const __mmask16 higher = _mm512_cmpgt_epi32_mask(x, bound);
    unsigned same = equal == 0 ? 0U : _mm512_cmpeq_epi32_mask(x, bound);
    if (__builtin_popcount(same) > equal) same = _pdep_u32((1U << equal) - 1, same);
    equal -= __builtin_popcount(same);
    const auto take = static_cast<__mmask16>(higher | same);
    _mm512_storeu_si512(out + n, _mm512_maskz_compress_epi32(take, _mm512_loadu_si512(index + i)));
    n += __builtin_popcount(take);
    i += 16;
  }
#endif
  for (; n < k; ++i) {
    if (key[i] < threshold) continue;
    if (key[i] == threshold && equal-- <= 0) continue;
    out[n++] = index[i];
  }
}

void select_row(const float* score, int n, int k, std::int32_t* out) {
  if (n <= k) {
    for (int i = 0; i < n; ++i) out[i] = i;
    for (int i = n; i < k; ++i) out[i] = -1;
    return;
  }
  const std::size_t room = static_cast<std::size_t>(n) + 16;
  auto* key = static_cast<std::int32_t*>(scratch(2, 8 * room));
  std::int32_t* index = key + room;
  Bracket bracket = sample_bracket(score, n, k);
  int count = collect(score, n, static_cast<std::int32_t>(bracket.low), key, index);
  if (count < k) {
    bracket.high = bracket.low;
    bracket.low = kLowestKey;
    count = collect(score, n, kLowestKey, key, index);
  } else if (bracket.high <= INT32_MAX) {
    if (count_at_least(key, count, static_cast<std::int32_t>(bracket.high)) >= k) {
      bracket.low = bracket.high;
      bracket.high = static_cast<std::int64_t>(INT32_MAX) + 1;
    }
  }
  // A plateau (many scores of exactly 0, say) makes the low end itself the k-th highest: ask first.
  if (bracket.low > kLowestKey && bracket.low < INT32_MAX &&
      count_at_least(key, count, static_cast<std::int32_t>(bracket.low) + 1) < k)
    bracket.high = bracket.low + 1;
  emit(key, index, count, k, halve(key, count, k, bracket.low, bracket.high), out);
}

}  // namespace

void topk_select(const TopkSelectParams& p) {
  if (p.k <= 0) return;
  parallel_for(p.pool, p.rows, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) {
      KERNEL_CHECK(p.length[row] >= 0 && p.length[row] <= p.lds, p.length[row], p.lds);
      select_row(p.scores + row * p.lds, p.length[row], p.k, p.out + row * p.k);
    }
  });
}

}  // namespace seedbed::kernels::SEEDBED_ISA
