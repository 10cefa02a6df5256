// Matrix products with bf16 dot products and f32 multiply-adds. k runs along the lanes of a
// register and, chunk after chunk, through one accumulator; every pair of rows has accumulators of
// its own, so one row against one column takes the same steps in every path:
//   gemm_few.h:    w is read as stored and widened in flight, several columns at once
//   gemm_chunks.h: a chunk of four columns is widened into the first cache level and meets all rows
//   here:          a block of w is widened to the second cache level and meets all rows in tiles
// e4m3: where all scales of a row of a, or of w, are powers of two, they are multiplied into its
// numbers (exact as bf16); where both are so, sums run on through the blocks.
#include "kernels/cpu/avx512/gemm_chunks.h"
#include "kernels/cpu/avx512/gemm_few.h"
#include "kernels/cpu/ops_here.h"

namespace seedbed::kernels::SEEDBED_ISA {
namespace {

// Sums of a tile fill the registers; f8 has two of them a pair, the block's and the total.
template <Math math>
constexpr int kTileRows = math == Math::f8 ? 3 : 6;

static inline float scale_of(const GemmBlock& b, int row, int col, int blocks, int block) {
  return b.a_scale[static_cast<std::int64_t>(row) * blocks + block] *
         b.w_scale[static_cast<std::int64_t>((b.first_col + col) / kQuantBlock) * blocks + block];
}

// Vectors of one packed row.
static inline std::int64_t vectors_of(Math math, int inner) {
  const int unit = math == Math::f8 ? kQuantBlock : 32;
  const int lanes = math == Math::f32 || math == Math::f32_bf16 ? 16 : 32;
  return static_cast<std::int64_t>((inner + unit - 1) / unit) * (unit / lanes);
}

// A row of a or of w, widened; e4m3 times its scales, if there are any.
template <Math math>
static inline void pack_stored(std::byte* dst,
                               const std::byte* src,
                               int inner,
                               const float* scales = nullptr) {
  constexpr int V = kVectorsALoad<math>;
  const std::int64_t bytes = static_cast<std::int64_t>(inner) * bytes_of_w(math);
  const std::int64_t whole = vectors_of(math, inner) / V * kVector;
  const auto one = [&](const Decoder& decode, std::int64_t at) {
    __m512i x[V];
    widen<math>(decode, load_stored(src + at, bytes - at), x);
    for (int v = 0; v < V; ++v) _mm512_store_si512(dst + at * V + v * kVector, x[v]);
  };
  if constexpr (math == Math::f8) {
    for (std::int64_t at = 0; at < whole; at += kQuantBlock) {
      const Decoder decode(codes_times(scales != nullptr ? *scales++ : 1.0F));
      one(decode, at);
      one(decode, at + kVector);
    }
  } else {
    const Decoder decode;
    for (std::int64_t at = 0; at < whole; at += kVector) one(decode, at);
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

// Called once a line: asks for the one that is written two lines later.
template <int R>
static inline void expect_results(const GemmBlock& b, int row, int col) {
  constexpr int kAheadCols = 32;
  int ahead_row = row, ahead_col = col + kAheadCols;
  if (ahead_col >= b.cols) {
    ahead_row += R;
    ahead_col -= b.cols;
    if (ahead_row + R > b.rows || ahead_col >= b.cols) return;
  }
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) expect_result(b.out + (ahead_row + r) * b.ldo + ahead_col);
}

template <Math math, int R>
static void tile_row(const GemmBlock& b, int row, PackedColumns packed) {
  for (int col = 0; col < b.cols; col += kTileCols) {
    if (col % 16 == 0) expect_results<R>(b, row, col);
    tile<math, R>(b, row, col, packed);
  }
}

// Columns whose packed form takes part of the second cache level.
static inline int tile_columns(Math math, int inner) {
  const std::int64_t bytes = vectors_of(math, inner) * kVector;
  const std::int64_t cols = (256 << 10) / (bytes > 0 ? bytes : 1) / 8 * 8;
  return cols < 8 ? 8 : cols > 128 ? 128 : static_cast<int>(cols);
}

template <Math math, bool plain>
static void tile_block(const GemmBlock& b) {
  const std::int64_t vectors = vectors_of(math, b.inner), stride = (vectors | 1) * kVector;
  const int padded = (b.cols + kTileCols - 1) / kTileCols * kTileCols;
  auto* packed = static_cast<std::byte*>(scratch(1, static_cast<std::size_t>(stride * padded)));
  const std::int64_t bytes = static_cast<std::int64_t>(b.inner) * bytes_of_w(math);
  for (int c = 0; c < padded; ++c) {  // beyond the edge: any numbers, their sums are dropped
    const int col = small_of(c, b.cols - 1);
    const float* scales = nullptr;
    if constexpr (plain)
      scales = b.w_scale +
               static_cast<std::int64_t>((b.first_col + col) / kQuantBlock) * quant_blocks(b.inner);
    pack_stored<math>(packed + c * stride, b.w + col * bytes, b.inner, scales);
  }
  const PackedColumns columns{packed, stride, vectors};
  constexpr Math kMath = plain ? Math::bf16 : math;
  int row = 0;
  for (; row + kTileRows<kMath> <= b.rows; row += kTileRows<kMath>)
    tile_row<kMath, kTileRows<kMath>>(b, row, columns);
  switch (b.rows - row) {
    case 5:
      return tile_row<kMath, 5>(b, row, columns);
    case 4:
      return tile_row<kMath, 4>(b, row, columns);
    case 3:
      return tile_row<kMath, 3>(b, row, columns);
    case 2:
      return tile_row<kMath, 2>(b, row, columns);
    case 1:
      return tile_row<kMath, 1>(b, row, columns);
    default:
      return;
  }
}

template <Math math, bool plain>
static void by_tiles(const GemmBlock& b) {
  const int most = tile_columns(math, b.inner);
  for (int col = 0; col < b.cols; col += most) {
    GemmBlock part = b;
    part.cols = small_of(most, b.cols - col);
    part.w += static_cast<std::int64_t>(col) * b.inner * bytes_of_w(math);
    part.first_col += col;
    part.out += col;
    tile_block<math, plain>(part);
  }
}

constexpr int kMostChunkRows = 42;  // beyond, to widen a block once for all rows pays

template <Math math, bool plain = false>
static void multiply_block(const GemmBlock& b) {
  if (b.rows <= kDirectRows) return few_rows<math, plain>(b);
  if (b.rows <= kMostChunkRows && (math != Math::f8 || plain)) return by_chunks<math>(b);
  by_tiles<math, plain>(b);
}

static GemmBlock part_of(const GemmBlock& b, int row, int rows, int col, int cols) {
  GemmBlock part = b;
  part.rows = rows;
  part.cols = cols;
  part.a += row * b.a_stride;
  part.plain += row;
  part.a_scale += static_cast<std::int64_t>(row) * quant_blocks(b.inner);
  part.w += static_cast<std::int64_t>(col) * b.inner;
  part.first_col += col;
  part.out += row * b.ldo + col;
  return part;
}

// Stretches of rows, and of columns, whose scales are plain, or are not.
static void multiply_f8(const GemmBlock& b) {
  const int blocks = quant_blocks(b.inner);
  const auto plain_column = [&](int col) {
    return is_plain(
        b.w_scale + static_cast<std::int64_t>((b.first_col + col) / kQuantBlock) * blocks, blocks);
  };
  const auto next_block = [&](int col) {
    return small_of(b.cols,
                    (b.first_col + col) / kQuantBlock * kQuantBlock + kQuantBlock - b.first_col);
  };
  for (int row = 0, end = 0; row < b.rows; row = end) {
    while (end < b.rows && b.plain[end] == b.plain[row]) ++end;
    if (b.plain[row] == 0) {
      multiply_block<Math::f8>(part_of(b, row, end - row, 0, b.cols));
      continue;
    }
    for (int col = 0, col_end = 0; col < b.cols; col = col_end) {
      const bool plain = plain_column(col);
      col_end = next_block(col);
      while (col_end < b.cols && plain_column(col_end) == plain) col_end = next_block(col_end);
      const GemmBlock part = part_of(b, row, end - row, col, col_end - col);
      if (plain)
        multiply_block<Math::f8, true>(part);
      else
        multiply_block<Math::f8>(part);
    }
  }
}

struct Kernels {
  static std::int64_t packed_bytes(Math math, int inner) {
    return vectors_of(math, inner) * kVector;
  }
  static constexpr bool kFoldsScales = true;
  static bool folds(const float* scales, int blocks) { return is_plain(scales, blocks); }
  static void pack_row(
      Math math, std::byte* dst, const std::byte* src, int inner, const float* scales) {
    const __m512i even =
        _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    const __m512i odd = _mm512_add_epi32(even, _mm512_set1_epi32(1));
    switch (math) {
      case Math::f32: {
        const std::int64_t bytes = std::int64_t{4} * inner, whole = packed_bytes(math, inner);
        for (std::int64_t at = 0; at < whole; at += kVector)
          _mm512_store_si512(dst + at, load_stored(src + at, bytes - at));
        return;
      }
      case Math::f32_bf16: {
        const std::int64_t bytes = std::int64_t{4} * inner, whole = packed_bytes(math, inner);
        for (std::int64_t at = 0; at < whole; at += 2 * kVector) {
          const __m512i x = load_stored(src + at, bytes - at);
          const __m512i y = load_stored(src + at + kVector, bytes - at - kVector);
          _mm512_store_si512(dst + at, _mm512_permutex2var_epi32(x, even, y));
          _mm512_store_si512(dst + at + kVector, _mm512_permutex2var_epi32(x, odd, y));
        }
        return;
      }
      case Math::bf16:
        return pack_stored<Math::bf16>(dst, src, inner);
      case Math::f8:
        return pack_stored<Math::f8>(dst, src, inner, scales);
    }
  }
  // Up to a few dozen rows: long streams. More: one block of tiles.
  static int column_block(Math math, int inner, int rows) {
    if (rows > kMostChunkRows) return tile_columns(math, inner);
    const std::int64_t bytes = std::int64_t{inner} * bytes_of_w(math);
    const std::int64_t cols = (1 << 20) / (bytes > 0 ? bytes : 1) / 8 * 8;
    return cols < 8 ? 8 : cols > 1024 ? 1024 : static_cast<int>(cols);
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
        return multiply_f8(b);
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
