// Matrix products for AVX-512. Lanes run along k and every pair of rows has accumulators of its
// own, so one row against one column takes the same steps in every path:
//   few rows:  w is read as stored and widened in flight, several columns at once
//   many rows: a block of w is widened to the second cache level once and meets all rows in tiles
#include "kernels/cpu/avx512/gemm_lanes.h"
#include "kernels/cpu/ops_here.h"

namespace seedbed::kernels::SEEDBED_ISA {
namespace {

constexpr int kDirectRows = 4;  // at most so many rows read w as stored
constexpr int kTileCols = 4;
// Sums of a tile fill the registers; f8 has two of them a pair, the block's and the total.
template <Math math>
constexpr int kTileRows = math == Math::f8 ? 3 : 6;

// f8: a block of 128 k is four vectors.
constexpr int kBlockVectors = 4;

static inline float scale_of(const GemmBlock& b, int row, int col, int blocks, int block) {
  return b.a_scale[static_cast<std::int64_t>(row) * blocks + block] *
         b.w_scale[static_cast<std::int64_t>((b.first_col + col) / kQuantBlock) * blocks + block];
}

// ---- few rows

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
static inline void clear(__m512 (&sum)[R][C]) {
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
    for (int c = 0; c < C; ++c) sum[r][c] = _mm512_setzero_ps();
}

// The sums of four columns that lie side by side, or of those that are there.
template <int R>
static inline void finish(
    const GemmBlock& b, int row, int col, int count, const __m512 (&sum)[R][kTileCols]) {
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r)
    put(b, row + r, col, count, sums_of(sum[r][0], sum[r][1], sum[r][2], sum[r][3]));
}

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

// Several columns at once share the loads of a. They are far apart, each part of the block one long
// stream through memory: rows side by side share pages, and prefetching loses track of them.
template <Math math, int R, int C>
static void direct(const GemmBlock& b) {
  const int apart = b.cols / C;
  for (int col = 0; col < apart; ++col) direct_tile<math, R, C>(b, 0, col, apart);
  for (int col = apart * C; col < b.cols; ++col) direct_tile<math, R, 1>(b, 0, col, 0);
}

template <Math math>
static void few_rows(const GemmBlock& b) {
  static_assert(kDirectRows == 4);
  constexpr std::int64_t kLongRow =
      12 << 10;  // of a, in bytes: it leaves little of the first cache level
  switch (b.rows) {
    case 1:
      return b.a_stride > kLongRow ? direct<math, 1, 6>(b) : direct<math, 1, 4>(b);
    case 2:
      return direct<math, 2, 4>(b);
    case 3:
      return direct < math, 3, math == Math::f8 ? 3 : 4 > (b);
    default:
      return direct < math, 4, math == Math::f8 ? 3 : 4 > (b);
  }
}

// ---- many rows

// Vectors of one packed row.
static inline std::int64_t vectors_of(Math math, int inner) {
  const int unit = math == Math::f8 ? kQuantBlock : 32;
  const int lanes = math == Math::f32 || math == Math::f32_bf16 ? 16 : 32;
  return static_cast<std::int64_t>((inner + unit - 1) / unit) * (unit / lanes);
}

template <Math math>
static inline void pack_stored(std::byte* dst, const std::byte* src, int inner) {
  constexpr int V = kVectorsALoad<math>;
  const Decoder decode;
  const std::int64_t bytes = static_cast<std::int64_t>(inner) * bytes_of_w(math);
  const std::int64_t whole = vectors_of(math, inner) / V * kVector;
  for (std::int64_t at = 0; at < whole; at += kVector) {
    const __m512i stored = at + kVector <= bytes
                               ? load_vector(src + at)
                               : _mm512_maskz_loadu_epi8(first_bytes(bytes - at), src + at);
    __m512i x[V];
    widen<math>(decode, stored, x);
    for (int v = 0; v < V; ++v) _mm512_store_si512(dst + at * V + v * kVector, x[v]);
  }
}

struct PackedColumns {
  const std::byte* w = nullptr;
  std::int64_t stride = 0, vectors = 0;
};

template <Math math, int R>
__attribute__((always_inline)) static inline void tile_steps(const GemmBlock& b,
                                                             const std::byte* a,
                                                             const std::byte* w,
                                                             std::int64_t w_stride,
                                                             std::int64_t bytes,
                                                             __m512 (&sum)[R][kTileCols]) {
#pragma GCC unroll 1
  for (std::int64_t at = 0; at < bytes; at += kVector) {
    __m512i x[kTileCols];
#pragma GCC unroll 8
    for (int c = 0; c < kTileCols; ++c) {
      x[c] = load_vector(w + c * w_stride + at);
      asm("" : "+v"(x[c]));  // in a register: the compiler would load it again for each row
    }
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
      const __m512i y = load_vector(a + r * b.a_stride + at);
#pragma GCC unroll 8
      for (int c = 0; c < kTileCols; ++c) sum[r][c] = add_products<math>(sum[r][c], y, x[c]);
    }
  }
}

