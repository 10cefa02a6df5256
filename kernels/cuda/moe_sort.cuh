// The order of moe_permute: where each choice of a token goes when choices are sorted by expert,
// stable in token order.
#pragma once
#include "kernels/cuda/device.h"
#include "kernels/moe.h"

namespace seedbed::kernels::KN_NS {

constexpr int kSortThreads = 1024;

// The lanes whose value equals this lane's; values below 2^bits.
__device__ __forceinline__ unsigned same_value(int value, int bits) {
  unsigned same = kFullMask;
  for (int b = 0; b < bits; ++b) {
    const bool set = (value >> b & 1) != 0;
    const unsigned those = __ballot_sync(kFullMask, set);
    same &= set ? those : ~those;
  }
  return same;
}

// One block. Warp w owns a contiguous part of the choices: it counts them by expert, the counts
// are summed over warps and experts, and each warp then hands out rows in order. No atomics: the
// lanes of one expert are found by votes. Floor: 8 bytes a choice read, 4 written.
static __global__ void __launch_bounds__(kSortThreads)
    moe_sort_kernel(MoePermuteParams p, int warps, int bits) {
  KN_DYN_SMEM(memory);
  KN_SHARED(int, warp_total, [32]);
  int* const counts = reinterpret_cast<int*>(memory);  // [warps][experts]: counts, then next rows
  const int tid = static_cast<int>(threadIdx.x), lane = tid % 32, warp = tid / 32;
  const int choices = p.tokens * p.topk;
  const int part = (choices + warps * 32 - 1) / (warps * 32) * 32;
  const int begin = warp * part, end = min(begin + part, choices);
  int* const mine = counts + warp * p.experts;
  for (int i = tid; i < warps * p.experts; i += kSortThreads) counts[i] = 0;
  __syncthreads();
  // Hands out `mine` to the choices of this warp; the first time only to count them.
  const auto walk = [&](bool write) {
    for (int base = begin; base < end; base += 32) {
      const int i = base + lane;
      const int expert = i < end ? p.ids[i] : p.experts;  // one more value for the lanes beyond
      KN_CHECK(expert >= 0 && expert <= p.experts, expert, p.experts);
      KN_CHECK(i >= end || expert < p.experts, expert, p.experts);
      const unsigned same = same_value(expert, bits);
      const int before = __popc(same & ((1U << lane) - 1));
      int next = 0;
      if (i < end) next = mine[expert];
      __syncwarp();
      if (i < end && before == 0) mine[expert] = next + __popc(same);
      if (write && i < end) p.row_of[i] = next + before;
      __syncwarp();
    }
  };
  if (warp < warps) walk(false);
  __syncthreads();
  // Thread e sums expert e's counts over the warps; a scan over the threads gives the offsets.
  // More experts than threads are taken in rounds, `carry` being the rows before.
  int carry = 0;
  for (int first = 0; first < p.experts; first += kSortThreads) {
    const int e = first + tid;
    int total = 0;
    if (e < p.experts)
      for (int w = 0; w < warps; ++w) total += counts[w * p.experts + e];
    int sum = total;  // inclusive over the lanes
    for (int step = 1; step < 32; step *= 2) {
      const int below = __shfl_up_sync(kFullMask, sum, static_cast<unsigned>(step));
      if (lane >= step) sum += below;
    }
    if (lane == 31) warp_total[warp] = sum;
    __syncthreads();
    int row = carry + sum - total;
    for (int w = 0; w < 32; ++w) {
      if (w < warp) row += warp_total[w];
      carry += warp_total[w];
    }
    __syncthreads();
    if (e >= p.experts) continue;
    p.offsets[e] = row;
    for (int w = 0; w < warps; ++w) {
      const int here_count = counts[w * p.experts + e];
      counts[w * p.experts + e] = row;
      row += here_count;
    }
  }
  if (tid == 0) p.offsets[p.experts] = choices;
  __syncthreads();
  if (warp < warps) walk(true);
}

static inline void moe_sort(const MoePermuteParams& p) {
  KERNEL_CHECK(p.experts >= 1 && p.experts <= 24'576, p.experts, 24'576);
  int warps = 32, bits = 1;
  while (warps > 2 && warps * p.experts > 12 * 1024) warps /= 2;  // 48 KiB where that is enough
  while (1 << bits <= p.experts) ++bits;
  const auto bytes = static_cast<std::size_t>(warps) * static_cast<std::size_t>(p.experts) * 4;
  launch(moe_sort_kernel, dim3(1), dim3(kSortThreads), bytes, here().stream, p, warps, bits);
}

}  // namespace seedbed::kernels::KN_NS
