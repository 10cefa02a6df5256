#include "kernels/cuda/norms.cuh"
#include "kernels/norm.h"

namespace seedbed::kernels::KN_NS {

namespace {

// A row belongs to a warp (up to 1024 numbers) or to a block of 256 threads, which hold it in
// registers: read once, written once. Rows beyond 8192 numbers are taken in several spans and read
// twice. Which thread adds which numbers depends on the row's length alone. Floor of rms_norm: 8
// bytes a number, 16 with a residual; of layer_norm: 8.
template <int kLanes>
__device__ __forceinline__ float row_sum(float x, float* scratch) {
  if constexpr (kLanes == 32)
    return warp_sum(x);
  else
    return block_sum<kLanes>(x, scratch);
}
constexpr int kWarpRows = 4;  // rows of a block where a row is a warp's

template <int kLanes>
__device__ __forceinline__ std::int64_t row_here() {
  return kLanes == 32 ? static_cast<std::int64_t>(blockIdx.x) * kWarpRows + threadIdx.x / 32
                      : static_cast<std::int64_t>(blockIdx.x);
}
template <int kLanes, int kPieces, bool kWide>
__global__ void __launch_bounds__(kLanes == 32 ? 32 * kWarpRows : kLanes)
    rms_norm_kernel(RmsNormParams p) {
  KN_SHARED(float, scratch, [kLanes / 32]);
  constexpr int kSpan = 4 * kLanes * kPieces;
  const std::int64_t t = row_here<kLanes>();
  if (t >= p.rows) return;  // whole warps, and then without a barrier ahead
  const int first = 4 * static_cast<int>(threadIdx.x % kLanes), dim = p.dim;
  const float* x = p.x == nullptr ? nullptr : p.x + t * p.ldx;
  float* residual = p.residual == nullptr ? nullptr : p.residual + t * dim;
  float4 h[kPieces] = {};
  float sum = 0;
  for (int span = 0; span < dim; span += kSpan) {
#pragma unroll
    for (int v = 0; v < kPieces; ++v) {
      const int i = span + first + 4 * kLanes * v;
      h[v] = make_float4(0, 0, 0, 0);
      if (i >= dim) continue;
      if (x != nullptr) h[v] = load4<kWide>(x, i, dim);
      if (residual != nullptr) {
        const float4 r = load4<kWide>(residual, i, dim);
        if (x == nullptr) {
          h[v] = r;
        } else {
          h[v] = make_float4(r.x + h[v].x, r.y + h[v].y, r.z + h[v].z, r.w + h[v].w);
          store4<kWide>(residual, i, dim, h[v]);
        }
      }
    }
#pragma unroll
    for (int v = 0; v < kPieces; ++v) sum = square4(sum, h[v]);
  }
  sum = row_sum<kLanes>(sum, scratch);
  const float scale = inverse_root(__fdiv_rn(sum, static_cast<float>(dim)), p.eps);
  float* out = p.out + t * p.ldo;
  const float* again = residual != nullptr ? residual : x;
  for (int span = 0; span < dim; span += kSpan) {
#pragma unroll
    for (int v = 0; v < kPieces; ++v) {
      const int i = span + first + 4 * kLanes * v;
      if (i >= dim) continue;
      if (dim > kSpan) h[v] = load4<kWide>(again, i, dim);
      const float4 w = load4<kWide>(p.weight, i, dim);
      store4<kWide>(out, i, dim, scaled4(h[v], scale, w));
    }
  }
}

// The mean is taken twice, the second time of what is left after the first: large offsets cost no
// accuracy. A part beyond the row counts as the mean.
template <int kLanes, int kPieces, bool kWide>
__global__ void __launch_bounds__(kLanes == 32 ? 32 * kWarpRows : kLanes)
    layer_norm_kernel(LayerNormParams p) {
  KN_SHARED(float, scratch, [kLanes / 32]);
  constexpr int kSpan = 4 * kLanes * kPieces;
  const std::int64_t t = row_here<kLanes>();
  if (t >= p.rows) return;
  const int first = 4 * static_cast<int>(threadIdx.x % kLanes), dim = p.dim;
  const float* x = p.x + t * dim;
  const float count = static_cast<float>(dim);
  float4 d[kPieces] = {};
  float sum = 0;
  for (int span = 0; span < dim; span += kSpan) {
#pragma unroll
    for (int v = 0; v < kPieces; ++v) {
      const int i = span + first + 4 * kLanes * v;
      d[v] = i < dim ? load4<kWide>(x, i, dim) : make_float4(0, 0, 0, 0);
    }
#pragma unroll
    for (int v = 0; v < kPieces; ++v) sum += (d[v].x + d[v].y) + (d[v].z + d[v].w);
  }
  const float mean = __fdiv_rn(row_sum<kLanes>(sum, scratch), count);
  float rest = 0, squares = 0;
  for (int span = 0; span < dim; span += kSpan) {
#pragma unroll
    for (int v = 0; v < kPieces; ++v) {
      const int i = span + first + 4 * kLanes * v;
      if (dim > kSpan && i < dim) d[v] = load4<kWide>(x, i, dim);
      d[v] = make_float4(i < dim ? d[v].x - mean : 0, i + 1 < dim ? d[v].y - mean : 0,
                         i + 2 < dim ? d[v].z - mean : 0, i + 3 < dim ? d[v].w - mean : 0);
      rest += (d[v].x + d[v].y) + (d[v].z + d[v].w);
      squares = square4(squares, d[v]);
    }
  }
  rest = __fdiv_rn(row_sum<kLanes>(rest, scratch), count);
  squares = __fdiv_rn(row_sum<kLanes>(squares, scratch), count);
  const float scale = inverse_root(left_variance(squares, rest), p.eps);
  float* out = p.out + t * dim;
  for (int span = 0; span < dim; span += kSpan) {
#pragma unroll
    for (int v = 0; v < kPieces; ++v) {
      const int i = span + first + 4 * kLanes * v;
      if (i >= dim) continue;
      if (dim > kSpan) {
        const float4 y = load4<kWide>(x, i, dim);
        d[v] = make_float4(y.x - mean, y.y - mean, y.z - mean, y.w - mean);
      }
      const float4 w = load4<kWide>(p.weight, i, dim), b = load4<kWide>(p.bias, i, dim);
      store4<kWide>(out, i, dim, normed4(d[v], rest, scale, w, b));
    }
  }
}

template <class Params>
struct Kernels {  // by length of a row: a warp's up to 128, 256, 512, 1024, a block's beyond
  void (*of[7])(Params);
};
template <bool kWide>
constexpr Kernels<RmsNormParams> kRmsNorm = {
    {rms_norm_kernel<32, 1, kWide>, rms_norm_kernel<32, 2, kWide>, rms_norm_kernel<32, 4, kWide>,
     rms_norm_kernel<32, 8, kWide>, rms_norm_kernel<256, 2, kWide>, rms_norm_kernel<256, 4, kWide>,
     rms_norm_kernel<256, 8, kWide>}};
template <bool kWide>
constexpr Kernels<LayerNormParams> kLayerNorm = {
    {layer_norm_kernel<32, 1, kWide>, layer_norm_kernel<32, 2, kWide>,
     layer_norm_kernel<32, 4, kWide>, layer_norm_kernel<32, 8, kWide>,
     layer_norm_kernel<256, 2, kWide>, layer_norm_kernel<256, 4, kWide>,
     layer_norm_kernel<256, 8, kWide>}};

template <class Params>
void run(const Kernels<Params>& kernels, const Params& p) {
  int which = 0;
  while (which < 6 && p.dim > 128 << which) ++which;
  const bool warp = which < 4;
  launch(kernels.of[which],
         dim3(static_cast<unsigned>(warp ? ceil_div(p.rows, kWarpRows) : p.rows)),
         dim3(warp ? 32 * kWarpRows : 256), 0, here().stream, p);
}

}  // namespace

void rms_norm(const RmsNormParams& params) {
  RmsNormParams p = params;
  if (p.ldx == 0) p.ldx = p.dim;
  if (p.ldo == 0) p.ldo = p.dim;
  KERNEL_CHECK(p.rows == 0 || p.x != nullptr || p.residual != nullptr, p.rows, p.dim);
  const bool wide = p.dim % 4 == 0 && p.ldx % 4 == 0 && p.ldo % 4 == 0 && aligned(p.x, 16) &&
                    aligned(p.residual, 16) && aligned(p.weight, 16) && aligned(p.out, 16);
  run(wide ? kRmsNorm<true> : kRmsNorm<false>, p);
}

void layer_norm(const LayerNormParams& p) {
  const bool wide = p.dim % 4 == 0 && aligned(p.x, 16) && aligned(p.weight, 16) &&
                    aligned(p.bias, 16) && aligned(p.out, 16);
  run(wide ? kLayerNorm<true> : kLayerNorm<false>, p);
}

}  // namespace seedbed::kernels::KN_NS
