#include <cmath>
#include <limits>
#include <vector>

#include "kernels/ref/load.h"
#include "kernels/ref/ops_here.h"

namespace seedbed::kernels::ref {

namespace {
// The c + r numbers of one record, widened.
void read_record(const Pages& pages, std::int64_t slot, int c, int r, float* out) {
  const std::byte* record =
      page_of(pages, slot) + slot % kPageTokens * kv_record_bytes(pages.dtype, c, r);
  if (pages.dtype != DType::f8) {
    for (int i = 0; i < c + r; ++i) out[i] = load(pages.dtype, record, i);
    return;
  }
  for (int i = 0; i < c; ++i)
    out[i] = load(DType::f8, record, i) * load(DType::f32, record + c, i / kQuantBlock);
  const std::byte* key = record + c + 4 * quant_blocks(c);
  for (int i = 0; i < r; ++i) out[c + i] = load(DType::bf16, key, i);
}

// weights[j] = exp(score[j] - max); returns their sum, and the maximum beside it.
double soften(std::vector<double>& scores, double& highest) {
  highest = -std::numeric_limits<double>::infinity();
  for (const double score : scores) highest = std::fmax(highest, score);
  double sum = 0;
  for (double& score : scores) sum += score = std::exp(score - highest);
  return sum;
}

struct Row {
  int heads, c, r;
  const float* q;
  float scale;
  float* out;
  float* lse;  // or null
};

// One token over its valid entries, in double; `records` holds entries x (c + r) numbers.
void attend(const Row& row, const std::vector<float>& records) {
  const auto width = static_cast<std::size_t>(row.c + row.r);
  const std::size_t entries = records.size() / width;
  std::vector<double> weights(entries);
  for (int h = 0; h < row.heads; ++h) {
    const float* q = row.q + static_cast<std::size_t>(h) * width;
    for (std::size_t j = 0; j < entries; ++j) {
      double product = 0;
      for (std::size_t i = 0; i < width; ++i)
        product += double{q[i]} * double{records[j * width + i]};
      weights[j] = double{row.scale} * product;
    }
    double highest = 0;
    const double sum = soften(weights, highest);
    for (int i = 0; i < row.c; ++i) {
      double value = 0;
      for (std::size_t j = 0; j < entries; ++j)
        value += weights[j] * double{records[j * width + static_cast<std::size_t>(i)]};
      row.out[h * row.c + i] = entries == 0 ? 0.0F : static_cast<float>(value / sum);
    }
    if (row.lse != nullptr)
      row.lse[h] = entries == 0 ? std::numeric_limits<float>::infinity()
                                : static_cast<float>(highest + std::log(sum));
  }
}

template <class Params>
Row row_of(const Params& p, std::int64_t t) {
  return {p.heads,
          p.c,
          p.r,
          p.q + t * p.heads * (p.c + p.r),
          p.scale,
          p.out + t * p.heads * p.c,
          p.lse == nullptr ? nullptr : p.lse + t * p.heads};
}

template <class Params>
void append(const Params& p, std::int64_t slot, std::vector<float>& records) {
  if (!valid_slot(p.pages, slot)) return;
  const std::size_t at = records.size();
  records.resize(at + static_cast<std::size_t>(p.c + p.r));
  read_record(p.pages, slot, p.c, p.r, records.data() + at);
}
}  // namespace

void sparse_mla(const SparseMlaParams& p) {
  for (std::int64_t t = 0; t < p.tokens; ++t) {
    std::vector<float> records;
    const int length = p.length == nullptr ? p.k : p.length[t];
    for (int j = 0; j < length; ++j) append(p, p.slots[t * p.k + j], records);
    attend(row_of(p, t), records);
  }
}

void dense_mla(const DenseMlaParams& p) {
  for (std::int64_t t = 0; t < p.tokens; ++t) {
    std::vector<float> records;
    for (int j = 0; j < p.key_end[t]; ++j) append(p, slot_of(p.table, t, j), records);
    attend(row_of(p, t), records);
  }
}

void dense_mha(const DenseMhaParams& p) {
  std::vector<std::int64_t> list;
  std::vector<double> weights;
  for (std::int64_t t = 0; t < p.tokens; ++t) {
    list.clear();
    const int count = p.selected == nullptr ? p.key_end[t] : p.selected_count;
    for (int j = 0; j < count; ++j) {
      const std::int64_t s = p.selected == nullptr ? j : p.selected[t * p.selected_count + j];
      if (s >= 0 && s < p.key_end[t]) list.push_back(s);
    }
    for (std::int64_t h = 0; h < p.heads; ++h) {
      weights.clear();
      const float* q = p.q + (t * p.heads + h) * p.qk_dim;
      for (const std::int64_t s : list) {
        double product = 0;
        for (int i = 0; i < p.qk_dim; ++i)
          product += double{q[i]} * double{p.k[(s * p.heads + h) * p.qk_dim + i]};
        weights.push_back(double{p.scale} * product);
      }
      double highest = 0;
      const double sum = soften(weights, highest);
      for (int i = 0; i < p.v_dim; ++i) {
        double value = 0;
        for (std::size_t j = 0; j < list.size(); ++j)
          value += weights[j] * double{p.v[(list[j] * p.heads + h) * p.v_dim + i]};
        p.out[(t * p.heads + h) * p.v_dim + i] =
            list.empty() ? 0.0F : static_cast<float>(value / sum);
      }
    }
  }
}

}  // namespace seedbed::kernels::ref
