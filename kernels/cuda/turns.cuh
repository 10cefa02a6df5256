// The two rotations of the ops: rope's of a pair by an angle, and the butterflies of Hadamard's.
#pragma once
#include "kernels/cuda/rows.cuh"

namespace seedbed::kernels::KN_NS {

// (a, b) turned by an angle; each product and sum rounded once.
__device__ __forceinline__ float2 turned(float a, float b, float c, float s) {
  return make_float2(__fsub_rn(__fmul_rn(a, c), __fmul_rn(b, s)),
                     __fadd_rn(__fmul_rn(b, c), __fmul_rn(a, s)));
}

__device__ __forceinline__ void butterfly(float& a, float& b) {
  const float sum = a + b, difference = a - b;
  a = sum;
  b = difference;
}
// Between the lanes of a warp; the upper lane keeps the difference.
__device__ __forceinline__ float across(float own, int lanes, bool upper) {
  const float other = __shfl_xor_sync(kFullMask, own, lanes);
  return upper ? other - own : own + other;
}

}  // namespace seedbed::kernels::KN_NS
