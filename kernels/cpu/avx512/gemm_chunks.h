// A few dozen rows: four columns of w at a time are widened into the first cache level, a chunk of
// k after the other, and meet all rows there; sums wait beside them between the chunks. w is read
// once from memory and never written back to it.
#pragma once
#include "kernels/cpu/avx512/gemm_lanes.h"

namespace seedbed::kernels::SEEDBED_ISA {
namespace {

// Sizes that share the first cache level: the rows' chunk takes 18 KiB, the sums 9, w 4.
constexpr int kChunkVectors = 16;  // of a row
constexpr int kChunkRows = 18;
constexpr int kChunkTiles = 2;  // of four columns that meet a chunk of the rows

struct Chunk {
  const std::byte* a = nullptr;  // of the first row
  const std::byte* w = nullptr;  // [vectors][kTileCols], widened
  int vectors = 0;
  bool first = false, last = false;
  // What the columns after these will want, asked for a line at a time between multiplications:
  // asked for all at once, the lines would fill the queue to memory and the processor would wait.
  const std::byte* ahead = nullptr;  // one line of each of the four columns a step
  std::int64_t ahead_column = 0, ahead_step = 0;
};

template <Math math, int R>
static void chunk_tile(
    const GemmBlock& b, const Chunk& k, int row, int col, const std::byte* a, float* sums) {
  __m512 sum[R][kTileCols];
  if (k.first) {
    clear(sum);
  } else {
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
      for (int c = 0; c < kTileCols; ++c)
        sum[r][c] = _mm512_load_ps(sums + (r * kTileCols + c) * 16);
  }
  constexpr int V = kVectorsALoad<math>;
  const std::byte *w = k.w, *ahead = k.ahead;
  const std::byte* const end = w + k.vectors * kTileCols * kVector;
#pragma GCC unroll 1
  for (; w < end; w += V * kTileCols * kVector, a += V * kVector, ahead += k.ahead_step)
#pragma GCC unroll 2
    for (int v = 0; v < V; ++v) {
#pragma GCC unroll 8
      for (int c = v; c < kTileCols; c += V) __builtin_prefetch(ahead + c * k.ahead_column, 0, 2);
      __m512i x[kTileCols];
#pragma GCC unroll 8
      for (int c = 0; c < kTileCols; ++c) {
        x[c] = load_vector(w + (v * kTileCols + c) * kVector);
        asm("" : "+v"(x[c]));  // in a register: the compiler would load it again for each row
      }
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r) {
        const __m512i y = load_vector(a + r * b.a_stride + v * kVector);
#pragma GCC unroll 8
        for (int c = 0; c < kTileCols; ++c) sum[r][c] = add_products<math>(sum[r][c], y, x[c]);
      }
    }
  if (k.last) return finish(b, row, col, small_of(kTileCols, b.cols - col), sum);
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
    for (int c = 0; c < kTileCols; ++c) _mm512_store_ps(sums + (r * kTileCols + c) * 16, sum[r][c]);
}

// Rows in tiles of at most six, as even as they can be: a narrow tile leaves the multipliers idle.
template <Math math>
static void chunk_rows(const GemmBlock& b, Chunk k, int row, int rows, int col, float* sums) {
  constexpr int kMost = 6;
  const std::byte* a = k.a;
  for (int tiles = (rows + kMost - 1) / kMost; tiles > 0; --tiles) {
    const int here = (rows + tiles - 1) / tiles;
    if (k.first && col % 16 == 0)
      for (int r = 0; r < here; ++r) {
        const float* out = b.out + (row + r) * b.ldo + col;
        if (col == 0) expect_result(out);
        if (col + 16 < b.cols) expect_result(out + 16);
      }
    switch (here) {
      case 6:
        chunk_tile<math, 6>(b, k, row, col, a, sums);
        break;
      case 5:
        chunk_tile<math, 5>(b, k, row, col, a, sums);
        break;
      case 4:
        chunk_tile<math, 4>(b, k, row, col, a, sums);
        break;
      case 3:
        chunk_tile<math, 3>(b, k, row, col, a, sums);
        break;
      case 2:
        chunk_tile<math, 2>(b, k, row, col, a, sums);
        break;
      default:
        chunk_tile<math, 1>(b, k, row, col, a, sums);
    }
    row += here;
    rows -= here;
    a += here * b.a_stride;
    sums += here * kTileCols * 16;
    k.ahead = k.w;  // asked for already
    k.ahead_step = k.ahead_column = 0;
  }
}

// Four columns from `col`, vectors [first, first + vectors) of each: to [vectors][kTileCols].
// Columns beyond the edge are copies of the last, their sums are dropped.
template <Math math>
static void widen_chunk(
    const GemmBlock& b, int col, std::int64_t first, int vectors, std::byte* to) {
  constexpr int V = kVectorsALoad<math>;
  const std::int64_t bytes = static_cast<std::int64_t>(b.inner) * bytes_of_w(math);
  const std::int64_t begin = first / V * kVector, end = begin + vectors / V * kVector;
  const float* scales = nullptr;
  if constexpr (math == Math::f8)
    scales = b.w_scale +
             static_cast<std::int64_t>((b.first_col + col) / kQuantBlock) * quant_blocks(b.inner);
  for (int c = 0; c < kTileCols; ++c) {
    const std::byte* from = b.w + small_of(col + c, b.cols - 1) * bytes;
    std::byte* out = to + c * kVector;
    const auto one = [&](const Decoder& decode, std::int64_t at) {
      __m512i x[V];
      widen<math>(decode, load_stored(from + at, bytes - at), x);
      for (int v = 0; v < V; ++v, out += kTileCols * kVector) _mm512_store_si512(out, x[v]);
    };
    if constexpr (math == Math::f8) {
      for (std::int64_t at = begin; at < end; at += kQuantBlock) {
        const Decoder decode(codes_times(scales[at / kQuantBlock]));
        one(decode, at);
        one(decode, at + kVector);
      }
    } else {
      const Decoder decode;
      for (std::int64_t at = begin; at < end; at += kVector) one(decode, at);
    }
  }
}

template <Math math>
static void by_chunks(const GemmBlock& b) {
  alignas(64) std::byte w[kChunkVectors * kTileCols * kVector];
  alignas(64) float sums[kChunkTiles][kChunkRows * kTileCols * 16];
  const int parts = (b.rows + kChunkRows - 1) / kChunkRows, most = (b.rows + parts - 1) / parts;
  const std::int64_t bytes = static_cast<std::int64_t>(b.inner) * bytes_of_w(math);
  const std::int64_t vectors =
      math == Math::f8 ? static_cast<std::int64_t>(quant_blocks(b.inner)) * kBlockVectors
                       : (bytes + kVector - 1) / kVector * kVectorsALoad<math>;
  for (int col = 0; col < b.cols; col += kChunkTiles * kTileCols)
    for (int row = 0; row < b.rows; row += most) {
      const int rows = small_of(most, b.rows - row);
      for (std::int64_t first = 0; first == 0 || first < vectors; first += kChunkVectors) {
        Chunk k;
        k.a = b.a + row * b.a_stride + first * kVector;
        k.w = w;
        k.vectors =
            static_cast<int>(vectors - first < kChunkVectors ? vectors - first : kChunkVectors);
        k.first = first == 0;
        k.last = first + kChunkVectors >= vectors;
        for (int t = 0; t < kChunkTiles && col + t * kTileCols < b.cols; ++t) {
          widen_chunk<math>(b, col + t * kTileCols, first, k.vectors, w);
          k.ahead = row == 0 ? b.w + (col + (t + kChunkTiles) * kTileCols) * bytes +
                                   first / kVectorsALoad<math> * kVector
                             : w;
          k.ahead_column = row == 0 ? bytes : 0;
          k.ahead_step = row == 0 ? kVector : 0;
          chunk_rows<math>(b, k, row, rows, col + t * kTileCols, sums[t]);
        }
      }
    }
}

}  // namespace
}  // namespace seedbed::kernels::SEEDBED_ISA
