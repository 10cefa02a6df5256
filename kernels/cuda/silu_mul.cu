#include "kernels/cuda/fused.h"
#include "kernels/cuda/ops_here.h"
#include "kernels/cuda/rows.cuh"
#include "kernels/math.h"
#include "kernels/moe.h"

namespace seedbed::kernels::KN_NS {

namespace {

// 1 / d for d in [1, 2^1022] to a few units of the last place: an estimate and two Newton steps.
__device__ __forceinline__ double reciprocal(double d) {
#if defined(SEEDBED_SIMT)
  double y = d < 1e38 ? static_cast<double>(1.0F / static_cast<float>(d)) : 1.0 / d;
#else
  double y;
  asm("rcp.approx.ftz.f64 %0, %1;" : "=d"(y) : "d"(d));
#endif
  y = __fma_rn(y, __fma_rn(-d, y, 1.0), y);
  return __fma_rn(y, __fma_rn(-d, y, 1.0), y);
}

// silu_mul_exact, usually in half its operations: a shorter series in fused steps is off by less
// than 2^-41 of the result. Only where a rounding boundary of float lies as near as that could the
// last bit differ: there, and where floats are subnormal or not finite, the definition is computed.
__device__ __forceinline__ float silu_mul_fast(float gate, float up) {
  const double x = -static_cast<double>(gate);
  const double shifted = __fma_rn(x, 0x1.71547652b82fep0, 0x1.8p52);
  const double n = __dsub_rn(shifted, 0x1.8p52);
  const double r = __fma_rn(n, -0x1.a39ef35793c76p-33, __fma_rn(n, -0x1.62e42feep-1, x));
  double sum = 1.0 / 3628800.0;  // to r^10: the rest is below 2.2e-13 = 2^-42
  sum = __fma_rn(sum, r, 1.0 / 362880.0);
  sum = __fma_rn(sum, r, 1.0 / 40320.0);
  sum = __fma_rn(sum, r, 1.0 / 5040.0);
  sum = __fma_rn(sum, r, 1.0 / 720.0);
  sum = __fma_rn(sum, r, 1.0 / 120.0);
  sum = __fma_rn(sum, r, 1.0 / 24.0);
  sum = __fma_rn(sum, r, 1.0 / 6.0);
  sum = __fma_rn(sum, r, 0.5);
  sum = __fma_rn(sum, r, 1.0);
  sum = __fma_rn(sum, r, 1.0);
  const auto power = static_cast<unsigned long long>(__double_as_longlong(shifted)) + 1023U;
  const double e = __dmul_rn(sum, __longlong_as_double(static_cast<long long>(power << 52)));
  const double value =
      __dmul_rn(__dmul_rn(-x, reciprocal(__dadd_rn(1.0, e))), static_cast<double>(up));
  // The 29 bits that a float leaves off, seen from half way: 2^-41 of the value are at most 2^12
  // units; four times as much counts as near.
  const auto bits = static_cast<unsigned long long>(__double_as_longlong(value));
  const auto low = static_cast<unsigned>(bits) & 0x1fffffffU;
  const bool near = low - (0x10000000U - 0x4000U) < 0x8000U;
  const auto exponent = static_cast<unsigned>(bits >> 52) & 0x7ffU;
  const bool ordinary = exponent > 1023U - 125U && exponent < 1023U + 127U && fabsf(gate) < 700.0F;
  if (near || !ordinary) return silu_mul_exact(gate, up);
  return static_cast<float>(value);
}

__device__ __forceinline__ float4 silu_mul4(float4 gate, float4 up) {
  return make_float4(silu_mul_fast(gate.x, up.x), silu_mul_fast(gate.y, up.y),
                     silu_mul_fast(gate.z, up.z), silu_mul_fast(gate.w, up.w));
}

// Floor: 12 bytes and about 30 double operations a number (on an H100 0.6 of the time of the
// bytes; where double arithmetic is rare, sm_89, it is what bounds).
template <bool kWide>
__global__ void __launch_bounds__(256) silu_mul_kernel(SiluMulParams p) {
  const std::int64_t i = 4 * (static_cast<std::int64_t>(blockIdx.x) * 256 + threadIdx.x);
  if (i >= p.count) return;
  const int left = p.count - i < 4 ? static_cast<int>(p.count - i) : 4;
  float4 g, u;
  if (kWide && left == 4) {
    g = load4<true>(p.gate + i, 0, 4);
    u = load4<true>(p.up + i, 0, 4);
  } else {
    g = load4<false>(p.gate + i, 0, left);
    u = load4<false>(p.up + i, 0, left);
  }
  g = silu_mul4(g, u);
  if (kWide && left == 4)
    store4<true>(p.out + i, 0, 4, g);
  else
    store4<false>(p.out + i, 0, left, g);
}

// A warp takes one block of 128 numbers of a row, as in act_quant. Floor: 9.03 bytes a number.
__global__ void __launch_bounds__(256)
    silu_mul_quant_kernel(SiluMulParams p, ActQuantParams q, int blocks) {
  const std::int64_t unit = static_cast<std::int64_t>(blockIdx.x) * 8 + threadIdx.x / 32;
  const std::int64_t t = unit / blocks;
  if (t >= q.rows) return;
  const int lane = static_cast<int>(threadIdx.x % 32);
  const int i = static_cast<int>(unit - t * blocks) * kQuantBlock + 4 * lane;
  float4 v = make_float4(0, 0, 0, 0);
  if (i < q.dim)
    v = silu_mul4(load4<true>(p.gate + t * q.dim, i, q.dim),
                  load4<true>(p.up + t * q.dim, i, q.dim));
  const float scale = fp8_scale(warp_max(magnitude4(v)), q.ue8m0);
  if (lane == 0) q.scale[unit] = scale;
  if (i < q.dim)
    store_bytes<true, 4>(reinterpret_cast<std::byte*>(q.out + t * q.dim + i),
                         quantise4(v, scale, q.ue8m0), 4);
}

}  // namespace

void silu_mul(const SiluMulParams& p) {
  const bool wide = aligned(p.gate, 16) && aligned(p.up, 16) && aligned(p.out, 16);
  launch(wide ? silu_mul_kernel<true> : silu_mul_kernel<false>,
         dim3(static_cast<unsigned>(ceil_div(p.count, 1024))), dim3(256), 0, here().stream, p);
}

void silu_mul_quant(const SiluMulParams& silu, const ActQuantParams& quant) {
  KERNEL_CHECK(silu.count == std::int64_t{quant.rows} * quant.dim, silu.count, quant.dim);
  if (quant.dim % 4 != 0 || !aligned(silu.gate, 16) || !aligned(silu.up, 16) ||
      !aligned(quant.out, 4)) {
    silu_mul(silu);
    ActQuantParams q = quant;
    q.x = silu.out;
    q.ldx = 0;
    act_quant(q);
    return;
  }
  const int blocks = quant_blocks(quant.dim);
  launch(silu_mul_quant_kernel,
         dim3(static_cast<unsigned>(ceil_div(std::int64_t{quant.rows} * blocks, 8))), dim3(256), 0,
         here().stream, silu, quant, blocks);
}

}  // namespace seedbed::kernels::KN_NS
