#include "kernels/cuda/turns.cuh"
#include "kernels/rope.h"

namespace seedbed::kernels::KN_NS {

namespace {

// A piece is two neighbouring pairs (interleaved) or four numbers and their partners half a head
// on. A row is a token; its heads lie behind each other in the pieces, so that all of them share
// one line of cosines. Floor: tokens * heads * half * 16 bytes.
template <bool kInterleaved, bool kWide>
__global__ void __launch_bounds__(256) rope_kernel(RopeParams p, int head_pieces) {
  const std::int64_t t = shape_row();
  const int piece = shape_piece(), head = piece / head_pieces;
  if (t >= p.tokens || head >= p.heads) return;
  float* x = p.x + t * p.token_step + head * p.head_step;
  const float *cos = p.cos + t * p.half, *sin = p.sin + t * p.half;
  if constexpr (kInterleaved) {
    const int i = 2 * (piece - head * head_pieces);  // the first pair
    if constexpr (kWide) {
      const float4 v = *reinterpret_cast<const float4*>(x + 2 * i);
      const float2 c = *reinterpret_cast<const float2*>(cos + i);
      const float2 s = *reinterpret_cast<const float2*>(sin + i);
      const float2 a = turned(v.x, v.y, c.x, s.x), b = turned(v.z, v.w, c.y, s.y);
      *reinterpret_cast<float4*>(x + 2 * i) = make_float4(a.x, a.y, b.x, b.y);
    } else {
      for (int k = i; k < i + 2 && k < p.half; ++k) {
        const float2 v = turned(x[2 * k], x[2 * k + 1], cos[k], sin[k]);
        x[2 * k] = v.x;
        x[2 * k + 1] = v.y;
      }
    }
  } else {
    const int i = 4 * (piece - head * head_pieces);
    const float4 a = load4<kWide>(x, i, p.half), b = load4<kWide>(x + p.half, i, p.half);
    const float4 c = load4<kWide>(cos, i, p.half), s = load4<kWide>(sin, i, p.half);
    const float2 v0 = turned(a.x, b.x, c.x, s.x), v1 = turned(a.y, b.y, c.y, s.y),
                 v2 = turned(a.z, b.z, c.z, s.z), v3 = turned(a.w, b.w, c.w, s.w);
    store4<kWide>(x, i, p.half, make_float4(v0.x, v1.x, v2.x, v3.x));
    store4<kWide>(x + p.half, i, p.half, make_float4(v0.y, v1.y, v2.y, v3.y));
  }
}

}  // namespace

void rope(const RopeParams& p) {
  const int piece = p.interleaved ? 2 : 4;  // pairs
  const bool wide = p.half % piece == 0 && p.token_step % 4 == 0 && p.head_step % 4 == 0 &&
                    aligned(p.x, 16) && aligned(p.cos, 16) && aligned(p.sin, 16);
  const int head_pieces = static_cast<int>(ceil_div(p.half, piece));
  const RowShape shape = row_shape(p.tokens, std::int64_t{head_pieces} * p.heads);
  launch(p.interleaved ? (wide ? rope_kernel<true, true> : rope_kernel<true, false>)
                       : (wide ? rope_kernel<false, true> : rope_kernel<false, false>),
         shape.grid, shape.block, 0, here().stream, p, head_pieces);
}

}  // namespace seedbed::kernels::KN_NS
