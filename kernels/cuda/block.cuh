// Sums and selections over a block, in integers: any order of threads gives the same result.
#pragma once
#include "kernels/cuda/device.h"

namespace seedbed::kernels::KN_NS {

template <class T>
__device__ __forceinline__ T warp_add(T x) {
#pragma unroll
  for (int step = 16; step > 0; step /= 2) x += __shfl_xor_sync(kFullMask, x, step);
  return x;
}

// The sum over the threads before this one, and over all. scratch: kThreads / 32 values; it may be
// used again after the next barrier.
template <int kThreads, class T>
struct Before {
  T before, all;
};
template <int kThreads, class T>
__device__ __forceinline__ Before<kThreads, T> block_before(T own, T* scratch) {
  const unsigned lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  T sum = own;
#pragma unroll
  for (unsigned step = 1; step < 32; step *= 2) {
    const T below = __shfl_up_sync(kFullMask, sum, step);
    if (lane >= step) sum += below;
  }
  if (lane == 31) scratch[warp] = sum;
  __syncthreads();
  // Every warp scans the warps' sums for itself.
  T of_warp = lane < kThreads / 32 ? scratch[lane] : T{0};
  T running = of_warp;
#pragma unroll
  for (unsigned step = 1; step < 32; step *= 2) {
    const T below = __shfl_up_sync(kFullMask, running, step);
    if (lane >= step) running += below;
  }
  const T before_warp = __shfl_sync(kFullMask, running - of_warp, static_cast<int>(warp));
  const T all = __shfl_sync(kFullMask, running, 31);
  return {before_warp + sum - own, all};
}

}  // namespace seedbed::kernels::KN_NS
