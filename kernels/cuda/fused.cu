#include <cmath>

#include "kernels/cuda/fused.h"
#include "kernels/cuda/norms.cuh"
#include "kernels/cuda/ops_here.h"
#include "kernels/cuda/records.cuh"
#include "kernels/cuda/turns.cuh"

namespace seedbed::kernels::KN_NS {

namespace {

constexpr int kWarps = 4;  // of a block; each has a row of its own
constexpr int kIndexDim = 128;

__device__ __forceinline__ int lane_here() {
  return static_cast<int>(threadIdx.x % 32);
}
__device__ __forceinline__ std::int64_t warp_here() {
  return static_cast<std::int64_t>(blockIdx.x) * kWarps + threadIdx.x / 32;
}

// rope on a row of up to 128 numbers, four a lane. Interleaved pairs are a lane's own; half-split
// ones are half / 4 lanes apart.
__device__ __forceinline__ float4
turn_row(float4 v, const float* cos, const float* sin, int half, bool interleaved) {
  const int lane = lane_here();
  if (interleaved) {
    if (2 * lane >= half) return v;
    const float2 a = turned(v.x, v.y, cos[2 * lane], sin[2 * lane]);
    const float2 b = turned(v.z, v.w, cos[2 * lane + 1], sin[2 * lane + 1]);
    return make_float4(a.x, a.y, b.x, b.y);
  }
  const int apart = half / 4;
  const bool first = lane < apart, in = lane < 2 * apart;
  const int other = first ? lane + apart : in ? lane - apart : lane;
  const float4 w =
      make_float4(__shfl_sync(kFullMask, v.x, other), __shfl_sync(kFullMask, v.y, other),
                  __shfl_sync(kFullMask, v.z, other), __shfl_sync(kFullMask, v.w, other));
  if (!in) return v;
  const int i = 4 * (first ? lane : other);
  const float4 c = load4<true>(cos, i, half), s = load4<true>(sin, i, half);
  if (first)
    return make_float4(turned(v.x, w.x, c.x, s.x).x, turned(v.y, w.y, c.y, s.y).x,
                       turned(v.z, w.z, c.z, s.z).x, turned(v.w, w.w, c.w, s.w).x);
  return make_float4(turned(w.x, v.x, c.x, s.x).y, turned(w.y, v.y, c.y, s.y).y,
                     turned(w.z, v.z, c.z, s.z).y, turned(w.w, v.w, c.w, s.w).y);
}

// hadamard_quant of a row of 128 numbers: the codes of this lane's four, and the scale.
struct Codes {
  std::uint32_t four;
  float scale;
};
__device__ __forceinline__ Codes hadamard_row(float4 v, float factor, bool ue8m0) {
  float y[4] = {v.x, v.y, v.z, v.w};
  butterfly(y[0], y[1]), butterfly(y[2], y[3]);
  butterfly(y[0], y[2]), butterfly(y[1], y[3]);
#pragma unroll
  for (int step = 1; step < 32; step *= 2)
#pragma unroll
    for (int j = 0; j < 4; ++j) y[j] = across(y[j], step, (lane_here() & step) != 0);
  v = make_float4(y[0] * factor, y[1] * factor, y[2] * factor, y[3] * factor);
  const float scale = fp8_scale(warp_max(magnitude4(v)), ue8m0);
  return {quantise4(v, scale, ue8m0), scale};
}

// A warp is a head of a token. Floor: 644 bytes a head.
__global__ void __launch_bounds__(32 * kWarps)
    index_query_kernel(RopeParams rope, HadamardQuantParams q, float* weight, float fold, float h) {
  const std::int64_t row = warp_here();
  if (row >= q.rows) return;
  const std::int64_t t = row / rope.heads;
  float4 v = load4<true>(q.x + row * kIndexDim, 4 * lane_here(), kIndexDim);
  v = turn_row(v, rope.cos + t * rope.half, rope.sin + t * rope.half, rope.half, rope.interleaved);
  const Codes codes = hadamard_row(v, h, q.ue8m0);
  *reinterpret_cast<std::uint32_t*>(q.out + row * kIndexDim + 4 * lane_here()) = codes.four;
  if (lane_here() != 0) return;
  q.scale[row] = codes.scale;
  if (weight != nullptr) weight[row] = __fmul_rn(__fmul_rn(weight[row], fold), codes.scale);
}

// A warp is a token. Floor: 512 bytes read and 132 written a token, and the lines of weights.
__global__ void __launch_bounds__(32 * kWarps) index_key_kernel(
    LayerNormParams norm, RopeParams rope, IndexWriteParams write, bool ue8m0, float h) {
  const std::int64_t t = warp_here();
  if (t >= norm.rows) return;
  const std::int64_t slot = write.slots[t];
  if (!slot_exists(write.pages, slot)) return;
  const int i = 4 * lane_here();
  const float4 x = load4<true>(norm.x + t * kIndexDim, i, kIndexDim);
  const auto count = static_cast<float>(kIndexDim);
  const float mean = __fdiv_rn(warp_sum(sum4(x)), count);
  const float4 d = make_float4(x.x - mean, x.y - mean, x.z - mean, x.w - mean);
  const float rest = __fdiv_rn(warp_sum(sum4(d)), count);
  const float squares = __fdiv_rn(warp_sum(square4(0.0F, d)), count);
  float4 v = normed4(d, rest, inverse_root(left_variance(squares, rest), norm.eps),
                     load4<true>(norm.weight, i, kIndexDim), load4<true>(norm.bias, i, kIndexDim));
  v = turn_row(v, rope.cos + t * rope.half, rope.sin + t * rope.half, rope.half, rope.interleaved);
  const Codes codes = hadamard_row(v, h, ue8m0);
  std::byte* page = page_holding(write.pages, slot);
  const std::int64_t token = slot % kPageTokens;
  *reinterpret_cast<std::uint32_t*>(page + token * kIndexDim + i) = codes.four;
  if (lane_here() == 0)
    *reinterpret_cast<float*>(page + kPageTokens * kIndexDim + 4 * token) = codes.scale;
}

// A warp is a token: kPieces blocks of 128 numbers of its latent, four a lane in each, then its
// key. Floor at c = 512, r = 64, f8: 2304 bytes read and 656 written a token.
template <DType kType, int kPieces>
__global__ void __launch_bounds__(32 * kWarps)
    latent_key_kernel(RmsNormParams norm, RopeParams rope, KvWriteParams write, int record_bytes) {
  const std::int64_t t = warp_here();
  if (t >= write.tokens) return;
  const std::int64_t slot = write.slots[t];
  if (!slot_exists(write.pages, slot)) return;
  const int i = 4 * lane_here(), c = write.c, r = write.r;
  float4 v[kPieces];
  float sum = 0;
#pragma unroll
  for (int b = 0; b < kPieces; ++b) {
    const int at = i + b * kQuantBlock;
    v[b] = at < c ? load4<true>(norm.x + t * norm.ldx, at, c) : make_float4(0, 0, 0, 0);
    sum = square4(sum, v[b]);
  }
  const float scale = inverse_root(__fdiv_rn(warp_sum(sum), static_cast<float>(c)), norm.eps);
  float4 key = i < r ? load4<true>(write.key + t * write.key_step, i, r) : make_float4(0, 0, 0, 0);
  key = turn_row(key, rope.cos + t * rope.half, rope.sin + t * rope.half, rope.half,
                 rope.interleaved);
  std::byte* record = page_holding(write.pages, slot) + slot % kPageTokens * record_bytes;
#pragma unroll
  for (int b = 0; b < kPieces; ++b) {
    const int at = i + b * kQuantBlock;
    if (at < c) v[b] = scaled4(v[b], scale, load4<true>(norm.weight, at, c));
    if (b * kQuantBlock >= c) continue;
    if constexpr (kType == DType::f8)
      store_latent_f8<true>(record, at, c, v[b]);
    else if (at < c)
      store_numbers<kType, true>(record, at, c, v[b]);
  }
  constexpr DType kKey = kType == DType::f8 ? DType::bf16 : kType;
  const int key_at = kType == DType::f8 ? c + 4 * quant_blocks(c) : c * bytes_of(kType);
  if (i < r) store_numbers<kKey, true>(record + key_at, i, r, key);
}

bool turns_in_lanes(const RopeParams& rope, int dim) {
  return 2 * rope.half <= dim && rope.half % (rope.interleaved ? 2 : 4) == 0 &&
         aligned(rope.cos, 16) && aligned(rope.sin, 16);
}
float hadamard_factor() {
  return static_cast<float>(1.0 / std::sqrt(static_cast<double>(kIndexDim)));
}
dim3 grid_of(std::int64_t rows) {
  return dim3(static_cast<unsigned>(ceil_div(rows, kWarps)));
}

__global__ void __launch_bounds__(256)
    fold_kernel(float* weight, const float* scale, float fold, int count) {
  const auto i = static_cast<int>(blockIdx.x * 256 + threadIdx.x);
  if (i < count) weight[i] = __fmul_rn(__fmul_rn(weight[i], fold), scale[i]);
}

template <DType kType>
void latent_key_as(const RmsNormParams& norm, const RopeParams& rope, const KvWriteParams& write) {
  launch(write.c <= 128   ? latent_key_kernel<kType, 1>
         : write.c <= 256 ? latent_key_kernel<kType, 2>
                          : latent_key_kernel<kType, 4>,
         grid_of(write.tokens), dim3(32 * kWarps), 0, here().stream, norm, rope, write,
         kv_record_bytes(kType, write.c, write.r));
}

}  // namespace

void index_query(const RopeParams& rope_p,
                 const HadamardQuantParams& quant,
                 float* weight,
                 float fold) {
  KERNEL_CHECK(quant.rows == rope_p.tokens * rope_p.heads && quant.x == rope_p.x, quant.rows,
               rope_p.heads);
  KERNEL_CHECK(quant.dim <= kIndexDim || weight == nullptr, quant.dim, kIndexDim);
  if (quant.dim == kIndexDim && turns_in_lanes(rope_p, kIndexDim) && aligned(quant.x, 16) &&
      aligned(quant.out, 4)) {
    launch(index_query_kernel, grid_of(quant.rows), dim3(32 * kWarps), 0, here().stream, rope_p,
           quant, weight, fold, hadamard_factor());
    return;
  }
  rope(rope_p);
  hadamard_quant(quant);
  if (weight != nullptr)
    launch(fold_kernel, dim3(static_cast<unsigned>(ceil_div(quant.rows, 256))), dim3(256), 0,
           here().stream, weight, quant.scale, fold, quant.rows);
}

void index_key(const LayerNormParams& norm,
               const RopeParams& rope_p,
               const HadamardQuantParams& quant,
               const IndexWriteParams& write) {
  const Pages& pages = write.pages;
  KERNEL_CHECK(pages.dtype == DType::f8 && write.d == norm.dim && quant.dim == norm.dim, write.d,
               norm.dim);
  if (norm.dim == kIndexDim && turns_in_lanes(rope_p, kIndexDim) && aligned(norm.x, 16) &&
      aligned(norm.weight, 16) && aligned(norm.bias, 16) && aligned(pages.base, 4) &&
      pages.stride % 4 == 0) {
    launch(index_key_kernel, grid_of(norm.rows), dim3(32 * kWarps), 0, here().stream, norm, rope_p,
           write, quant.ue8m0, hadamard_factor());
    return;
  }
  layer_norm(norm);
  rope(rope_p);
  hadamard_quant(quant);
  index_write(write);
}

void latent_key(const RmsNormParams& norm, const RopeParams& rope_p, const KvWriteParams& write) {
  KERNEL_CHECK(norm.residual == nullptr && norm.dim == write.c && norm.out == write.latent,
               norm.dim, write.c);
  KERNEL_CHECK(rope_p.heads == 1 && rope_p.x == write.key, rope_p.heads, write.r);
  RmsNormParams n = norm;
  if (n.ldx == 0) n.ldx = n.dim;
  const bool suits = write.c <= 512 && write.r <= 128 && n.ldx % 4 == 0 && aligned(n.x, 16) &&
                     aligned(n.weight, 16) && aligned(write.key, 16) && write.key_step % 4 == 0 &&
                     turns_in_lanes(rope_p, write.r) &&
                     records_aligned(write.pages, write.c, write.r);
  if (!suits) {
    rms_norm(norm);
    rope(rope_p);
    kv_write(write);
  } else if (write.pages.dtype == DType::f8) {
    latent_key_as<DType::f8>(n, rope_p, write);
  } else if (write.pages.dtype == DType::bf16) {
    latent_key_as<DType::bf16>(n, rope_p, write);
  } else {
    latent_key_as<DType::f32>(n, rope_p, write);
  }
}

}  // namespace seedbed::kernels::KN_NS
