// What the kernels of sample.cu share: a row's logits after bias, penalties and mask; what is known
// of the row; which ids are kept.
//
// The vocabulary is taken in chunks of kChunk ids, a block each, so that few rows use all
// multiprocessors too. What chunks find lies in the workspace; all sums are of integers, so that
// their order does not matter.
#pragma once
#include "kernels/cuda/block.cuh"
#include "kernels/sample_rules.h"

namespace seedbed::kernels::KN_NS {

using Weight = unsigned long long;

constexpr int kChunk = 4096;
constexpr int kChunkThreads = 256;
constexpr int kClasses = 46 * 32;  // weights by size, 32 classes to each power of two

struct Chunk {
  double highest;            // of the adjusted logits
  float raw_highest;         // of the logits
  std::int32_t best;         // the lowest id that has `highest`
  std::int32_t bad, masked;  // a NaN or +inf; an id that is not allowed
  std::int32_t kept_count;
  Weight total, surprise, raw_total, kept_total, kept_surprise;
};

// The kept set: the key of z above z_bound, or equal to it and id at most z_id; and the same of the
// weight.
struct Cut {
  Weight z_bound, w_bound;
  std::int32_t z_id, w_id;
};

struct Work {
  SampleParams p;
  int first, chunks;  // the first row of those at work; chunks of a row
  Chunk* chunk;       // [rows at work, chunks]
  Weight* classes;    // [rows at work, kClasses]: the weight in each class, where top-p wants it
  Cut* cut;           // [rows at work]
  double* z;          // [rows at work, vocab], where there are biases or penalties; else null
};

// One row of those at work.
struct View {
  const Work& w;
  int local;        // among the rows at work
  std::int64_t at;  // among all
  const float* logits;
  const double* z_row;
  const std::uint32_t* allowed;

  __device__ View(const Work& work, int row)
      : w(work),
        local(row),
        at(std::int64_t{work.first} + row),
        logits(work.p.logits + at * work.p.vocab),
        z_row(work.z == nullptr ? nullptr : work.z + std::int64_t{row} * work.p.vocab),
        allowed(work.p.allowed == nullptr ? nullptr
                                          : work.p.allowed + at * ((work.p.vocab + 31) / 32)) {}
  __device__ const SampleRow& row() const { return w.p.row[at]; }
  __device__ Chunk* chunks() const { return w.chunk + std::int64_t{local} * w.chunks; }
  __device__ Weight* classes() const { return w.classes + std::int64_t{local} * kClasses; }
  __device__ Cut& cut() const { return w.cut[local]; }
  __device__ bool is_allowed(int id) const {
    return allowed == nullptr || (allowed[id / 32] >> (id % 32) & 1U) != 0;
  }
  // -inf: cannot be drawn.
  __device__ double z(int id) const {
    if (!is_allowed(id)) return -INFINITY;
    return z_row == nullptr ? static_cast<double>(logits[id]) : z_row[id];
  }
};

// Doubles as integers of the same order, -0 as +0; NaN does not occur.
__device__ __forceinline__ Weight key_of_z(double z) {
  const auto bits = static_cast<Weight>(__double_as_longlong(__dadd_rn(z, 0.0)));
  return (bits >> 63) != 0 ? ~bits : bits | (Weight{1} << 63);
}
constexpr Weight kMinusInfKey = 0x000fffffffffffffULL;

// What follows from the chunks' first results.
struct Row {
  double highest, raw_highest, inverse;
  int best;
  bool nothing;              // no id can be drawn
  bool greedy, plain;        // plain: the weights are those of the logits as they are
  bool by_count, by_weight;  // top-k, top-p
  bool cuts;                 // anything is cut off

