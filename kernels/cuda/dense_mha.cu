// dense_mha: attention over expanded keys and values in f32. A block has one head of 8 tokens, a
// warp each; 32 keys at a time lie in shared memory for all of them, a lane scores one, and then
// has every 32nd channel of the sums. Keys that a row does not attend never reach it. Scores are
// double (see mla_f32.cuh). Floor: 2 * (qk_dim + v_dim) FLOP a key, head and token, half of it in
// double.
#include "kernels/cuda/mla_job.cuh"

namespace seedbed::kernels::KN_NS {
namespace {

constexpr int kMhaTokens = 8, kMhaThreads = 32 * kMhaTokens, kMhaKeys = 32;
constexpr int kMhaMaxV = 1024;

// Whether key s stands in an ascending list padded with -1.
__device__ __forceinline__ bool listed(const std::int32_t* list, int count, int s) {
  int low = 0, high = count;  // the first entry that is not below s lies in [low, high]
  while (low < high) {
    const int middle = (low + high) / 2;
    const std::int32_t x = list[middle];
    if (x >= 0 && x < s)
      low = middle + 1;
    else
      high = middle;
  }
  return low < count && list[low] == s;
}

template <int kOwn>  // channels a lane: v_dim <= 32 kOwn
__global__ void __launch_bounds__(kMhaThreads) dense_mha_kernel(DenseMhaParams p) {
  KN_DYN_SMEM(smem);
  const int thread = static_cast<int>(threadIdx.x), lane = thread % 32, warp = thread / 32;
  const int pitch = p.qk_dim + 1;
  float* tile = reinterpret_cast<float*>(smem);
  float* q = tile + kMhaKeys * pitch + warp * p.qk_dim;
  const int head = static_cast<int>(blockIdx.x % static_cast<unsigned>(p.heads)),
            first = static_cast<int>(blockIdx.x / static_cast<unsigned>(p.heads)) * kMhaTokens,
            token = first + warp;
  const bool here = token < p.tokens;
  const std::int64_t row = static_cast<std::int64_t>(token) * p.heads + head;
  const int end = here ? min(p.key_end[token], p.keys) : 0;
  int last = 0;
  for (int t = first; t < min(first + kMhaTokens, p.tokens); ++t)
    last = max(last, min(p.key_end[t], p.keys));
  for (int i = lane; i < p.qk_dim; i += 32) q[i] = here ? p.q[row * p.qk_dim + i] : 0.0F;
  double top = -HUGE_VAL;
  float total = 0, acc[kOwn] = {};
  for (int begin = 0; begin < last; begin += kMhaKeys) {
    __syncthreads();
    for (int key = warp; key < kMhaKeys; key += kMhaTokens)
      for (int i = lane; i < p.qk_dim; i += 32)
        tile[key * pitch + i] =
            begin + key < last
                ? p.k[(static_cast<std::int64_t>(begin + key) * p.heads + head) * p.qk_dim + i]
                : 0.0F;
    __syncthreads();
    const int s = begin + lane;
    const bool valid =
        s < end && (p.selected == nullptr ||
                    listed(p.selected + static_cast<std::int64_t>(token) * p.selected_count,
                           p.selected_count, s));
    unsigned left = __ballot_sync(kFullMask, valid);
    if (left == 0) continue;
    double x = -HUGE_VAL;
    if (valid) {
      x = 0;
      for (int i = 0; i < p.qk_dim; ++i)
        x = __fma_rn(static_cast<double>(q[i]), static_cast<double>(tile[lane * pitch + i]), x);
      x *= static_cast<double>(p.scale);
    }
    double now = x;
#pragma unroll
    for (int step = 16; step > 0; step /= 2) now = fmax(now, __shfl_xor_sync(kFullMask, now, step));
    now = fmax(now, top);
    const double base = now == -HUGE_VAL ? 0.0 : now;
    const float fade = fade_of(static_cast<float>(top - base)),
                w = fade_of(static_cast<float>(x - base));
    total = __fadd_rn(__fmul_rn(total, fade), w);
    top = now;
#pragma unroll
    for (int i = 0; i < kOwn; ++i) acc[i] = __fmul_rn(acc[i], fade);
    while (left != 0) {  // the same in all lanes
      const int key = __ffs(static_cast<int>(left)) - 1;
      left &= left - 1;
      const float of_key = __shfl_sync(kFullMask, w, key);
      const float* v = p.v + (static_cast<std::int64_t>(begin + key) * p.heads + head) * p.v_dim;
#pragma unroll
      for (int i = 0; i < kOwn; ++i)
        if (lane + 32 * i < p.v_dim) acc[i] = __fmaf_rn(of_key, v[lane + 32 * i], acc[i]);
    }
  }
  total = warp_sum(total);
  if (!here) return;
#pragma unroll
  for (int i = 0; i < kOwn; ++i)
    if (lane + 32 * i < p.v_dim)
      p.out[row * p.v_dim + lane + 32 * i] = total == 0 ? 0.0F : __fdiv_rn(acc[i], total);
}

template <int kOwn>
void run(const DenseMhaParams& p) {
  const std::size_t room =
      sizeof(float) * static_cast<std::size_t>(kMhaKeys * (p.qk_dim + 1) + kMhaTokens * p.qk_dim);
  KERNEL_CHECK(room <= std::size_t{99} * 1024, p.qk_dim, p.heads);
  launch(dense_mha_kernel<kOwn>,
         dim3(static_cast<unsigned>(ceil_div(p.tokens, kMhaTokens) * p.heads)), dim3(kMhaThreads),
         room, here().stream, p);
}

}  // namespace

void dense_mha(const DenseMhaParams& p) {
  if (p.tokens == 0 || p.heads == 0) return;
  KERNEL_CHECK(p.v_dim <= kMhaMaxV, p.v_dim, kMhaMaxV);
  p.v_dim <= 128 ? run<4>(p) : run<32>(p);
}

}  // namespace seedbed::kernels::KN_NS