template <Math math, int R>
static void tile(const GemmBlock& b, int row, int col, PackedColumns packed) {
  const std::byte* a = b.a + row * b.a_stride;
  const std::byte* w = packed.w + col * packed.stride;
  const int count = small_of(kTileCols, b.cols - col);
  if constexpr (math == Math::f8) {
    const int blocks = quant_blocks(b.inner);
    __m512 total[R][kTileCols];
    clear(total);
    for (int q = 0; q < blocks; ++q) {
      __m512 part[R][kTileCols];
      clear(part);
      const std::int64_t at = static_cast<std::int64_t>(q) * kBlockVectors * kVector;
      tile_steps<math>(b, a + at, w + at, packed.stride, kBlockVectors * kVector, part);
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r) {
        const __m512 scale = _mm512_set1_ps(scale_of(b, row + r, col, blocks, q));
#pragma GCC unroll 8
        for (int c = 0; c < kTileCols; ++c)
          total[r][c] = _mm512_fmadd_ps(part[r][c], scale, total[r][c]);
      }
    }
    finish(b, row, col, count, total);
  } else {
    __m512 sum[R][kTileCols];
    clear(sum);
    tile_steps<math>(b, a, w, packed.stride, packed.vectors * kVector, sum);
    finish(b, row, col, count, sum);
  }
}

// Results go to lines that no one has touched for long; their stores would wait for one after the
// other. Called once a line: asks for the one that is written two lines later.
template <int R>
static inline void expect_results(const GemmBlock& b, int row, int col) {
  constexpr int kAheadCols = 32;
  int ahead_row = row, ahead_col = col + kAheadCols;
  if (ahead_col >= b.cols) {
    ahead_row += R;
    ahead_col -= b.cols;
    if (ahead_row + R > b.rows || ahead_col >= b.cols) return;
  }
  // For writing: another core may hold the line, and a copy to read would have to be asked for
  // again. Spelled out, as the builtin only means it with a compiler flag of its own.
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r)
    asm volatile("prefetchw %0" : : "m"(b.out[(ahead_row + r) * b.ldo + ahead_col]));
}

template <Math math, int R>
static void tile_row(const GemmBlock& b, int row, PackedColumns packed) {
  for (int col = 0; col < b.cols; col += kTileCols) {
    if (col % 16 == 0) expect_results<R>(b, row, col);
    tile<math, R>(b, row, col, packed);
  }
}

template <Math math>
static void by_tiles(const GemmBlock& b) {
  const std::int64_t vectors = vectors_of(math, b.inner), stride = (vectors | 1) * kVector;
  const int padded = (b.cols + kTileCols - 1) / kTileCols * kTileCols;
  auto* packed = static_cast<std::byte*>(scratch(1, static_cast<std::size_t>(stride * padded)));
  const std::int64_t bytes = static_cast<std::int64_t>(b.inner) * bytes_of_w(math);
  for (int c = 0; c < padded; ++c)  // beyond the edge: any numbers, their sums are dropped
    pack_stored<math>(packed + c * stride, b.w + small_of(c, b.cols - 1) * bytes, b.inner);
  const PackedColumns columns{packed, stride, vectors};
  int row = 0;
  for (; row + kTileRows<math> <= b.rows; row += kTileRows<math>)
    tile_row<math, kTileRows<math>>(b, row, columns);
  switch (b.rows - row) {
    case 5:
      return tile_row<math, 5>(b, row, columns);
    case 4:
      return tile_row<math, 4>(b, row, columns);
    case 3:
      return tile_row<math, 3>(b, row, columns);
    case 2:
      return tile_row<math, 2>(b, row, columns);
    case 1:
      return tile_row<math, 1>(b, row, columns);
    default:
      return;
  }
}

template <Math math>
static void multiply_block(const GemmBlock& b) {
  if (b.rows <= kDirectRows) return few_rows<math>(b);
  by_tiles<math>(b);
}

struct Kernels {
  static std::int64_t packed_bytes(Math math, int inner) {
    return vectors_of(math, inner) * kVector;
  }
  static void pack_row(Math math, std::byte* dst, const std::byte* src, int inner) {
    switch (math) {
      case Math::f32:
      case Math::f32_bf16: {
        const std::int64_t bytes = std::int64_t{4} * inner, whole = packed_bytes(math, inner);
        for (std::int64_t at = 0; at < whole; at += kVector)
          _mm512_store_si512(dst + at, _mm512_maskz_loadu_epi8(first_bytes(bytes - at), src + at));
        return;
      }
      case Math::bf16:
        return pack_stored<Math::bf16>(dst, src, inner);
      case Math::f8:
        return pack_stored<Math::f8>(dst, src, inner);
    }
  }
  static int column_block(Math math, int inner, int rows) {
    const bool direct = rows <= kDirectRows;
    const std::int64_t bytes =
        direct ? std::int64_t{inner} * bytes_of_w(math) : packed_bytes(math, inner);
    // Few rows: long streams. Many: the packed block in part of the second cache level.
    const std::int64_t cols = (direct ? 1 << 20 : 256 << 10) / (bytes > 0 ? bytes : 1) / 8 * 8;
    const int most = direct ? 1024 : 128;
    return cols < 8 ? 8 : cols > most ? most : static_cast<int>(cols);
  }
  static void multiply(Math math, const GemmBlock& b) {
    switch (math) {
      case Math::f32:
        return multiply_block<Math::f32>(b);
      case Math::f32_bf16:
        return multiply_block<Math::f32_bf16>(b);
      case Math::bf16:
        return multiply_block<Math::bf16>(b);
      case Math::f8:
        return multiply_block<Math::f8>(b);
    }
  }
};

}  // namespace

void gemm(const GemmParams& p) {
  gemm_with<Kernels>(p);
}
void grouped_gemm(const GroupedGemmParams& p) {
  grouped_gemm_with<Kernels>(p);
}
void lm_head(const LmHeadParams& p) {
  lm_head_with<Kernels>(p);
}

}  // namespace seedbed::kernels::SEEDBED_ISA