  __device__ double x(double z) const { return __dmul_rn(__dsub_rn(z, highest), inverse); }
};

// By one warp, for all its lanes.
__device__ __forceinline__ Row row_of(const View& view) {
  const int lane = static_cast<int>(threadIdx.x % 32);
  double highest = -INFINITY;
  float raw_highest = -INFINITY;
  int best = 0x7fffffff, flags = 0;
  for (int c = lane; c < view.w.chunks; c += 32) {
    const Chunk& chunk = view.chunks()[c];
    if (chunk.highest > highest) highest = chunk.highest, best = chunk.best;
    raw_highest = fmaxf(raw_highest, chunk.raw_highest);
    flags |= (chunk.bad != 0 ? 1 : 0) | (chunk.masked != 0 ? 2 : 0);
  }
#pragma unroll
  for (int step = 16; step > 0; step /= 2) {
    const double z = __shfl_xor_sync(kFullMask, highest, step);
    const int id = __shfl_xor_sync(kFullMask, best, step);
    if (z > highest || (z == highest && id < best)) highest = z, best = id;
    raw_highest = fmaxf(raw_highest, __shfl_xor_sync(kFullMask, raw_highest, step));
    flags |= __shfl_xor_sync(kFullMask, flags, step);
  }
  const SampleRow& s = view.row();
  Row row;
  row.highest = highest;
  row.raw_highest = static_cast<double>(raw_highest);
  row.best = best;
  row.nothing = (flags & 1) != 0 || raw_highest == -INFINITY || !(highest > -INFINITY);
  row.greedy = s.temperature < kLeastTemperature;
  row.inverse = row.greedy ? 1.0 : __ddiv_rn(1.0, s.temperature);
  row.plain = view.z_row == nullptr && view.allowed == nullptr && s.temperature == 1.0;
  row.by_count = !row.greedy && s.top_k > 0 && s.top_k < view.w.p.vocab;
  row.by_weight = !row.greedy && s.top_p < 1.0;
  row.cuts = row.by_count || row.by_weight || s.min_p > 0.0 || (flags & 2) != 0;
  return row;
}

// No id whose x is below this has the weight; far enough off for every rounding on the way.
__device__ __forceinline__ double x_below(Weight weight) {
  return weight <= 2 ? -INFINITY : log_weight(weight - 1) - 1e-6;
}
__device__ __forceinline__ double x_above(Weight weight) {
  return log_weight(weight + 1) + 1e-6;
}

// Whether an id is kept, and its weight.
struct Keeper {
  Row row;
  Cut cut;
  Weight least;  // min-p
  double floor;  // of x

  __device__ Keeper(const View& view, const Row& of)
      : row(of), cut(view.cut()), least(0), floor(-INFINITY) {
    const SampleRow& s = view.row();
    if (s.min_p > 0.0) least = min_p_weight(s.min_p);
    floor = x_below(cut.w_bound > least ? cut.w_bound : least);
  }
  __device__ bool above_z(double z, int id) const {
    const Weight key = key_of_z(z);
    return key > cut.z_bound || (key == cut.z_bound && id <= cut.z_id);
  }
  __device__ bool keeps(double z, int id, Weight& weight) const {
    if (!above_z(z, id)) return false;
    const double x = row.x(z);
    if (x < floor) return false;
    weight = weight_of(x);
    return weight >= least && (weight > cut.w_bound || (weight == cut.w_bound && id <= cut.w_id));
  }
};

__device__ __forceinline__ int class_of(Weight weight) {
  const int width = 64 - __clzll(static_cast<long long>(weight | 1));
  return width * 32 + static_cast<int>(weight << (64 - width) >> 58 & 31);
}
__device__ __forceinline__ Weight class_begin(int c) {
  return (Weight{32} + static_cast<unsigned>(c % 32)) << (c / 32) >> 6;
}

// Adds to a sum of 64 bits in two words of shared memory (where 64-bit additions would be loops of
// compare and swap): whoever overflows the low word carries.
__device__ __forceinline__ void add_wide(unsigned* low, unsigned* high, Weight value) {
  const auto part = static_cast<unsigned>(value);
  const unsigned before = atomicAdd(low, part);
  const unsigned up = static_cast<unsigned>(value >> 32) + (before + part < before ? 1U : 0U);
  if (up != 0) atomicAdd(high, up);
}
// The same for a warp at once: lanes with slot < 0 add nothing; neighbours that share a slot,
// which is frequent where a distribution is flat, add together.
__device__ __forceinline__ void add_to_slots(unsigned* low,
                                             unsigned* high,
                                             int slot,
                                             Weight value) {
  const int first = __shfl_sync(kFullMask, slot, 0);
  if (__all_sync(kFullMask, slot == first)) {
    if (first < 0) return;
    value = warp_add(value);
    if (threadIdx.x % 32 == 0) add_wide(&low[first], &high[first], value);
  } else if (slot >= 0 && value != 0) {
    add_wide(&low[slot], &high[slot], value);
  }
}

// A sum over the chunks, for every lane of the warp.
template <class T, class Member>
__device__ __forceinline__ T over_chunks(const View& view, int count, Member member) {
  T sum = 0;
  for (int c = static_cast<int>(threadIdx.x % 32); c < count; c += 32)
    sum += static_cast<T>(view.chunks()[c].*member);
  return warp_add(sum);
}

// A sum over the block of chunk threads; thread 0 has them.
__device__ __forceinline__ Weight chunk_sum(Weight own, Weight* scratch) {
  own = warp_add(own);
  if (threadIdx.x % 32 == 0) scratch[threadIdx.x / 32] = own;
  __syncthreads();
  Weight sum = 0;
  if (threadIdx.x == 0)
    for (int k = 0; k < kChunkThreads / 32; ++k) sum += scratch[k];
  __syncthreads();
  return sum;
}

}  // namespace seedbed::kernels::KN_NS
