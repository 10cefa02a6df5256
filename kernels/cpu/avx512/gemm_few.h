// Few rows: w is read as stored and widened in flight, several columns at once.
#pragma once
#include <type_traits>

#include "kernels/cpu/avx512/gemm_lanes.h"

namespace seedbed::kernels::SEEDBED_ISA {
namespace {

constexpr int kDirectRows = 4;  // at most so many rows read w as stored

template <Math math, int R, int C>
struct Stream {
  const std::byte* a = nullptr;
  const std::byte* w = nullptr;
  std::int64_t a_stride = 0, w_stride = 0;
  Decoder decode;

  // The 64 bytes of w at byte `at` of each column's row against each row of a.
  template <bool whole>
  __attribute__((always_inline)) inline void step(std::int64_t at,
                                                  __mmask64 mask,
                                                  __m512 (&sum)[R][C]) const {
    constexpr int V = kVectorsALoad<math>;
    __m512i x[C][V];
#pragma GCC unroll 8
    for (int c = 0; c < C; ++c) {
      const std::byte* p = w + c * w_stride + at;
      widen<math>(decode, whole ? load_vector(p) : _mm512_maskz_loadu_epi8(mask, p), x[c]);
    }
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
#pragma GCC unroll 2
      for (int v = 0; v < V; ++v) {
        const __m512i y = load_vector(a + r * a_stride + at * V + v * kVector);
#pragma GCC unroll 8
        for (int c = 0; c < C; ++c) sum[r][c] = add_products<math>(sum[r][c], y, x[c][v]);
      }
    }
  }
};

template <int R, int C>
static inline void finish_apart(
    const GemmBlock& b, int row, int col, int apart, const __m512 (&sum)[R][C]) {
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 8
    for (int c = 0; c < C; c += 4) {
      float four[4];
      _mm_storeu_ps(
          four, sums_of(sum[r][c], sum[r][(c + 1) % C], sum[r][(c + 2) % C], sum[r][(c + 3) % C]));
      for (int i = 0; i < 4 && c + i < C; ++i) {
        float* out = b.out + (row + r) * b.ldo + col + (c + i) * apart;
        *out = b.accumulate ? four[i] + *out : four[i];
      }
    }
  }
}

template <Math math, int R, int C>
static void direct_tile(const GemmBlock& b, int row, int col, int apart) {
  const std::int64_t bytes = static_cast<std::int64_t>(b.inner) * bytes_of_w(math);
  Stream<math, R, C> s;
  s.a = b.a + row * b.a_stride;
  s.a_stride = b.a_stride;
  s.w = b.w + col * bytes;
  s.w_stride = apart * bytes;
  __m512 sum[R][C];
  clear(sum);
  if constexpr (math == Math::f8) {
    const int blocks = quant_blocks(b.inner);
    const float* a_scales = b.a_scale + static_cast<std::int64_t>(row) * blocks;
    const float* w_scales[C];
    for (int c = 0; c < C; ++c)
      w_scales[c] =
          b.w_scale +
          static_cast<std::int64_t>((b.first_col + col + c * apart) / kQuantBlock) * blocks;
    for (int q = 0; q < blocks; ++q) {
      __m512 part[R][C];
      clear(part);
      const std::int64_t at = static_cast<std::int64_t>(q) * kQuantBlock;
      if (at + kQuantBlock <= bytes) {
        s.template step<true>(at, 0, part);
        s.template step<true>(at + kVector, 0, part);
      } else {
        s.template step<false>(at, first_bytes(bytes - at), part);
        s.template step<false>(at + kVector, first_bytes(bytes - at - kVector), part);
      }
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r) {
        const float a_scale = a_scales[r * blocks + q];
#pragma GCC unroll 8
        for (int c = 0; c < C; ++c)
          sum[r][c] =
              _mm512_fmadd_ps(part[r][c], _mm512_set1_ps(a_scale * w_scales[c][q]), sum[r][c]);
      }
    }
  } else {
    std::int64_t at = 0;
    for (; at + kVector <= bytes; at += kVector) s.template step<true>(at, 0, sum);
    if (at < bytes) s.template step<false>(at, first_bytes(bytes - at), sum);
  }
  finish_apart(b, row, col, apart, sum);
}

