// What sparse_mla and dense_mla have in common: one job, whose rows differ only in where their
// lists of slots come from, and how splits of a list are joined.
#pragma once
#include "kernels/cuda/fragments.cuh"
#include "kernels/mla.h"

namespace seedbed::kernels::KN_NS {
namespace {

struct MlaJob {
  int tokens = 0, heads = 0, c = 0, r = 0;
  const float* q = nullptr;
  float scale = 1;
  Pages pages;
  bool dense = false;
  const std::int32_t* slots = nullptr;  // sparse
  std::int64_t k = 0;
  const std::int32_t* length = nullptr;  // dense: key_end
  PageTable table;                       // dense
  float* out = nullptr;
  float* lse = nullptr;  // or null
};

__device__ __forceinline__ int list_length(const MlaJob& job, std::int64_t token) {
  std::int64_t n = job.length == nullptr ? job.k : job.length[token];
  if (!job.dense && n > job.k) n = job.k;
  return n < 0 ? 0 : static_cast<int>(n);
}

// The slot of entry `entry` of the row's list; -1 where there is none or it is not valid.
__device__ __forceinline__ std::int32_t slot_at(const MlaJob& job,
                                                std::int64_t token,
                                                int entry,
                                                int length) {
  if (entry >= length) return -1;
  if (!job.dense) {
    const std::int32_t slot = job.slots[token * job.k + entry];
    return slot / kPageTokens < job.pages.count ? slot : -1;
  }
  const std::int64_t sequence = job.table.sequence == nullptr ? 0 : job.table.sequence[token];
  const std::int32_t page =
      job.table.table[sequence * job.table.table_stride + entry / kPageTokens];
  return page >= 0 && page < job.pages.count ? page * kPageTokens + entry % kPageTokens : -1;
}

__device__ __forceinline__ const std::byte* record_of(const MlaJob& job,
                                                      std::int32_t slot,
                                                      int record_bytes) {
  return job.pages.base + slot / kPageTokens * job.pages.stride +
         slot % kPageTokens * static_cast<std::int64_t>(record_bytes);
}

// e^x for x <= 0, x being a difference that was taken exactly.
__device__ __forceinline__ float fade_of(float x) {
  return exp2f(__fmul_rn(x, 1.44269504088896341F));
}

// The join of splits, in order: `top` is the highest score, `total` the sum of e^(score - top).
// What both sides are worth against the new maximum:
struct Worth {
  float old_worth = 1, new_worth = 0;
};
template <class Score>  // float, or double for f32 pages
__device__ __forceinline__ Worth
join_worth(Score& top, float& total, Score part_top, float part_total) {
  if (part_total == 0) return {};
  const Score now = part_top > top ? part_top : top, base = now == -INFINITY ? Score{0} : now;
  const Worth worth{fade_of(static_cast<float>(top - base)),
                    fade_of(static_cast<float>(part_top - base))};
  total = __fadd_rn(__fmul_rn(total, worth.old_worth), __fmul_rn(part_total, worth.new_worth));
  top = now;
  return worth;
}
__device__ __forceinline__ float joined(float old, float part, const Worth& worth) {
  return __fadd_rn(__fmul_rn(old, worth.old_worth), __fmul_rn(part, worth.new_worth));
}
template <class Score>
__device__ __forceinline__ float natural_lse(Score top, float total) {
  return total == 0 ? INFINITY : static_cast<float>(top + static_cast<Score>(logf(total)));
}

// Where split mode leaves its parts: [token][split][head], sums over kMaxLatent channels.
constexpr int kMaxLatent = 512, kMaxRope = 64;
struct MlaParts {
  float *acc = nullptr, *top = nullptr, *total = nullptr;
  int splits = 0;  // room for each token
};
inline std::size_t mla_part_bytes(std::int64_t tokens, int splits, int heads) {
  return static_cast<std::size_t>(tokens) * static_cast<std::size_t>(splits) *
         static_cast<std::size_t>(heads) * (kMaxLatent + 2) * sizeof(float);
}

}  // namespace
}  // namespace seedbed::kernels::KN_NS
