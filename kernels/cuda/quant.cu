#include <cmath>

#include "kernels/cuda/turns.cuh"
#include "kernels/quant.h"

namespace seedbed::kernels::KN_NS {

namespace {

// Eight numbers a thread. Floor: 6 bytes a number.
template <bool kWide>
__global__ void __launch_bounds__(256) cast_bf16_kernel(CastBf16Params p, int pieces) {
  const std::int64_t t = shape_row();
  const int piece = shape_piece();
  if (t >= p.rows || piece >= pieces) return;
  const int i = piece * 8;
  const float* x = p.x + t * p.ldx;
  std::uint16_t* out = p.out + t * p.dim;
  if constexpr (kWide) {
    const uint2 a = bf16x4(load4<true>(x, i, p.dim)), b = bf16x4(load4<true>(x, i + 4, p.dim));
    *reinterpret_cast<uint4*>(out + i) = make_uint4(a.x, a.y, b.x, b.y);
  } else {
    for (int k = i; k < i + 8 && k < p.dim; ++k) out[k] = f32_to_bf16(x[k]);
  }
}

// A warp takes one block of 128 numbers of a row, four a lane. Floor: 5.03 bytes a number.
template <bool kWide>
__global__ void __launch_bounds__(256) act_quant_kernel(ActQuantParams p, int blocks) {
  const std::int64_t unit = static_cast<std::int64_t>(blockIdx.x) * 8 + threadIdx.x / 32;
  const std::int64_t t = unit / blocks;
  if (t >= p.rows) return;
  const int lane = static_cast<int>(threadIdx.x % 32);
  const int i = static_cast<int>(unit - t * blocks) * kQuantBlock + 4 * lane;
  const float4 v = i < p.dim ? load4<kWide>(p.x + t * p.ldx, i, p.dim) : make_float4(0, 0, 0, 0);
  const float scale = fp8_scale(warp_max(magnitude4(v)), p.ue8m0);
  if (lane == 0) p.scale[unit] = scale;
  if (i >= p.dim) return;
  store_bytes<kWide, 4>(reinterpret_cast<std::byte*>(p.out + t * p.dim + i),
                        quantise4(v, scale, p.ue8m0), p.dim - i);
}

// A warp takes kBlocks blocks of 128 numbers, four a lane in each, of one row (kBlocks > 1: dim is
// 128 * kBlocks) or of 128 / dim rows. Strides 1 and 2 lie within a lane, 4 to 64 between lanes,
// 128 on between a lane's blocks: no shared memory. Floor: 5.03 bytes a number at dim >= 128.
template <int kBlocks, bool kWide>
__global__ void __launch_bounds__(256)
    hadamard_quant_kernel(HadamardQuantParams p, std::int64_t total, float factor) {
  const int lane = static_cast<int>(threadIdx.x % 32);
  const int dim = kBlocks > 1 ? kBlocks * kQuantBlock : p.dim;
  const int lanes = dim >= kQuantBlock ? 32 : dim >= 4 ? dim / 4 : 1;  // of a row within a block
  const std::int64_t unit = static_cast<std::int64_t>(blockIdx.x) * 8 + threadIdx.x / 32;
  const std::int64_t first = unit * (kBlocks * kQuantBlock);
  if (first >= total) return;
  float y[kBlocks][4];
#pragma unroll
  for (int b = 0; b < kBlocks; ++b) {
    const std::int64_t i = first + b * kQuantBlock + 4 * lane;
    const auto left = static_cast<int>(total - i < 4 ? total - i : 4);
    const float4 v = left > 0 ? load4<kWide>(p.x + i, 0, left) : make_float4(0, 0, 0, 0);
    y[b][0] = v.x, y[b][1] = v.y, y[b][2] = v.z, y[b][3] = v.w;
    if (dim >= 2) butterfly(y[b][0], y[b][1]), butterfly(y[b][2], y[b][3]);
    if (dim >= 4) butterfly(y[b][0], y[b][2]), butterfly(y[b][1], y[b][3]);
  }
  for (int step = 1; step < lanes; step *= 2)
#pragma unroll
    for (int b = 0; b < kBlocks; ++b)
#pragma unroll
      for (int j = 0; j < 4; ++j) y[b][j] = across(y[b][j], step, (lane & step) != 0);
#pragma unroll
  for (int step = 1; step < kBlocks; step *= 2)
#pragma unroll
    for (int b = 0; b < kBlocks; ++b)
      if ((b & step) == 0)
#pragma unroll
        for (int j = 0; j < 4; ++j) butterfly(y[b][j], y[b | step][j]);
#pragma unroll
  for (int b = 0; b < kBlocks; ++b) {
    const std::int64_t i = first + b * kQuantBlock + 4 * lane;
    float amax[4];
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      y[b][j] *= factor;
      amax[j] = fabsf(y[b][j]);
    }
    if (dim >= 2) {
      amax[0] = amax[1] = fmaxf(amax[0], amax[1]);
      amax[2] = amax[3] = fmaxf(amax[2], amax[3]);
    }
    if (dim >= 4) {
      float all = fmaxf(amax[0], amax[2]);
      for (int step = 1; step < lanes; step *= 2)
        all = fmaxf(all, __shfl_xor_sync(kFullMask, all, step));
      amax[0] = amax[1] = amax[2] = amax[3] = all;
    }
    if (i >= total) continue;
    const int row_part = dim < kQuantBlock ? dim : kQuantBlock;  // numbers that share a scale
    if (dim >= 4) {
      const float scale = fp8_scale(amax[0], p.ue8m0);
      if (i % row_part == 0) p.scale[i / row_part] = scale;
      store_bytes<kWide, 4>(
          reinterpret_cast<std::byte*>(p.out + i),
          quantise4(make_float4(y[b][0], y[b][1], y[b][2], y[b][3]), scale, p.ue8m0), 4);
    } else {
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        if (i + j >= total) continue;
        const float scale = fp8_scale(amax[j], p.ue8m0);
        if (j % dim == 0) p.scale[(i + j) / dim] = scale;
        p.out[i + j] = f32_to_e4m3_bits(__fdiv_rn(y[b][j], scale));
      }
    }
  }
}

