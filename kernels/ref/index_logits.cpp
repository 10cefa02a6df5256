#include <algorithm>
#include <limits>

#include "kernels/ref/load.h"
#include "kernels/ref/ops_here.h"

namespace seedbed::kernels::ref {

namespace {
constexpr float kNone = -std::numeric_limits<float>::infinity();

// The score of one key for one token's heads. `scale` holds ceil(dim/128) numbers for f8, else it
// is null.
struct Score {
  DType dtype;
  int heads, dim;
  float operator()(const void* q,
                   std::int64_t q_at,
                   const float* w,
                   const void* k,
                   std::int64_t k_at,
                   const std::byte* scale) const {
    double score = 0;
    for (int h = 0; h < heads; ++h) {
      double product = 0;
      for (int begin = 0, block = 0; begin < dim; begin += kQuantBlock, ++block) {
        const int end = std::min(begin + kQuantBlock, dim);
        double sum = 0;
        for (int i = begin; i < end; ++i)
          sum += double{load(dtype, q, q_at + std::int64_t{h} * dim + i)} *
                 double{load(dtype, k, k_at + i)};
        // A scale is positive: before or after the relu is the same.
        product += scale == nullptr ? sum : sum * double{load(DType::f32, scale, block)};
      }
      score += double{w[h]} * std::max(product, 0.0);
    }
    return static_cast<float>(score);
  }
};
}  // namespace

void index_logits(const IndexLogitsParams& p) {
  const Score score{p.dtype, p.heads, p.dim};
  const std::int64_t row = std::int64_t{p.heads} * p.dim;
  const std::int64_t ldo = p.ldo != 0 ? p.ldo : p.columns;
  for (std::int64_t t = 0; t < p.tokens; ++t) {
    const int begin = p.key_begin == nullptr ? 0 : p.key_begin[t], end = p.key_end[t];
    for (std::int64_t s = 0; s < p.columns; ++s) {
      float& out = p.out[t * ldo + s];
      if (s < begin || s >= end) {
        out = kNone;
        continue;
      }
      const auto* scale =
          p.dtype != DType::f8
              ? nullptr
              : reinterpret_cast<const std::byte*>(p.k_scale + s * quant_blocks(p.dim));
      out = score(p.q, t * row, p.w + t * p.heads, p.k, s * p.dim, scale);
    }
  }
}

void index_logits_paged(const IndexLogitsPagedParams& p) {
  const DType dtype = p.pages.dtype;
  const Score score{dtype, p.heads, p.dim};
  const std::int64_t row = std::int64_t{p.heads} * p.dim;
  const std::int64_t ldo = p.ldo != 0 ? p.ldo : p.columns;
  for (std::int64_t t = 0; t < p.tokens; ++t)
    for (std::int64_t s = 0; s < p.columns; ++s) {
      float& out = p.out[t * ldo + s];
      const std::int64_t slot = s < p.key_end[t] ? slot_of(p.table, t, s) : -1;
      if (!valid_slot(p.pages, slot)) {
        out = kNone;
        continue;
      }
      const std::byte* page = page_of(p.pages, slot);
      const std::int64_t token = slot % kPageTokens;
      const std::byte* scale = dtype != DType::f8
                                   ? nullptr
                                   : page + kPageTokens * p.dim + token * 4 * quant_blocks(p.dim);
      out = score(p.q, t * row, p.w + t * p.heads, page, token * p.dim, scale);
    }
}

}  // namespace seedbed::kernels::ref
