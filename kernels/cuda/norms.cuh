// The arithmetic of the norms, shared by norm.cu and the fused ops.
#pragma once
#include "kernels/cuda/rows.cuh"

namespace seedbed::kernels::KN_NS {

__device__ __forceinline__ float square4(float sum, float4 v) {
  return fmaf(v.w, v.w, fmaf(v.z, v.z, fmaf(v.y, v.y, fmaf(v.x, v.x, sum))));
}
__device__ __forceinline__ float sum4(float4 v) {
  return (v.x + v.y) + (v.z + v.w);
}
__device__ __forceinline__ float inverse_root(float mean_square, float eps) {
  return __frcp_rn(__fsqrt_rn(__fadd_rn(mean_square, eps)));
}
// rms_norm of four numbers.
__device__ __forceinline__ float4 scaled4(float4 h, float scale, float4 w) {
  return make_float4(w.x * (h.x * scale), w.y * (h.y * scale), w.z * (h.z * scale),
                     w.w * (h.w * scale));
}
// The variance, given the mean square and the mean of what is left after a first mean.
__device__ __forceinline__ float left_variance(float squares, float rest) {
  return fmaxf(__fsub_rn(squares, __fmul_rn(rest, rest)), 0.0F);
}
// layer_norm of four numbers, d what is left of them.
__device__ __forceinline__ float4 normed4(float4 d, float rest, float scale, float4 w, float4 b) {
  return make_float4(fmaf((d.x - rest) * scale, w.x, b.x), fmaf((d.y - rest) * scale, w.y, b.y),
                     fmaf((d.z - rest) * scale, w.z, b.z), fmaf((d.w - rest) * scale, w.w, b.w));
}

}  // namespace seedbed::kernels::KN_NS
