// What an op must do at least, counted from its arguments: bytes of memory, each input read once
// and each output written once, and floating-point operations of its products (a multiply-add is
// two). What depends on numbers in the device's memory (lengths, lists) is an argument of its own.
// Nothing here knows how a kernel works: three passes over bf16 for one product of f32 count as
// one, a second read of an input as none.
#pragma once
#include <cstdint>

#include "kernels/ops.h"

namespace seedbed::bench {

struct Cost {
  std::int64_t bytes = 0;
  double flop = 0;
};

namespace detail {
inline std::int64_t wide(std::int64_t a, std::int64_t b) {
  return a * b;
}
inline std::int64_t scales(kernels::DType dtype, std::int64_t rows, int channels) {
  return dtype == kernels::DType::f8 ? 4 * rows * kernels::quant_blocks(channels) : 0;
}
}  // namespace detail

inline Cost cost(const kernels::EmbedParams& p) {
  return {p.tokens * (4 + detail::wide(p.dim, kernels::bytes_of(p.dtype) + 4))};
}
inline Cost cost(const kernels::CopyRowsParams& p) {
  return {8 * p.rows * p.dim};
}
inline Cost cost(const kernels::GemmParams& p) {
  const std::int64_t a = detail::wide(p.rows, p.inner), w = detail::wide(p.cols, p.inner),
                     out = detail::wide(p.rows, p.cols);
  const std::int64_t one = a * kernels::bytes_of(p.a_dtype) +
                           detail::scales(p.a_dtype, p.rows, p.inner) +
                           w * kernels::bytes_of(p.w_dtype) +
                           detail::scales(p.w_dtype, kernels::quant_blocks(p.cols), p.inner) +
                           (p.accumulate ? 8 : 4) * out;
  return {one * p.batch, 2.0 * static_cast<double>(out) * p.inner * p.batch};
}
// rows: offsets[groups]; filled: groups that have rows.
inline Cost cost(const kernels::GroupedGemmParams& p, std::int64_t rows, int filled) {
  const std::int64_t w = detail::wide(p.cols, p.inner) * kernels::bytes_of(p.w_dtype) +
                         detail::scales(p.w_dtype, kernels::quant_blocks(p.cols), p.inner) + 8 +
                         (p.w_dtype == kernels::DType::f8 ? 8 : 0);
  return {rows * p.inner * kernels::bytes_of(p.a_dtype) + detail::scales(p.a_dtype, rows, p.inner) +
              filled * w + 4 * rows * p.cols + 4 * (p.groups + std::int64_t{1}),
          2.0 * static_cast<double>(rows) * p.cols * p.inner};
}
inline Cost cost(const kernels::LmHeadParams& p) {
  return {4 * detail::wide(p.rows, p.dim) +
              detail::wide(p.vocab, p.dim) * kernels::bytes_of(p.dtype) +
              4 * detail::wide(p.rows, p.vocab) + (p.row_index != nullptr ? 4 * p.rows : 0),
          2.0 * p.rows * p.vocab * p.dim};
}
inline Cost cost(const kernels::CastBf16Params& p) {
  return {6 * detail::wide(p.rows, p.dim)};
}
inline Cost cost(const kernels::ActQuantParams& p) {
  return {5 * detail::wide(p.rows, p.dim) + detail::scales(kernels::DType::f8, p.rows, p.dim)};
}
inline Cost cost(const kernels::HadamardQuantParams& p) {
  return {5 * detail::wide(p.rows, p.dim) + detail::scales(kernels::DType::f8, p.rows, p.dim)};
}
inline Cost cost(const kernels::RmsNormParams& p) {
  const int passes = (p.x != nullptr ? 1 : 0) + (p.residual == nullptr ? 0
                                                 : p.x != nullptr      ? 2
                                                                       : 1);
  return {4 * detail::wide(p.rows, p.dim) * (passes + 1) + 4 * p.dim};
}
inline Cost cost(const kernels::LayerNormParams& p) {
  return {8 * detail::wide(p.rows, p.dim) + 8 * p.dim};
}
inline Cost cost(const kernels::RopeParams& p) {
  return {p.tokens * (detail::wide(p.heads, 16 * p.half) + 8 * p.half)};
}
inline Cost cost(const kernels::KvWriteParams& p) {
  return {p.tokens *
          (4 * detail::wide(1, p.c + p.r) + 4 + kernels::kv_record_bytes(p.pages.dtype, p.c, p.r))};
}
inline Cost cost(const kernels::IndexWriteParams& p) {
  const std::int64_t key = kernels::index_page_bytes(p.pages.dtype, p.d) / kernels::kPageTokens;
  return {p.tokens * (key + 4 + (p.pages.dtype == kernels::DType::f8 ? key : 4 * p.d))};
}
inline Cost cost(const kernels::FoldWeightsParams& p) {
  return {p.count * (p.scale != nullptr ? 12 : 8)};
}
// pairs: the sum of key_end - key_begin; the cells outside are written too, and cost no products.
inline Cost cost(const kernels::IndexLogitsParams& p, std::int64_t pairs) {
  const std::int64_t numbers = detail::wide(p.tokens, p.heads);
  return {numbers * p.dim * kernels::bytes_of(p.dtype) + 4 * numbers +
              detail::wide(p.columns, p.dim) * kernels::bytes_of(p.dtype) +
              detail::scales(p.dtype, p.columns, p.dim) +
              p.tokens * std::int64_t{p.key_begin != nullptr ? 8 : 4} +
              4 * detail::wide(p.tokens, p.columns),
          2.0 * p.heads * p.dim * static_cast<double>(pairs)};
}
// pairs: the sum of key_end; keys: positions of all sequences that some row sees, each once.
inline Cost cost(const kernels::IndexLogitsPagedParams& p, std::int64_t pairs, std::int64_t keys) {
  const std::int64_t numbers = detail::wide(p.tokens, p.heads);
  return {numbers * p.dim * kernels::bytes_of(p.pages.dtype) + 4 * numbers +
              keys * (kernels::index_page_bytes(p.pages.dtype, p.dim) / kernels::kPageTokens) +
              4 * (keys / kernels::kPageTokens) +
              p.tokens * std::int64_t{p.table.sequence != nullptr ? 8 : 4} +
              4 * detail::wide(p.tokens, p.columns),
          2.0 * p.heads * p.dim * static_cast<double>(pairs)};
}
// scores: the sum of length.
inline Cost cost(const kernels::TopkSelectParams& p, std::int64_t scores) {
  return {4 * scores + 4 * p.rows + 4 * detail::wide(p.rows, p.k)};
}
// Page tables, of which a row needs a few lines, are not counted.
inline Cost cost(const kernels::MapSlotsParams& p) {
  return {8 * detail::wide(p.rows, p.k)};
}
// entries: valid ones of all lists; records: slots that some list names, each once.
inline Cost cost(const kernels::SparseMlaParams& p, std::int64_t entries, std::int64_t records) {
  const std::int64_t numbers = detail::wide(p.tokens, p.heads);
  return {4 * numbers * (p.c + p.r) + records * kernels::kv_record_bytes(p.pages.dtype, p.c, p.r) +
              4 * detail::wide(p.tokens, p.k) + (p.length != nullptr ? 4 * p.tokens : 0) +
              4 * numbers * (p.c + (p.lse != nullptr ? 1 : 0)),
          2.0 * p.heads * (2 * p.c + p.r) * static_cast<double>(entries)};
}
// entries: the sum of key_end; records: positions of all sequences that some row sees, each once.
inline Cost cost(const kernels::DenseMlaParams& p, std::int64_t entries, std::int64_t records) {
  const std::int64_t numbers = detail::wide(p.tokens, p.heads);
  return {4 * numbers * (p.c + p.r) + records * kernels::kv_record_bytes(p.pages.dtype, p.c, p.r) +
              4 * (records / kernels::kPageTokens) +
              p.tokens * std::int64_t{p.table.sequence != nullptr ? 8 : 4} +
              4 * numbers * (p.c + (p.lse != nullptr ? 1 : 0)),
          2.0 * p.heads * (2 * p.c + p.r) * static_cast<double>(entries)};
}
// pairs: the positions that all rows attend to.
inline Cost cost(const kernels::DenseMhaParams& p, std::int64_t pairs) {
  const std::int64_t both = p.qk_dim + p.v_dim;
  return {4 * p.heads * both * (std::int64_t{p.tokens} + p.keys) + 4 * p.tokens +
              4 * detail::wide(p.tokens, p.selected != nullptr ? p.selected_count : 0),
          2.0 * p.heads * static_cast<double>(both) * static_cast<double>(pairs)};
}
inline Cost cost(const kernels::MoeRouteParams& p) {
  return {4 * detail::wide(p.tokens, p.experts) + 4 * p.experts +
          (p.forced != nullptr ? 12 : 8) * detail::wide(p.tokens, p.topk)};
}
inline Cost cost(const kernels::MoePermuteParams& p) {
  const std::int64_t choices = detail::wide(p.tokens, p.topk);
  return {4 * detail::wide(p.tokens, p.dim) + 4 * choices * p.dim + 8 * choices +
          4 * (p.experts + std::int64_t{1})};
}
inline Cost cost(const kernels::MoeUnpermuteParams& p) {
  const std::int64_t choices = detail::wide(p.tokens, p.topk);
  return {4 * choices * p.dim + 8 * choices +
          (p.shared != nullptr ? 8 : 4) * detail::wide(p.tokens, p.dim)};
}
inline Cost cost(const kernels::SiluMulParams& p) {
  return {12 * p.count};
}
// Lists of biases, penalties and of the highest are left out: a few bytes a row.
inline Cost cost(const kernels::SampleParams& p) {
  return {p.rows *
          (4 * std::int64_t{p.vocab} + static_cast<std::int64_t>(sizeof(kernels::SampleRow)) +
           (p.allowed != nullptr ? 4 * ((p.vocab + 31) / 32) : 0) +
           (p.entropy != nullptr ? 20 : 16))};
}

}  // namespace seedbed::bench