template <bool kWide>
void hadamard_quant_as(const HadamardQuantParams& p, float factor) {
  const std::int64_t total = std::int64_t{p.rows} * p.dim;
  const int blocks = p.dim <= kQuantBlock ? 1 : p.dim / kQuantBlock;
  const dim3 grid(static_cast<unsigned>(ceil_div(total, std::int64_t{blocks} * kQuantBlock * 8)));
  launch(blocks == 1   ? hadamard_quant_kernel<1, kWide>
         : blocks == 2 ? hadamard_quant_kernel<2, kWide>
         : blocks == 4 ? hadamard_quant_kernel<4, kWide>
                       : hadamard_quant_kernel<8, kWide>,
         grid, dim3(256), 0, here().stream, p, total, factor);
}

}  // namespace

void cast_bf16(const CastBf16Params& params) {
  CastBf16Params p = params;
  if (p.ldx == 0) p.ldx = p.dim;
  const bool wide = p.dim % 8 == 0 && p.ldx % 4 == 0 && aligned(p.x, 16) && aligned(p.out, 16);
  const int pieces = static_cast<int>(ceil_div(p.dim, 8));
  const RowShape shape = row_shape(p.rows, pieces);
  launch(wide ? cast_bf16_kernel<true> : cast_bf16_kernel<false>, shape.grid, shape.block, 0,
         here().stream, p, pieces);
}

void act_quant(const ActQuantParams& params) {
  ActQuantParams p = params;
  if (p.ldx == 0) p.ldx = p.dim;
  const bool wide = p.dim % 4 == 0 && p.ldx % 4 == 0 && aligned(p.x, 16) && aligned(p.out, 4);
  const int blocks = quant_blocks(p.dim);
  launch(wide ? act_quant_kernel<true> : act_quant_kernel<false>,
         dim3(static_cast<unsigned>(ceil_div(std::int64_t{p.rows} * blocks, 8))), dim3(256), 0,
         here().stream, p, blocks);
}

void hadamard_quant(const HadamardQuantParams& p) {
  KERNEL_CHECK(p.dim >= 1 && p.dim <= 1024 && (p.dim & (p.dim - 1)) == 0, p.dim, 1024);
  // 1 / sqrt(dim): exact for even powers of two, else rounded from the double nearest to it.
  const auto factor = static_cast<float>(1.0 / std::sqrt(static_cast<double>(p.dim)));
  if (p.dim >= 4 && aligned(p.x, 16) && aligned(p.out, 4))
    hadamard_quant_as<true>(p, factor);
  else
    hadamard_quant_as<false>(p, factor);
}

}  // namespace seedbed::kernels::KN_NS
