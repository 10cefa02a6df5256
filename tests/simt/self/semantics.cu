#include <cstddef>

#include "kernels/cuda/device.h"
#include "tests/simt/self/semantics.h"

namespace seedbed::simt_self {
namespace {
using namespace seedbed::kernels::simt;  // NOLINT: this is a kernel's own file

__device__ std::uint32_t pair(const std::uint16_t* p) {
  return p[0] | (static_cast<std::uint32_t>(p[1]) << 16);
}
__device__ std::uint32_t four(const std::uint8_t* p) {
  std::uint32_t x = 0;
  for (unsigned i = 0; i < 4; ++i) x |= static_cast<std::uint32_t>(p[i]) << (8 * i);
  return x;
}

__global__ void multiply_bf16_kernel(Load load,
                                     const std::uint16_t* a,
                                     const std::uint16_t* b,
                                     float* c) {
  KN_SHARED(std::uint16_t, sa, [16][24]);  // rows of 48 bytes: aligned to 16
  KN_SHARED(std::uint16_t, sb, [16][24]);
  const unsigned lane = threadIdx.x, g = lane / 4, t = lane % 4;
  const unsigned b_rows = load == Load::by_ldmatrix_trans ? 16 : 8, b_step = 128 / b_rows;
  for (unsigned i = lane; i < 256; i += 32) sa[i / 16][i % 16] = a[i];
  for (unsigned i = lane; i < 128; i += 32) sb[i / b_step][i % b_step] = b[i];
  __syncwarp();
  std::uint32_t fa[4], fb[2];
  if (load == Load::by_layout) {
    for (unsigned r = 0; r < 4; ++r) fa[r] = pair(&sa[g + 8 * (r & 1)][2 * t + 8 * (r >> 1)]);
    for (unsigned r = 0; r < 2; ++r) fb[r] = pair(&sb[g][2 * t + 8 * r]);
  } else {
    ldmatrix_x4(fa, &sa[lane % 16][8 * (lane / 16)]);
    if (load == Load::by_ldmatrix)
      ldmatrix_x2(fb, &sb[lane % 8][8 * (lane / 8 % 2)]);
    else
      ldmatrix_x2_trans(fb, &sb[lane % 16][0]);
  }
  float fc[4];
  for (unsigned i = 0; i < 4; ++i) fc[i] = c[(g + 8 * (i / 2)) * 8 + 2 * t + i % 2];
  mma_bf16(fc, fa, fb);
  for (unsigned i = 0; i < 4; ++i) c[(g + 8 * (i / 2)) * 8 + 2 * t + i % 2] = fc[i];
}

__global__ void multiply_e4m3_kernel(const std::uint8_t* a, const std::uint8_t* b, float* c) {
  const unsigned lane = threadIdx.x, g = lane / 4, t = lane % 4;
  std::uint32_t fa[4], fb[2];
  for (unsigned r = 0; r < 4; ++r) fa[r] = four(a + (g + 8 * (r & 1)) * 32 + 4 * t + 16 * (r >> 1));
  for (unsigned r = 0; r < 2; ++r) fb[r] = four(b + g * 32 + 4 * t + 16 * r);
  float fc[4];
  for (unsigned i = 0; i < 4; ++i) fc[i] = c[(g + 8 * (i / 2)) * 8 + 2 * t + i % 2];
  if constexpr (KN_HAS_FP8_MMA != 0) mma_e4m3(fc, fa, fb);
  for (unsigned i = 0; i < 4; ++i) c[(g + 8 * (i / 2)) * 8 + 2 * t + i % 2] = fc[i];
}

__global__ void shuffles_kernel(const int* in, int* out) {
  const unsigned t = threadIdx.x;
  const int x = in[t];
  const unsigned all = 0xffffffffU, quarter = 0xffU << (t % 32 / 8 * 8);
  out[0 * 64 + t] = __shfl_sync(all, x, 5);
  out[1 * 64 + t] = __shfl_sync(all, x, static_cast<int>(t + 3));
  out[2 * 64 + t] = __shfl_sync(all, x, 2, 8);
  out[3 * 64 + t] = __shfl_xor_sync(all, x, 21);
  out[4 * 64 + t] = __shfl_up_sync(all, x, 3);
  out[5 * 64 + t] = __shfl_up_sync(all, x, 3, 16);
  out[6 * 64 + t] = __shfl_down_sync(all, x, 9);
  out[7 * 64 + t] = __shfl_down_sync(all, x, 1, 4);
  out[8 * 64 + t] = __shfl_xor_sync(quarter, x, 7, 8);
}

__global__ void votes_kernel(const int* in, unsigned* out) {
  const unsigned t = threadIdx.x;
  const int x = in[t];
  const unsigned all = 0xffffffffU, half = t % 32 < 16 ? 0xffffU : 0xffff0000U;
  out[0 * 64 + t] = __ballot_sync(all, x & 1);
  out[1 * 64 + t] = __ballot_sync(half, x & 2);
  out[2 * 64 + t] = static_cast<unsigned>(__any_sync(all, x == 40));
  out[3 * 64 + t] = static_cast<unsigned>(__all_sync(all, x != 40));
  out[4 * 64 + t] = __match_any_sync(all, x % 5);
  out[5 * 64 + t] = static_cast<unsigned>(__reduce_add_sync(half, x));
  out[6 * 64 + t] = static_cast<unsigned>(__reduce_min_sync(all, -x));
  out[7 * 64 + t] = __reduce_max_sync(all, static_cast<unsigned>(x));
  out[8 * 64 + t] = static_cast<unsigned>(__syncthreads_count(x & 1));
  out[9 * 64 + t] =
      static_cast<unsigned>(__syncthreads_or(x == 40) * 2 + __syncthreads_and(x >= 0));
}

__global__ void sums_kernel(const float* in, float* out) {
  KN_SHARED(float, scratch, [8]);
  const unsigned t = threadIdx.x;
  out[t] = warp_sum(in[t]);
  out[256 + t] = warp_max(in[t]);
  out[512 + t] = block_sum<256>(in[t], scratch);
  out[768 + t] = block_max<256>(in[t], scratch);
}

__global__ void pipeline_kernel(const float* in, float* out) {
  KN_DYN_SMEM(bytes);
  auto* tile = reinterpret_cast<float*>(bytes);  // [2][64]
  const unsigned t = threadIdx.x;
  const auto fetch = [&](unsigned i) {
    if (t < 16) cp_async16(tile + i % 2 * 64 + 4 * t, in + i * 64 + 4 * t, t < 15);
    cp_async_commit();
  };
  fetch(0);
  for (unsigned i = 0; i < 8; ++i) {
    if (i + 1 < 8)
      fetch(i + 1);
    else
      cp_async_commit();
    cp_async_wait<1>();
    __syncthreads();
    out[i * 64 + t] = tile[i % 2 * 64 + 63 - t];
    __syncthreads();
  }
}

__global__ void hand_over_kernel(const float* in, float* out) {
  KN_SHARED(float, box, [2][32]);
  const unsigned lane = threadIdx.x % 32;
  for (unsigned i = 0; i < 8; ++i) {
    const int full = 1 + static_cast<int>(i % 2), empty = 3 + static_cast<int>(i % 2);
    if (threadIdx.x < 32) {
      if (i >= 2) bar_sync(empty, 64);
      box[i % 2][lane] = in[i * 32 + lane];
      bar_arrive(full, 64);
    } else {
      bar_sync(full, 64);
      out[i * 32 + lane] = box[i % 2][31 - lane];
      if (i + 2 < 8) bar_arrive(empty, 64);
    }
  }
}

__global__ void histogram_kernel(const int* in, int count, int* out) {
  KN_SHARED(int, bins, [16]);
  if (threadIdx.x < 16) bins[threadIdx.x] = 0;
  __syncthreads();
  for (int i = static_cast<int>(blockIdx.x * 64 + threadIdx.x); i < count; i += 128)
    atomicAdd(&bins[in[i]], 1);
  __syncthreads();
  if (threadIdx.x < 16) atomicAdd(&out[threadIdx.x], bins[threadIdx.x]);
}

__global__ void indices_kernel(int* out) {
  const unsigned block = blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z);
  const unsigned thread = threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
  const unsigned at = block * blockDim.x * blockDim.y * blockDim.z + thread;
  out[at] = static_cast<int>(at);
}

__global__ void conversions_kernel(const float* in,
                                   int count,
                                   std::uint8_t* codes,
                                   std::uint16_t* halves) {
  for (unsigned i = threadIdx.x; i < static_cast<unsigned>(count); i += 32) {
    codes[i] = f32_to_e4m3_bits(in[i]);
    halves[i] = bf16_bits(in[i]);
  }
}
__global__ void codes_to_floats_kernel(const std::uint32_t* in, int count, float* out) {
  for (unsigned i = threadIdx.x; i < static_cast<unsigned>(count); i += 32) {
    const float4 x = e4m3x4_to_f32(in[i]);
    out[4 * i] = x.x, out[4 * i + 1] = x.y, out[4 * i + 2] = x.z, out[4 * i + 3] = x.w;
  }
}
__global__ void bits_kernel(const unsigned* in, int count, unsigned* out) {
  for (unsigned i = threadIdx.x; i < static_cast<unsigned>(count); i += 32) {
    const unsigned x = in[i];
    unsigned* to = out + 6 * i;
    to[0] = static_cast<unsigned>(__popc(x));
    to[1] = static_cast<unsigned>(__clz(static_cast<int>(x)));
    to[2] = static_cast<unsigned>(__ffs(static_cast<int>(x)));
    to[3] = __brev(x);
    to[4] = __byte_perm(x, ~x, 0x7531);
    to[5] = __umulhi(x, 0x9e3779b9U);
  }
}
__global__ void nothing() {}
}  // namespace

