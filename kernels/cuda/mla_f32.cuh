// Latent attention in plain f32, for f32 pages (parity) and for shapes that mla_mma.cuh does not
// take. A block of 8 warps has 8 heads of one token; a tile of 32 records is widened into shared
// memory, a lane scores one of them for the warp's head, and then has every 32nd channel of the
// sums. Scores are double: one of 100, rounded to f32, would already leave 1e-5 of its weight open.
// Splits are joined as everywhere. Floor: 2 * (2c + r) FLOP an entry and head, half of it in
// double.
#pragma once
#include "kernels/cuda/mla_job.cuh"

namespace seedbed::kernels::KN_NS {
namespace {

constexpr int kF32Heads = 8, kF32Entries = 32, kF32Threads = 32 * kF32Heads;
constexpr int kF32MaxLatent = 1024;
inline std::size_t mla_f32_bytes(int c, int r) {
  return sizeof(float) * static_cast<std::size_t>(kF32Entries * (c + r + 1) + kF32Heads * (c + r));
}

// Number i of a record, widened.
__device__ __forceinline__ float record_number(const MlaJob& job, const std::byte* record, int i) {
  const auto bytes = [&](std::int64_t at, int count) {
    std::uint32_t x = 0;
    for (int b = 0; b < count; ++b) x |= static_cast<std::uint32_t>(record[at + b]) << (8 * b);
    return x;
  };
  switch (job.pages.dtype) {
    case DType::f32:
      if (reinterpret_cast<std::uintptr_t>(record) % 4 == 0)
        return reinterpret_cast<const float*>(record)[i];
      return __uint_as_float(bytes(4 * static_cast<std::int64_t>(i), 4));
    case DType::bf16:
      return __uint_as_float(bytes(2 * static_cast<std::int64_t>(i), 2) << 16);
    default:
      if (i >= job.c)
        return __uint_as_float(bytes(job.c + 4 * quant_blocks(job.c) + 2 * (i - job.c), 2) << 16);
      return __fmul_rn(e4m3x4_to_f32(bytes(i, 1)).x,
                       __uint_as_float(bytes(job.c + i / kQuantBlock * 4, 4)));
  }
}

__device__ __forceinline__ double warp_max_double(double x) {
#pragma unroll
  for (int step = 16; step > 0; step /= 2) x = fmax(x, __shfl_xor_sync(kFullMask, x, step));
  return x;
}

template <int kOwn>  // channels a lane: c <= 32 kOwn
__global__ void __launch_bounds__(kF32Threads) mla_f32_kernel(MlaJob job) {
  KN_DYN_SMEM(smem);
  KN_SHARED(std::int32_t, slot, [kF32Entries]);
  const int width = job.c + job.r, pitch = width + 1, thread = static_cast<int>(threadIdx.x),
            lane = thread % 32, warp = thread / 32;
  float* tile = reinterpret_cast<float*>(smem);
  float* q = tile + kF32Entries * pitch + warp * width;
  const int tiles = (job.heads + kF32Heads - 1) / kF32Heads;
  const std::int64_t token = blockIdx.x / static_cast<unsigned>(tiles);
  const int head = static_cast<int>(blockIdx.x % static_cast<unsigned>(tiles)) * kF32Heads + warp;
  const bool here = head < job.heads;
  const int n = list_length(job, token);
  for (int i = lane; i < width; i += 32)
    q[i] = here ? job.q[(token * job.heads + head) * width + i] : 0.0F;
  float sum[kOwn] = {}, acc[kOwn] = {}, sum_total = 0, total = 0;
  double sum_top = -HUGE_VAL, top = -HUGE_VAL;
  for (int begin = 0; begin < n; begin += kF32Entries) {
    if (thread < kF32Entries) slot[thread] = slot_at(job, token, begin + thread, n);
    __syncthreads();
    for (int entry = warp; entry < kF32Entries; entry += kF32Heads) {
      const bool valid = slot[entry] >= 0;
      const std::byte* record =
          record_of(job, valid ? slot[entry] : 0, kv_record_bytes(job.pages.dtype, job.c, job.r));
      for (int i = lane; i < width; i += 32)
        tile[entry * pitch + i] = valid ? record_number(job, record, i) : 0.0F;
    }
    __syncthreads();
    double x = 0;
    for (int i = 0; i < width; ++i)
      x = __fma_rn(static_cast<double>(q[i]), static_cast<double>(tile[lane * pitch + i]), x);
    x = slot[lane] >= 0 ? x * static_cast<double>(job.scale) : -HUGE_VAL;
    const double now = fmax(top, warp_max_double(x)), base = now == -HUGE_VAL ? 0.0 : now;
    const float fade = fade_of(static_cast<float>(top - base)),
                w = fade_of(static_cast<float>(x - base));
    total = __fadd_rn(__fmul_rn(total, fade), w);
    top = now;
#pragma unroll
    for (int i = 0; i < kOwn; ++i) acc[i] = __fmul_rn(acc[i], fade);
    for (int entry = 0; entry < kF32Entries; ++entry) {
      const float of_entry = __shfl_sync(kFullMask, w, entry);
#pragma unroll
      for (int i = 0; i < kOwn; ++i)
        if (lane + 32 * i < job.c)
          acc[i] = __fmaf_rn(of_entry, tile[entry * pitch + lane + 32 * i], acc[i]);
    }
    __syncthreads();
    if (begin % kMlaSplit != kMlaSplit - kF32Entries && begin + kF32Entries < n) continue;
    const Worth worth = join_worth(sum_top, sum_total, top, warp_sum(total));
#pragma unroll
    for (int i = 0; i < kOwn; ++i) {
      sum[i] = joined(sum[i], acc[i], worth);
      acc[i] = 0;
    }
    top = -HUGE_VAL;
    total = 0;
  }
  if (!here) return;
  const std::int64_t row = token * job.heads + head;
#pragma unroll
  for (int i = 0; i < kOwn; ++i)
    if (lane + 32 * i < job.c)
      job.out[row * job.c + lane + 32 * i] = sum_total == 0 ? 0.0F : __fdiv_rn(sum[i], sum_total);
  if (job.lse != nullptr && lane == 0) job.lse[row] = natural_lse(sum_top, sum_total);
}

}  // namespace
}  // namespace seedbed::kernels::KN_NS
