// What all instruction sets share of the matrix products: one form for plain, batched, grouped and
// row-chosen products, and how they are cut into work for threads. A kernel set K gives the
// arithmetic:
//   K::packed_bytes(math, inner)             bytes of one packed row of a
//   K::pack_row(math, dst, src, inner, fold) a row of a as the kernels want it, padded with zeros,
//                                            times the scales `fold` if that is not null
//   K::kFoldsScales, K::folds(scales, n)     f8: whether a row's scales are to be folded in
//   K::column_block(math, inner, rows)       columns of one piece of work; a multiple of 8
//   K::multiply(math, block)                 one piece: some rows of a, some columns
// An output element is always summed over k in the order that K defines, whatever the cut.
#pragma once
#include "kernels/gemm.h"
#include "kernels/pool.h"

namespace seedbed::kernels::SEEDBED_ISA {
namespace {

enum class Math : std::uint8_t { f32, f32_bf16, bf16, f8 };  // a and w: see gemm.h

struct GemmProblem {
  Math math = Math::f32;
  int matrices = 1, cols = 0, inner = 0;
  // Rows of matrix m: [offsets[m], offsets[m+1]), or rows_each each.
  int rows_each = 0;
  const std::int32_t* offsets = nullptr;
  const void* a = nullptr;
  std::int64_t lda = 0, a_step = 0;
  const std::int32_t* row_index = nullptr;
  const float* a_scale = nullptr;
  const void* w = nullptr;
  std::int64_t w_step = 0;
  const float* w_scale = nullptr;
  const void* const* w_of = nullptr;
  const float* const* w_scale_of = nullptr;
  float* out = nullptr;
  std::int64_t ldo = 0, out_step = 0;
  bool accumulate = false;
  Pool* pool = nullptr;
};

// One piece of work: rows x cols of one matrix.
struct GemmBlock {
  int rows = 0, cols = 0, inner = 0;
  const std::byte* a = nullptr;         // packed
  std::int64_t a_stride = 0;            // bytes
  const float* a_scale = nullptr;       // 1 where they are folded in
  const std::uint8_t* plain = nullptr;  // [rows], if K::kFoldsScales: 1 where they are
  const std::byte* w = nullptr;         // as stored, at the first column of the block
  int first_col = 0;
  const float* w_scale = nullptr;  // of the whole matrix
  float* out = nullptr;
  std::int64_t ldo = 0;
  bool accumulate = false;
};

static inline int small_of(int a, int b) {
  return a < b ? a : b;
}
static inline int large_of(int a, int b) {
  return a > b ? a : b;
}
static inline int bytes_of_a(Math math) {
  return math == Math::f8 ? 1 : math == Math::bf16 ? 2 : 4;
}
static inline int bytes_of_w(Math math) {
  return math == Math::f8 ? 1 : math == Math::f32 ? 4 : 2;
}

static inline std::int64_t first_row(const GemmProblem& p, int matrix) {
  return p.offsets != nullptr ? p.offsets[matrix] : static_cast<std::int64_t>(matrix) * p.rows_each;
}

// Row r counts through all matrices.
static inline const std::byte* row_of_a(const GemmProblem& p, std::int64_t r) {
  std::int64_t at = r * p.lda;
  if (p.row_index != nullptr)
    at = p.row_index[r] * p.lda;
  else if (p.offsets == nullptr)
    at = r / p.rows_each * p.a_step + r % p.rows_each * p.lda;
  return static_cast<const std::byte*>(p.a) + at * bytes_of_a(p.math);
}

// Part of the rows, small enough that their packed form stays in the last cache level.
struct GemmPanel {
  std::int64_t begin = 0, end = 0;       // rows
  int first_matrix = 0, end_matrix = 0;  // that have rows here
  int most_rows = 0;                     // of one matrix
  std::byte* a = nullptr;
  std::int64_t a_stride = 0;
  float* a_scale = nullptr;       // f8, if K::kFoldsScales; as in GemmBlock
  std::uint8_t* plain = nullptr;  // the same
};

static inline void rows_here(const GemmProblem& p,
                             const GemmPanel& panel,
                             int matrix,
                             std::int64_t* begin,
                             std::int64_t* end) {
  const std::int64_t low = first_row(p, matrix), high = first_row(p, matrix + 1);
  *begin = low > panel.begin ? low : panel.begin;
  *end = high < panel.end ? high : panel.end;
}

template <class K>
static void multiply_piece(
    const GemmProblem& p, const GemmPanel& panel, int matrix, int col, int cols) {
  std::int64_t begin = 0, end = 0;
  rows_here(p, panel, matrix, &begin, &end);
  if (begin >= end) return;
  GemmBlock block;
  block.rows = static_cast<int>(end - begin);
  block.cols = cols;
  block.inner = p.inner;
  block.a = panel.a + (begin - panel.begin) * panel.a_stride;
  block.a_stride = panel.a_stride;
  if (p.math == Math::f8) {
    const int blocks = quant_blocks(p.inner);
    if constexpr (K::kFoldsScales) {
      block.a_scale = panel.a_scale + (begin - panel.begin) * blocks;
      block.plain = panel.plain + (begin - panel.begin);
    } else {
      block.a_scale = p.a_scale + begin * blocks;
    }
  }
  const void* w = p.w_of != nullptr ? p.w_of[matrix] : p.w;
  const std::int64_t at =
      (p.w_of != nullptr ? 0 : matrix * p.w_step) + static_cast<std::int64_t>(col) * p.inner;
  block.w = static_cast<const std::byte*>(w) + at * bytes_of_w(p.math);
  block.first_col = col;
  if (p.math == Math::f8)
    block.w_scale = p.w_scale_of != nullptr ? p.w_scale_of[matrix] : p.w_scale;
  const std::int64_t row_in_matrix = p.offsets != nullptr ? begin : begin - first_row(p, matrix);
  block.out =
      p.out + (p.offsets != nullptr ? 0 : matrix * p.out_step) + row_in_matrix * p.ldo + col;
  block.ldo = p.ldo;
  block.accumulate = p.accumulate;
  K::multiply(p.math, block);
}

template <class K>
static void multiply_panel(const GemmProblem& p, const GemmPanel& panel) {
  const int threads = p.pool != nullptr ? p.pool->threads() : 1;
  int cols = K::column_block(p.math, p.inner, panel.most_rows);
  // Several pieces a thread, so that one that is late does not hold up the rest.
  const int matrices = panel.end_matrix - panel.first_matrix;
  const int wanted = (4 * threads + matrices - 1) / matrices;
  const int even = ((p.cols + wanted - 1) / wanted + 7) / 8 * 8;
  // A little work is done sooner than another thread hears of it.
  constexpr std::int64_t kLittle = 1 << 18;
  const bool alone = (panel.end - panel.begin) * p.cols * p.inner < kLittle;
  if (threads > 1 && even < cols && !alone) cols = even;
  const int pieces = (p.cols + cols - 1) / cols;
  parallel_for(alone ? nullptr : p.pool, static_cast<std::int64_t>(matrices) * pieces, 1,
               [&](std::int64_t begin, std::int64_t end) {
                 for (std::int64_t i = begin; i < end; ++i) {
                   const int col = static_cast<int>(i % pieces) * cols;
                   multiply_piece<K>(p, panel, panel.first_matrix + static_cast<int>(i / pieces),
                                     col, small_of(cols, p.cols - col));
                 }
               });
}

template <class K>
static void pack_panel(const GemmProblem& p, const GemmPanel& panel) {
  const std::int64_t rows = panel.end - panel.begin;
  const auto pack = [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = begin; r < end; ++r) {
      const float* fold = nullptr;
      if constexpr (K::kFoldsScales)
        if (p.math == Math::f8) {
          const int blocks = quant_blocks(p.inner);
          const float* scales = p.a_scale + (panel.begin + r) * blocks;
          panel.plain[r] = K::folds(scales, blocks) ? 1 : 0;
          if (panel.plain[r] != 0) fold = scales;
          for (int q = 0; q < blocks; ++q)
            panel.a_scale[r * blocks + q] = fold != nullptr ? 1.0F : scales[q];
        }
      K::pack_row(p.math, panel.a + r * panel.a_stride, row_of_a(p, panel.begin + r), p.inner,
                  fold);
    }
  };
  // Handing out work costs more than packing a few rows.
  constexpr std::int64_t kPieceElements = 32'768;
  const std::int64_t grain = kPieceElements / large_of(p.inner, 1) + 1;
  parallel_for(p.pool, rows, grain, pack);
}

template <class K>
static void multiply_all(const GemmProblem& p) {
  const std::int64_t total = first_row(p, p.matrices);
  if (total <= 0 || p.cols <= 0) return;
  constexpr std::int64_t kPanelBytes = 4 << 20;
  GemmPanel panel;
  // An odd number of cache lines: rows at power-of-two distances would fight for the same sets.
  panel.a_stride = (K::packed_bytes(p.math, p.inner) / 64 | 1) * 64;
  std::int64_t most = kPanelBytes / panel.a_stride;
  most = most < 48 ? 48 : most / 48 * 48;
  for (panel.begin = 0; panel.begin < total; panel.begin = panel.end) {
    panel.end = panel.begin + most < total ? panel.begin + most : total;
    while (first_row(p, panel.first_matrix + 1) <= panel.begin) ++panel.first_matrix;
    panel.end_matrix = panel.first_matrix;
    panel.most_rows = 0;
    while (panel.end_matrix < p.matrices && first_row(p, panel.end_matrix) < panel.end) {
      std::int64_t begin = 0, end = 0;
      rows_here(p, panel, panel.end_matrix, &begin, &end);
      panel.most_rows = large_of(panel.most_rows, static_cast<int>(end - begin));
      ++panel.end_matrix;
    }
    const std::int64_t rows = panel.end - panel.begin;
    const std::int64_t scales = K::kFoldsScales && p.math == Math::f8 ? quant_blocks(p.inner) : 0;
    panel.a = static_cast<std::byte*>(
        scratch(0, static_cast<std::size_t>(rows * (panel.a_stride + scales * 4 + 1))));
    panel.a_scale = reinterpret_cast<float*>(panel.a + rows * panel.a_stride);
    panel.plain = reinterpret_cast<std::uint8_t*>(panel.a_scale + rows * scales);
    pack_panel<K>(p, panel);
    multiply_panel<K>(p, panel);
  }
}

static inline Math math_of(DType a, DType w) {
  if (a == DType::f32 && w == DType::f32) return Math::f32;
  if (a == DType::f32 && w == DType::bf16) return Math::f32_bf16;
  if (a == DType::bf16 && w == DType::bf16) return Math::bf16;
  KERNEL_CHECK(a == DType::f8 && w == DType::f8, a, w);
  return Math::f8;
}

template <class K>
static void gemm_with(const GemmParams& p) {
  GemmProblem q;
  q.math = math_of(p.a_dtype, p.w_dtype);
  KERNEL_CHECK(p.rows >= 0 && p.cols >= 0, p.rows, p.cols);
  KERNEL_CHECK(p.inner >= 0 && p.batch >= 0, p.inner, p.batch);
  if (p.rows == 0 || p.batch == 0) return;
  KERNEL_CHECK(q.math != Math::f8 || (p.batch == 1 && p.a_scale != nullptr && p.w_scale != nullptr),
               p.batch, p.inner);
  q.matrices = p.batch;
  q.cols = p.cols;
  q.inner = p.inner;
  q.rows_each = p.rows;
  q.a = p.a;
  q.lda = p.lda != 0 ? p.lda : p.inner;
  q.a_step = p.a_step;
  q.a_scale = p.a_scale;
  q.w = p.w;
  q.w_step = p.w_step;
  q.w_scale = p.w_scale;
  q.out = p.out;
  q.ldo = p.ldo != 0 ? p.ldo : p.cols;
  q.out_step = p.out_step;
  q.accumulate = p.accumulate;
  q.pool = p.pool;
  multiply_all<K>(q);
}

template <class K>
static void grouped_gemm_with(const GroupedGemmParams& p) {
  GemmProblem q;
  q.math = math_of(p.a_dtype, p.w_dtype);
  KERNEL_CHECK(p.groups >= 0 && p.cols >= 0, p.groups, p.cols);
  if (p.groups == 0) return;
  q.matrices = p.groups;
  q.cols = p.cols;
  q.inner = p.inner;
  q.offsets = p.offsets;
  q.a = p.a;
  q.lda = p.inner;
  q.a_scale = p.a_scale;
  q.w_of = p.w;
  q.w_scale_of = p.w_scale;
  q.out = p.out;
  q.ldo = p.cols;
  q.pool = p.pool;
  multiply_all<K>(q);
}

template <class K>
static void lm_head_with(const LmHeadParams& p) {
  GemmProblem q;
  q.math = math_of(DType::f32, p.dtype);
  KERNEL_CHECK(p.rows >= 0 && p.vocab >= 0, p.rows, p.vocab);
  if (p.rows == 0) return;
  q.cols = p.vocab;
  q.inner = p.dim;
  q.rows_each = p.rows;
  q.a = p.x;
  q.lda = p.dim;
  q.row_index = p.row_index;
  q.w = p.w;
  q.out = p.out;
  q.ldo = p.vocab;
  q.pool = p.pool;
  multiply_all<K>(q);
}

}  // namespace
}  // namespace seedbed::kernels::SEEDBED_ISA