// e4m3 with plain scales: numbers of w are scaled as they are widened, a's are already, and the sum
// runs on through the blocks.
template <int R, int C>
static void direct_tile_plain(const GemmBlock& b, int row, int col, int apart) {
  constexpr int N = C > 4 ? 2 : kBlockVectors;  // widened vectors in the registers
  const int blocks = quant_blocks(b.inner);
  const std::byte* a = b.a + row * b.a_stride;
  const std::byte* w[C];
  const float* w_scales[C];
  for (int c = 0; c < C; ++c) {
    w[c] = b.w + static_cast<std::int64_t>(col + c * apart) * b.inner;
    w_scales[c] = b.w_scale +
                  static_cast<std::int64_t>((b.first_col + col + c * apart) / kQuantBlock) * blocks;
  }
  __m512 sum[R][C];
  clear(sum);
  const auto some = [&](std::int64_t q, int first, auto whole) {
    const std::int64_t at = q * kQuantBlock + first / 2 * kVector;
    __m512i x[N][C];
#pragma GCC unroll 8
    for (int c = 0; c < C; ++c) {
      const Decoder decode(codes_times(w_scales[c][q]));
#pragma GCC unroll 2
      for (int n = 0; n < N; n += 2) {
        const std::int64_t from = at + n / 2 * kVector;
        decode(whole ? load_vector(w[c] + from) : load_stored(w[c] + from, b.inner - from),
               &x[n][c], &x[n + 1][c]);
      }
    }
#pragma GCC unroll 8
    for (int n = 0; n < N; ++n)
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r) {
        const __m512i y =
            load_vector(a + r * b.a_stride + (q * kBlockVectors + first + n) * kVector);
#pragma GCC unroll 8
        for (int c = 0; c < C; ++c) sum[r][c] = add_products<Math::f8>(sum[r][c], y, x[n][c]);
      }
  };
  for (std::int64_t q = 0; q < blocks; ++q)
    for (int first = 0; first < kBlockVectors; first += N) {
      if ((q + 1) * kQuantBlock <= b.inner)
        some(q, first, std::true_type());
      else
        some(q, first, std::false_type());
    }
  finish_apart(b, row, col, apart, sum);
}

// Several columns at once share the loads of a. They are far apart, each part of the block one long
// stream through memory: rows side by side share pages, and prefetching loses track of them.
template <Math math, bool plain, int R, int C>
static void direct(const GemmBlock& b) {
  const int apart = b.cols / C;
  if constexpr (plain) {
    for (int col = 0; col < apart; ++col) direct_tile_plain<R, C>(b, 0, col, apart);
    for (int col = apart * C; col < b.cols; ++col) direct_tile_plain<R, 1>(b, 0, col, 0);
  } else {
    for (int col = 0; col < apart; ++col) direct_tile<math, R, C>(b, 0, col, apart);
    for (int col = apart * C; col < b.cols; ++col) direct_tile<math, R, 1>(b, 0, col, 0);
  }
}

template <Math math, bool plain>
static void few_rows(const GemmBlock& b) {
  static_assert(kDirectRows == 4);
  constexpr std::int64_t kLongRow =
      12 << 10;  // of a, in bytes: it leaves little of the first cache level
  switch (b.rows) {
    case 1:
      return b.a_stride > kLongRow ? direct<math, plain, 1, 6>(b) : direct<math, plain, 1, 4>(b);
    case 2:
      return direct<math, plain, 2, 4>(b);
    case 3:
      return direct < math, plain, 3, math == Math::f8 ? 3 : 4 > (b);
    default:
      return direct < math, plain, 4, math == Math::f8 ? 3 : 4 > (b);
  }
}

}  // namespace
}  // namespace seedbed::kernels::SEEDBED_ISA
