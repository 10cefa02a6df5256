// The k highest scores of one row by one block (topk_select.cu).
//
//   1. A sample of the row, sorted out exactly, gives a bound that a little more than k scores
//      should reach.
//   2. One pass over the row collects the scores above the bound in shared memory.
//   3. The k-th highest of the collected is found by histograms of narrowing ranges of keys.
//   4. What is chosen becomes one bit in a map of the row; the indices are read from the map, in
//      ascending order: whichever thread came first, the result is the same.
//
// Where the sample misleads (fewer than k collected, or more than fit) step 3 reads the row itself.
// A plateau of equal scores at the bound is no such case: it is counted, not collected, and its
// lowest indices are taken in step 4.
#pragma once
#include "kernels/cuda/block.cuh"
#include "kernels/cuda/rows.cuh"
#include "kernels/cuda/slots.cuh"

namespace seedbed::kernels::KN_NS {

constexpr int kRoom = 6144;  // scores that are collected
constexpr int kSample = 2048;
constexpr int kBins = 2048;

struct RowOut {
  std::int32_t* positions;  // or null
  std::int32_t* slots;      // or null
  const std::int32_t* table;

  __device__ __forceinline__ void put(int at, std::int32_t position) const {
    if (positions != nullptr) positions[at] = position;
    if (slots != nullptr) slots[at] = slot_at(table, position);
  }
};

static inline std::size_t topk_memory(int lds) {
  return std::size_t{kRoom} * 8 + std::size_t{kBins} * 4 +
         static_cast<std::size_t>(ceil_div(lds, 32)) * 4;
}

// Order-preserving integers: -0 is +0, NaN is 0 and so below -inf.
__device__ __forceinline__ std::uint32_t key_of(float x) {
  const float y = __fadd_rn(x, 0.0F);
  const std::uint32_t bits = __float_as_uint(y);
  return y != y ? 0U : bits ^ ((bits >> 31) != 0 ? 0xffffffffU : 0x80000000U);
}
__device__ __forceinline__ float value_of(std::uint32_t key) {
  return __uint_as_float((key >> 31) != 0 ? key ^ 0x80000000U : ~key);
}

// What of a row is chosen: keys above `bound`, and of those equal to it the first `equal`.
struct Chosen {
  std::uint32_t bound;
  int equal;
};

// Keys that were collected, or the row itself.
struct Collected {
  const std::uint32_t* key;
  __device__ __forceinline__ std::uint32_t at(int i) const { return key[i]; }
};
struct WholeRow {
  const float* score;
  __device__ __forceinline__ std::uint32_t at(int i) const { return key_of(score[i]); }
};

// The threshold of the k highest of n keys that are at least `low`; 1 <= k, and either k < n or
// low > 0. Ends as soon as a range is taken whole.
template <int kThreads, class Source>
__device__ Chosen threshold(const Source& source, int n, int k, std::uint32_t low, int* hist) {
  KN_SHARED(int, scratch, [32]);
  KN_SHARED(int, found, [3]);  // the bin, how many lie above it, how many in it
  constexpr int kPer = kBins / kThreads;
  const int tid = static_cast<int>(threadIdx.x);
  const int whole = (n + kThreads - 1) / kThreads * kThreads;
  std::uint32_t high = 0xffffffffU;
  for (;;) {
    const std::uint32_t range = high - low;
    const int width = range == 0 ? 0 : 32 - __clz(static_cast<int>(range));
    const int shift = width > 11 ? width - 11 : 0;
    for (int b = tid; b < kBins; b += kThreads) hist[b] = 0;
    __syncthreads();
    for (int i = tid; i < whole; i += kThreads) {
      const std::uint32_t off = i < n ? source.at(i) - low : 0xffffffffU;
      const bool in = i < n && off <= range;
      const int bin = in ? static_cast<int>(off >> shift) : -1;
      // Neighbours often fall into one bin: then one addition does for the warp.
      const int first = __shfl_sync(kFullMask, bin, 0);
      if (__all_sync(kFullMask, bin == first)) {
        if (first >= 0 && tid % 32 == 0) atomicAdd(&hist[first], 32);
      } else if (in) {
        atomicAdd(&hist[bin], 1);
      }
    }
    __syncthreads();
    // Thread j holds kPer bins, the highest first: the bin in which the k-th lies is one thread's.
    int own = 0;
    for (int j = 0; j < kPer; ++j) own += hist[kBins - 1 - (tid * kPer + j)];
    const int before = block_before<kThreads>(own, scratch).before;
    if (before < k && before + own >= k) {
      int above = before, bin = kBins - 1 - tid * kPer;
      for (; above + hist[bin] < k; --bin) above += hist[bin];
      found[0] = bin, found[1] = above, found[2] = hist[bin];
    }
    __syncthreads();
    const auto bin = static_cast<std::uint32_t>(found[0]);
    k -= found[1];
    const int inside = found[2];
    low += bin << shift;
    const std::uint32_t top = (1U << shift) - 1;
    if (high - low > top) high = low + top;
    __syncthreads();
    if (shift == 0) return {low, k};
    if (inside == k) return {low - 1, 0};  // something lies below, so low > 0
  }
}

// Sets the bits of the chosen among `n` collected; those equal to the bound only where all of them
// are chosen (the caller sees to the others).
template <int kThreads>
__device__ __forceinline__ void mark_collected(const std::uint32_t* key,
                                               const std::int32_t* index,
                                               int n,
                                               std::uint32_t from,
                                               std::uint32_t to,
                                               unsigned* map) {
  for (int i = static_cast<int>(threadIdx.x); i < n; i += kThreads)
    if (key[i] >= from && key[i] <= to)
      atomicOr(&map[index[i] / 32], 1U << (static_cast<unsigned>(index[i]) % 32));
}

// The same over the row: a warp sees 32 neighbours and writes their word.
template <int kThreads>
__device__ __forceinline__ void mark_row(
    const float* score, int n, std::uint32_t from, std::uint32_t to, bool add, unsigned* map) {
  const int whole = (n + 31) / 32 * 32;
#pragma unroll 4
  for (int i = static_cast<int>(threadIdx.x); i < whole; i += kThreads) {
    const std::uint32_t key = i < n ? key_of(score[i]) : 0;
    const unsigned word = __ballot_sync(kFullMask, i < n && key >= from && key <= to);
    if (threadIdx.x % 32 == 0) map[i / 32] = add ? map[i / 32] | word : word;
  }
}

// Leaves the first `count` bits of the map.
template <int kThreads>
__device__ void keep_first(unsigned* map, int words, int count, int* scratch) {
  const int per = (words + kThreads - 1) / kThreads;
  const int begin = min(static_cast<int>(threadIdx.x) * per, words), end = min(begin + per, words);
  int own = 0;
  for (int w = begin; w < end; ++w) own += __popc(map[w]);
  int left = count - block_before<kThreads>(own, scratch).before;
  for (int w = begin; w < end; ++w) {
    unsigned word = map[w];
    const int bits = __popc(word);
    while (__popc(word) > max(left, 0)) word &= ~(0x80000000U >> __clz(static_cast<int>(word)));
    map[w] = word;
    left -= bits;
  }
  __syncthreads();
}

// Writes the positions of the map's bits, ascending, then -1 up to k.
template <int kThreads>
__device__ void put_map(const unsigned* map, int words, int k, const RowOut& out, int* scratch) {
  const int per = (words + kThreads - 1) / kThreads;
  const int begin = min(static_cast<int>(threadIdx.x) * per, words), end = min(begin + per, words);
  int own = 0;
  for (int w = begin; w < end; ++w) own += __popc(map[w]);
  const auto [before, all] = block_before<kThreads>(own, scratch);
  int at = before;
  for (int w = begin; w < end; ++w)
    for (unsigned word = map[w]; word != 0; word &= word - 1)
      out.put(at++, w * 32 + __ffs(static_cast<int>(word)) - 1);
  for (int i = all + static_cast<int>(threadIdx.x); i < k; i += kThreads) out.put(i, -1);
}

// The whole row's memory, in the block's dynamic shared memory.
struct RowMemory {
  std::uint32_t* key;
  std::int32_t* index;
  int* hist;
  unsigned* map;
};

// Which scores are collected: those not below `value`, or, at a plateau, those above it.
struct Bound {
  float value;
  bool above;
  bool usable;  // false: nothing is known
};

// From kSample scores spread over the row: one that about k scores reach, and some more.
template <int kThreads>
__device__ Bound sampled_bound(const float* score, int n, int k, const RowMemory& m) {
  KN_SHARED(int, equal, [1]);
  const int tid = static_cast<int>(threadIdx.x);
  for (int i = tid; i < kSample; i += kThreads)
    m.key[i] = key_of(score[static_cast<std::int64_t>(i) * n / kSample]);
  if (tid == 0) equal[0] = 0;
  __syncthreads();
  // Of `rank` expected among the sample, several standard deviations more.
  const float rank = static_cast<float>(k) * kSample / static_cast<float>(n);
  const int deep = static_cast<int>(rank + 3.5F * sqrtf(rank)) + 4;
  if (deep >= kSample) return {0, false, false};
  const Chosen at = threshold<kThreads>(Collected{m.key}, kSample, deep, 0, m.hist);
  // Taken whole: the bound itself is below the range.
  const std::uint32_t key = at.equal == 0 ? at.bound + 1 : at.bound;
  int same = 0;
  for (int i = tid; i < kSample; i += kThreads) same += m.key[i] == key ? 1 : 0;
  same = warp_sum_int(same);
  if (tid % 32 == 0) atomicAdd(&equal[0], same);
  __syncthreads();
  // An eighth of what fits in the sample's own proportion is a plateau.
  const bool plateau = static_cast<std::int64_t>(equal[0]) * n / kSample > kRoom / 8;
  __syncthreads();
  if (key <= key_of(-INFINITY)) return {0, false, false};
  return {value_of(key), plateau, true};
}

// The scores i .. i+3; -inf where the row has none.
__device__ __forceinline__ float4 piece_of(const float* score, int i, int n) {
  if (i >= 0 && i + 4 <= n) return *reinterpret_cast<const float4*>(score + i);
  float4 v = make_float4(-INFINITY, -INFINITY, -INFINITY, -INFINITY);
  if (i >= 0 && i < n) v.x = score[i];
  if (i + 1 >= 0 && i + 1 < n) v.y = score[i + 1];
  if (i + 2 >= 0 && i + 2 < n) v.z = score[i + 2];
  if (i + 3 >= 0 && i + 3 < n) v.w = score[i + 3];
  return v;
}

// Those of a warp's 128 scores that pass go to the places that one addition to `count` reserves.
__device__ __forceinline__ void take(
    float4 v, int i, const Bound& bound, int* count, int& equal, const RowMemory& m) {
  const unsigned lane = threadIdx.x % 32;
  const float x[4] = {v.x, v.y, v.z, v.w};
  bool pass[4];
  unsigned votes[4];
  int all = 0;
#pragma unroll
  for (int j = 0; j < 4; ++j) {
    pass[j] = bound.above ? x[j] > bound.value : x[j] >= bound.value;
    equal += x[j] == bound.value ? 1 : 0;
    votes[j] = __ballot_sync(kFullMask, pass[j]);
    all += __popc(votes[j]);
  }
  if (all == 0) return;  // of the whole warp
  int at = 0;
  if (lane == 0) at = atomicAdd(count, all);
  at = __shfl_sync(kFullMask, at, 0);
#pragma unroll
  for (int j = 0; j < 4; ++j) {
    const int to = at + __popc(votes[j] & ((1U << lane) - 1));
    if (pass[j] && to < kRoom) {
      m.key[to] = key_of(x[j]);
      m.index[to] = i + j;
    }
    at += __popc(votes[j]);
  }
}

// Collects what passes the bound. Returns how many passed (they are there if at most kRoom) and,
// at a plateau, how many equal it.
struct Count {
  int passed, equal;
};
template <int kThreads>
__device__ Count collect(const float* score, int n, const Bound& bound, const RowMemory& m) {
  KN_SHARED(int, count, [2]);
  const int tid = static_cast<int>(threadIdx.x), lane = tid % 32;
  if (tid < 2) count[tid] = 0;
  __syncthreads();
  int equal = 0;
  // Four neighbours a piece; the row may start anywhere, so pieces begin at the first multiple of
  // 16 bytes, and piece 0 is what lies in front of it. Several pieces are under way at once.
  constexpr int kBatch = 4;
  const int head = static_cast<int>((16 - reinterpret_cast<std::uintptr_t>(score) % 16) % 16 / 4);
  const int pieces = (n - head) / 4 + 2;  // the last one may be ragged
  for (int first = tid - lane; first < pieces; first += kThreads * kBatch) {
    float4 v[kBatch];
#pragma unroll
    for (int b = 0; b < kBatch; ++b) {
      const int i = head + 4 * (first + lane + b * kThreads - 1);
      v[b] = piece_of(score, i, n);
    }
#pragma unroll
    for (int b = 0; b < kBatch; ++b)
      take(v[b], head + 4 * (first + lane + b * kThreads - 1), bound, count, equal, m);
  }
  if (bound.above) {
    equal = warp_sum_int(equal);
    if (lane == 0) atomicAdd(&count[1], equal);
  }
  __syncthreads();
  const Count result{count[0], count[1]};
  __syncthreads();
  return result;
}

template <int kThreads>
__device__ void topk_row(
    const float* score, int n, int k, const RowOut& out, unsigned char* memory) {
  KN_SHARED(int, scratch, [32]);
  const int tid = static_cast<int>(threadIdx.x);
  if (n <= k) {
    for (int i = tid; i < k; i += kThreads) out.put(i, i < n ? i : -1);
    return;
  }
  RowMemory m;
  m.key = reinterpret_cast<std::uint32_t*>(memory);
  m.index = reinterpret_cast<std::int32_t*>(m.key + kRoom);
  m.hist = m.index + kRoom;
  m.map = reinterpret_cast<unsigned*>(m.hist + kBins);
  const int words = (n + 31) / 32;
  constexpr std::uint32_t kAll = 0xffffffffU;

  Chosen chosen{0, 0};
  int collected = 0;
  bool from_row = false;  // the map is made from the row, not from what was collected
  if (n <= kRoom) {
    for (int i = tid; i < n; i += kThreads) {
      m.key[i] = key_of(score[i]);
      m.index[i] = i;
    }
    __syncthreads();
    collected = n;
    chosen = threshold<kThreads>(Collected{m.key}, n, k, 0, m.hist);
  } else {
    const Bound bound = sampled_bound<kThreads>(score, n, k, m);
    Count count{0, 0};
    if (bound.usable) count = collect<kThreads>(score, n, bound, m);
    collected = count.passed;
    if (bound.usable && collected >= k && collected <= kRoom) {
      chosen = threshold<kThreads>(Collected{m.key}, collected, k, key_of(bound.value), m.hist);
    } else if (bound.usable && bound.above && collected < k && collected + count.equal >= k) {
      chosen = {key_of(bound.value), k - collected};
      from_row = true;
    } else {
      chosen = threshold<kThreads>(WholeRow{score}, n, k, 0, m.hist);
      from_row = true;
    }
  }

  // The map: those equal to the bound first, cut to the lowest indices; then those above it.
  for (int w = tid; w < words; w += kThreads) m.map[w] = 0;
  __syncthreads();
  if (chosen.equal > 0) {
    if (from_row)
      mark_row<kThreads>(score, n, chosen.bound, chosen.bound, false, m.map);
    else
      mark_collected<kThreads>(m.key, m.index, collected, chosen.bound, chosen.bound, m.map);
    __syncthreads();
    keep_first<kThreads>(m.map, words, chosen.equal, scratch);
  }
  if (chosen.bound != kAll) {
    if (from_row)
      mark_row<kThreads>(score, n, chosen.bound + 1, kAll, true, m.map);
    else
      mark_collected<kThreads>(m.key, m.index, collected, chosen.bound + 1, kAll, m.map);
  }
  __syncthreads();
  put_map<kThreads>(m.map, words, k, out, scratch);
}

}  // namespace seedbed::kernels::KN_NS
