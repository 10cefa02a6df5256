#include "kernels/cuda/moe_sort.cuh"
#include "kernels/cuda/rows.cuh"
#include "kernels/math.h"
#include "kernels/moe.h"

namespace seedbed::kernels::KN_NS {

namespace {

// Floats as integers of the same order, -0 as +0, NaN as -inf; never 0, which means "out".
__device__ __forceinline__ std::uint32_t order_of(float x) {
  if (x != x) x = -INFINITY;
  const std::uint32_t bits = __float_as_uint(__fadd_rn(x, 0.0F));
  return bits ^ ((bits >> 31) != 0 ? 0xffffffffU : 0x80000000U);
}

// The two highest of values over a warp, each lane bringing its own two.
__device__ __forceinline__ float2 warp_two_highest(float2 own) {
#pragma unroll
  for (int step = 16; step > 0; step /= 2) {
    const float a = __shfl_xor_sync(kFullMask, own.x, step);
    const float b = __shfl_xor_sync(kFullMask, own.y, step);
    own = make_float2(fmaxf(own.x, a), fmaxf(fminf(own.x, a), fmaxf(own.y, b)));
  }
  return own;
}

// The highest key and the lowest index that has it.
struct Best {
  std::uint32_t key;
  int index;
};
__device__ __forceinline__ Best warp_best(std::uint32_t key, int index) {
  const std::uint32_t highest = __reduce_max_sync(kFullMask, key);
  const unsigned lowest =
      __reduce_min_sync(kFullMask, key == highest ? static_cast<unsigned>(index) : 0x7fffffffU);
  return {highest, static_cast<int>(lowest)};
}
// Of an array of n keys that the warp shares, each lane looking at its own.
__device__ __forceinline__ Best best_of(const std::uint32_t* keys, int n, int lane) {
  std::uint32_t key = 0;
  int index = lane;
  for (int i = lane; i < n; i += 32)
    if (keys[i] > key) key = keys[i], index = i;
  return warp_best(key, index);
}

constexpr int kRouteWarps = 4;
struct RouteMemory {  // of one warp: its token's scores, keys, groups and picks
  float* score;
  std::uint32_t *key, *group;
  int* pick;
};
__host__ __device__ constexpr int route_words(int experts, int groups, int topk) {
  return 2 * experts + groups + topk;
}

// Leaves the keys of experts in the best groups; the others become 0.
__device__ __forceinline__ void keep_best_groups(const MoeRouteParams& p,
                                                 const RouteMemory& m,
                                                 int lane) {
  const int size = p.experts / p.groups;
  for (int g = 0; g < p.groups; ++g) {
    float2 two = make_float2(-INFINITY, -INFINITY);
    for (int e = lane; e < size; e += 32) {
      const float choice = m.score[g * size + e] + p.bias[g * size + e];
      if (!(choice == choice)) continue;
      two = make_float2(fmaxf(two.x, choice), fmaxf(two.y, fminf(two.x, choice)));
    }
    two = warp_two_highest(two);
    if (lane == 0) m.group[g] = order_of(size == 1 ? two.x : two.x + two.y);
  }
  __syncwarp();
  // Each round takes the best group that is left; a taken one has key 0.
  for (int round = 0; round < p.topk_groups; ++round) {
    const Best best = best_of(m.group, p.groups, lane);
    KN_CHECK(best.key != 0, p.topk_groups, p.groups);
    __syncwarp();
    if (lane == 0) m.group[best.index] = 0;
    __syncwarp();
  }
  for (int e = lane; e < p.experts; e += 32)
    if (m.group[e / size] != 0) m.key[e] = 0;
  __syncwarp();
}

// A warp is a token. Bound by latency: floor tokens * (experts + 2 * topk) * 4 bytes, about 45
// double operations an expert.
__global__ void __launch_bounds__(32 * kRouteWarps) moe_route_kernel(MoeRouteParams p) {
  KN_DYN_SMEM(memory);
  const int lane = static_cast<int>(threadIdx.x % 32), warp = static_cast<int>(threadIdx.x / 32);
  const std::int64_t t = static_cast<std::int64_t>(blockIdx.x) * kRouteWarps + warp;
  if (t >= p.tokens) return;
  auto* words =
      reinterpret_cast<std::uint32_t*>(memory) + warp * route_words(p.experts, p.groups, p.topk);
  const RouteMemory m{reinterpret_cast<float*>(words), words + p.experts, words + 2 * p.experts,
                      reinterpret_cast<int*>(words + 2 * p.experts + p.groups)};
  for (int e = lane; e < p.experts; e += 32) {
    const float score = sigmoid_exact(p.logits[t * p.experts + e]);
    m.score[e] = score;
    m.key[e] = order_of(score + p.bias[e]);
  }
  __syncwarp();
  if (p.forced != nullptr) {
    for (int j = lane; j < p.topk; j += 32) m.pick[j] = p.forced[t * p.topk + j];
  } else {
    if (p.topk_groups < p.groups) keep_best_groups(p, m, lane);
    for (int j = 0; j < p.topk; ++j) {
      const Best best = best_of(m.key, p.experts, lane);
      KN_CHECK(best.key != 0, j, p.topk);
      __syncwarp();
      if (lane == 0) {
        m.pick[j] = best.index;
        m.key[best.index] = 0;
      }
      __syncwarp();
    }
  }
  __syncwarp();
  float sum = 0;
  for (int j = 0; j < p.topk; ++j) {
    KN_CHECK(m.pick[j] >= 0 && m.pick[j] < p.experts, m.pick[j], p.experts);
    sum = __fadd_rn(sum, m.score[m.pick[j]]);
  }
  for (int j = lane; j < p.topk; j += 32) {
    float weight = m.score[m.pick[j]];
    if (p.normalise) weight = __fdiv_rn(weight, __fadd_rn(sum, 1e-20F));
    p.ids[t * p.topk + j] = m.pick[j];
    p.weights[t * p.topk + j] = __fmul_rn(weight, p.scale);
  }
}

// Each thread reads four numbers of a token once and writes them to its choices' rows. Floor:
// tokens * dim * 4 * (1 + topk) bytes.
template <bool kWide>
__global__ void __launch_bounds__(256) moe_gather_kernel(MoePermuteParams p, int pieces) {
  const std::int64_t t = shape_row();
  const int i = shape_piece() * 4;
  if (t >= p.tokens || i >= pieces * 4) return;
  const float4 v = load4<kWide>(p.x + t * p.dim, i, p.dim);
#pragma unroll 4
  for (std::int64_t j = t * p.topk; j < (t + 1) * p.topk; ++j)
    store4<kWide>(p.out + std::int64_t{p.row_of[j]} * p.dim, i, p.dim, v);
}

// Floor: tokens * dim * 4 * (topk + 1) bytes, 4 more a number with `shared`.
template <bool kWide>
__global__ void __launch_bounds__(256) moe_unpermute_kernel(MoeUnpermuteParams p, int pieces) {
  const std::int64_t t = shape_row();
  const int i = shape_piece() * 4;
  if (t >= p.tokens || i >= pieces * 4) return;
  float4 sum =
      p.shared == nullptr ? make_float4(0, 0, 0, 0) : load4<kWide>(p.shared + t * p.dim, i, p.dim);
#pragma unroll 8
  for (std::int64_t j = t * p.topk; j < (t + 1) * p.topk; ++j) {
    const float w = p.weights[j];
    const float4 y = load4<kWide>(p.y + std::int64_t{p.row_of[j]} * p.dim, i, p.dim);
    sum = make_float4(__fadd_rn(sum.x, __fmul_rn(w, y.x)), __fadd_rn(sum.y, __fmul_rn(w, y.y)),
                      __fadd_rn(sum.z, __fmul_rn(w, y.z)), __fadd_rn(sum.w, __fmul_rn(w, y.w)));
  }
  store4<kWide>(p.out + t * p.dim, i, p.dim, sum);
}

}  // namespace

void moe_route(const MoeRouteParams& p) {
  KERNEL_CHECK(p.groups >= 1 && p.experts % p.groups == 0, p.experts, p.groups);
  const std::size_t bytes = std::size_t{4 * kRouteWarps} *
                            static_cast<std::size_t>(route_words(p.experts, p.groups, p.topk));
  launch(moe_route_kernel, dim3(static_cast<unsigned>(ceil_div(p.tokens, kRouteWarps))),
         dim3(32 * kRouteWarps), bytes, here().stream, p);
}

void moe_permute(const MoePermuteParams& p) {
  moe_sort(p);
  const bool wide = p.dim % 4 == 0 && aligned(p.x, 16) && aligned(p.out, 16);
  const int pieces = static_cast<int>(ceil_div(p.dim, 4));
  const RowShape shape = row_shape(p.tokens, pieces);
  launch(wide ? moe_gather_kernel<true> : moe_gather_kernel<false>, shape.grid, shape.block, 0,
         here().stream, p, pieces);
}

void moe_unpermute(const MoeUnpermuteParams& p) {
  const bool wide =
      p.dim % 4 == 0 && aligned(p.y, 16) && aligned(p.shared, 16) && aligned(p.out, 16);
  const int pieces = static_cast<int>(ceil_div(p.dim, 4));
  const RowShape shape = row_shape(p.tokens, pieces);
  launch(wide ? moe_unpermute_kernel<true> : moe_unpermute_kernel<false>, shape.grid, shape.block,
         0, here().stream, p, pieces);
}

}  // namespace seedbed::kernels::KN_NS