void multiply_bf16(Load load, const std::uint16_t* a, const std::uint16_t* b, float* c) {
  launch(multiply_bf16_kernel, dim3(1), dim3(32), 0, nullptr, load, a, b, c);
}
void multiply_e4m3(const std::uint8_t* a, const std::uint8_t* b, float* c) {
  launch(multiply_e4m3_kernel, dim3(1), dim3(32), 0, nullptr, a, b, c);
}
void shuffles(const int* in, int* out) {
  launch(shuffles_kernel, dim3(1), dim3(64), 0, nullptr, in, out);
}
void votes(const int* in, unsigned* out) {
  launch(votes_kernel, dim3(1), dim3(64), 0, nullptr, in, out);
}
void sums(const float* in, float* out) {
  launch(sums_kernel, dim3(1), dim3(256), 0, nullptr, in, out);
}
void pipeline(const float* in, float* out) {
  launch(pipeline_kernel, dim3(1), dim3(64), 512, nullptr, in, out);
}
void hand_over(const float* in, float* out) {
  launch(hand_over_kernel, dim3(1), dim3(64), 0, nullptr, in, out);
}
void histogram(const int* in, int count, int* out) {
  launch(histogram_kernel, dim3(2), dim3(64), 0, nullptr, in, count, out);
}
void indices(int* out) {
  launch(indices_kernel, dim3(2, 3), dim3(5, 2, 3), 0, nullptr, out);
}
void conversions(const float* in, int count, std::uint8_t* codes, std::uint16_t* halves) {
  launch(conversions_kernel, dim3(1), dim3(32), 0, nullptr, in, count, codes, halves);
}
void codes_to_floats(const std::uint32_t* in, int count, float* out) {
  launch(codes_to_floats_kernel, dim3(1), dim3(32), 0, nullptr, in, count, out);
}
void bits(const unsigned* in, int count, unsigned* out) {
  launch(bits_kernel, dim3(1), dim3(32), 0, nullptr, in, count, out);
}
bool launches(unsigned blocks, unsigned threads, std::size_t shared_bytes) {
  try {
    launch(nothing, dim3(blocks), dim3(threads), shared_bytes, nullptr);
  } catch (const ::simt::Failure&) {
    return false;
  }
  return true;
}

}  // namespace seedbed::simt_self
