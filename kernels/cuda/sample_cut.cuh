// Where the kept set of a row ends: the threshold of top-k among the logits and of top-p among the
// weights, by one block a row. Nothing is sorted: histograms narrow a range of keys until few ids
// are left in it, whose places are then counted.
#pragma once
#include "kernels/cuda/sample_rows.cuh"

namespace seedbed::kernels::KN_NS {

constexpr int kCutThreads = 1024;
constexpr int kCutBins = 2048;
constexpr int kFew = 512;

struct CutMemory {               // static shared memory of the kernel
  unsigned *count, *low, *high;  // [kCutBins] each
  Weight* key;                   // [kFew]
  int* id;                       // [kFew]
  Weight* scratch;               // [32]
  Weight* found;                 // [4]
};

// Keys above `bound`, and those equal to it with ids up to `id`.
struct Threshold {
  Weight bound;
  std::int32_t id;
};

// The ids by their logits: each counts 1.
struct ByZ {
  const View& view;
  static constexpr bool kWeighted = false;
  __device__ void narrow(Weight, Weight) {}
  __device__ bool get(int id, Weight& key) const {
    key = key_of_z(view.z(id));
    return true;
  }
};
// The ids that top-k left by their weights: each counts its weight.
struct ByWeight {
  const View& view;
  const Keeper keeper;
  double from = -INFINITY, to = INFINITY;  // of x: outside no weight lies in the range
  static constexpr bool kWeighted = true;
  __device__ void narrow(Weight low, Weight high) {
    from = x_below(low);
    to = x_above(high);
  }
  __device__ bool get(int id, Weight& key) const {
    const double z = view.z(id);
    if (!keeper.above_z(z, id)) return false;
    const double x = keeper.row.x(z);
    if (x < from || x > to) return false;
    key = weight_of(x);
    return key > 0;
  }
};

// The `nth` lowest id (from 1) whose key is `key`: warps own contiguous parts.
template <class Ids>
__device__ std::int32_t nth_with(
    const Ids& ids, int vocab, Weight key, Weight nth, const CutMemory& m) {
  const int lane = static_cast<int>(threadIdx.x % 32), warp = static_cast<int>(threadIdx.x / 32);
  const int part = (vocab + kCutThreads - 1) / kCutThreads * 32;
  const int begin = warp * part, end = min(begin + part, vocab);
  const auto votes_at = [&](int base) {
    Weight own = 0;
    const bool is = base + lane < end && ids.get(base + lane, own) && own == key;
    return __ballot_sync(kFullMask, is);
  };
  Weight count = 0;
  for (int base = begin; base < end; base += 32)
    count += static_cast<unsigned>(__popc(votes_at(base)));
  const Weight before = block_before<kCutThreads>(lane == 0 ? count : Weight{0}, m.scratch).before;
  Weight left = nth - __shfl_sync(kFullMask, before, 0);  // wraps where it lies before this warp
  if (left >= 1 && left <= count) {
    for (int base = begin; base < end; base += 32) {
      const unsigned votes = votes_at(base);
      const auto here_count = static_cast<unsigned>(__popc(votes));
      if (left <= here_count) {
        const bool mine = (votes >> lane & 1U) != 0 &&
                          static_cast<unsigned>(__popc(votes & ((1U << lane) - 1))) + 1 == left;
        if (mine) m.found[3] = static_cast<Weight>(base + lane);
        break;
      }
      left -= here_count;
    }
  }
  __syncthreads();
  const auto id = static_cast<std::int32_t>(m.found[3]);
  __syncthreads();
  return id;
}

// Collects the ids with keys in [low, high], as long as they are few; returns how many there are.
template <class Ids>
__device__ int collect_few(const Ids& ids, int vocab, Weight low, Weight high, const CutMemory& m) {
  if (threadIdx.x == 0) m.count[0] = 0;
  __syncthreads();
  for (int id = static_cast<int>(threadIdx.x); id < vocab; id += kCutThreads) {
    Weight key = 0;
    if (!ids.get(id, key) || key < low || key > high) continue;
    const unsigned at = atomicAdd(&m.count[0], 1U);
    if (at >= kFew) continue;
    m.key[at] = key;
    m.id[at] = id;
  }
  __syncthreads();
  const auto n = static_cast<int>(m.count[0]);
  __syncthreads();
  return n;
}

// Among n collected: the one with which the running sum, best first, reaches `need`; `all` where it
// never does.
template <bool kWeighted>
__device__ Threshold among_few(int n, Weight need, Threshold all, const CutMemory& m) {
  const int j = static_cast<int>(threadIdx.x);
  if (j == 0) m.found[2] = 0;
  __syncthreads();
  if (j < n) {
    const Weight key = m.key[j], own = kWeighted ? key : 1;
    const int id = m.id[j];
    Weight before = 0;
    for (int i = 0; i < n; ++i)
      if (m.key[i] > key || (m.key[i] == key && m.id[i] < id)) before += kWeighted ? m.key[i] : 1;
    if (before < need && before + own >= need) {
      m.found[0] = key;
      m.found[1] = static_cast<Weight>(id);
      m.found[2] = 1;
    }
  }
  __syncthreads();
  if (m.found[2] != 0) all = {m.found[0], static_cast<std::int32_t>(m.found[1])};
  __syncthreads();
  return all;
}

// The shortest prefix, highest key first, lower ids first among equals, whose sum reaches `need`,
// out of the ids with keys in [low, high]; all of them where the sum never does. `few`: it is worth
// trying to collect them at once.
template <class Ids>
__device__ Threshold
reach(Ids ids, int vocab, Weight low, Weight high, Weight need, bool few, const CutMemory& m) {
  const int tid = static_cast<int>(threadIdx.x);
  const int whole = (vocab + kCutThreads - 1) / kCutThreads * kCutThreads;
  for (;;) {
    ids.narrow(low, high);
    if (few) {
      const int n = collect_few(ids, vocab, low, high, m);
      if (n <= kFew) return among_few<Ids::kWeighted>(n, need, {low - 1, -1}, m);
    }
    const Weight range = high - low;
    const int width = 64 - __clzll(static_cast<long long>(range));
    const int shift = width > 11 ? width - 11 : 0;
    for (int b = tid; b < kCutBins; b += kCutThreads) m.count[b] = m.low[b] = m.high[b] = 0;
    __syncthreads();
    for (int id = tid; id < whole; id += kCutThreads) {
      Weight key = 0;
      const bool in = id < vocab && ids.get(id, key) && key >= low && key <= high;
      const int bin = in ? static_cast<int>((key - low) >> shift) : -1;
      add_to_slots(m.low, m.high, bin, Ids::kWeighted ? key : Weight{in ? 1U : 0U});
      if (in) atomicAdd(&m.count[bin], 1U);
    }
    __syncthreads();
    if (tid == 0) m.found[2] = 0;
    // Thread j holds two bins, the highest first.
    const auto sum_of = [&](int b) { return static_cast<Weight>(m.high[b]) << 32 | m.low[b]; };
    const int upper = kCutBins - 1 - 2 * tid;
    const Weight first = sum_of(upper), own = first + sum_of(upper - 1);
    const Weight before = block_before<kCutThreads>(own, m.scratch).before;
    if (before < need && before + own >= need) {
      const bool second = before + first < need;
      m.found[0] = static_cast<Weight>(second ? upper - 1 : upper);
      m.found[1] = second ? before + first : before;
      m.found[2] = 1;
    }
    __syncthreads();
    if (m.found[2] == 0) return {low - 1, -1};
    const auto bin = static_cast<int>(m.found[0]);
    const Weight sum = sum_of(bin);
    const unsigned count = m.count[bin];
    need -= m.found[1];
    low += static_cast<Weight>(bin) << shift;
    const Weight top = (Weight{1} << shift) - 1;
    if (high - low > top) high = low + top;
    __syncthreads();
    if (sum == need) return {low - 1, -1};
    if (shift == 0) {
      const Weight each = Ids::kWeighted ? low : 1;
      return {low, nth_with(ids, vocab, low, (need + each - 1) / each, m)};
    }
    few = count <= kFew;
  }
}

// Where top-p ends, of all ids: the class comes from the sums that the chunks made.
__device__ inline Threshold reach_in_classes(const ByWeight& ids,
                                             const View& view,
                                             Weight target,
                                             const CutMemory& m) {
  const int tid = static_cast<int>(threadIdx.x);
  // Thread j holds two classes, the heaviest first.
  const int upper = kClasses - 1 - 2 * tid;
  const Weight first = upper >= 1 ? view.classes()[upper] : 0,
               own = upper >= 1 ? first + view.classes()[upper - 1] : 0;
  const Weight before = block_before<kCutThreads>(own, m.scratch).before;
  if (before < target && before + own >= target) {
    const bool second = before + first < target;
    m.found[0] = static_cast<Weight>(second ? upper - 1 : upper);
    m.found[1] = second ? before + first : before;
  }
  __syncthreads();
  const auto c = static_cast<int>(m.found[0]);
  const Weight need = target - m.found[1];
  __syncthreads();
  const Weight low = class_begin(c), next = class_begin(c + 1);
  return reach(ids, view.w.p.vocab, low, next > low ? next - 1 : low, need, true, m);
}

}  // namespace seedbed::kernels::KN_NS
