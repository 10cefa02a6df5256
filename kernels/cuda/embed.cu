#include "kernels/cuda/rows.cuh"
#include "kernels/embed.h"

namespace seedbed::kernels::KN_NS {

namespace {

// A piece is 16 bytes of the table: 8 bf16 or 4 f32. Floor: tokens * dim * (2 or 4 read + 4
// written) bytes.
template <bool kBf16, bool kWide>
__global__ void __launch_bounds__(256) embed_kernel(EmbedParams p, int pieces) {
  constexpr int kPiece = kBf16 ? 8 : 4;
  const std::int64_t t = shape_row();
  const int piece = shape_piece();
  if (t >= p.tokens || piece >= pieces) return;
  const std::int32_t id = p.ids[t];
  KN_CHECK(id >= 0 && id < p.vocab, id, p.vocab);
  const int i = piece * kPiece;
  float* out = p.out + t * p.dim;
  if constexpr (kBf16) {
    const auto* row = static_cast<const std::uint16_t*>(p.table) + std::int64_t{id} * p.dim;
    if constexpr (kWide) {
      const uint4 raw = *reinterpret_cast<const uint4*>(row + i);
      const float2 a = unpack_bf16(raw.x), b = unpack_bf16(raw.y), c = unpack_bf16(raw.z),
                   d = unpack_bf16(raw.w);
      store4<true>(out, i, p.dim, make_float4(a.x, a.y, b.x, b.y));
      store4<true>(out, i + 4, p.dim, make_float4(c.x, c.y, d.x, d.y));
    } else {
      for (int k = i; k < i + kPiece && k < p.dim; ++k) out[k] = bf16_to_float(row[k]);
    }
  } else {
    const float* row = static_cast<const float*>(p.table) + std::int64_t{id} * p.dim;
    store4<kWide>(out, i, p.dim, load4<kWide>(row, i, p.dim));
  }
}

}  // namespace

void embed(const EmbedParams& p) {
  KERNEL_CHECK(p.dtype != DType::f8, p.dtype, 0);
  const bool half = p.dtype == DType::bf16;
  const int piece = half ? 8 : 4;
  const bool wide = p.dim % piece == 0 && aligned(p.table, 16) && aligned(p.out, 16);
  const int pieces = static_cast<int>(ceil_div(p.dim, piece));
  const RowShape shape = row_shape(p.tokens, pieces);
  launch(half ? (wide ? embed_kernel<true, true> : embed_kernel<true, false>)
              : (wide ? embed_kernel<false, true> : embed_kernel<false, false>),
         shape.grid, shape.block, 0, here().stream, p, pieces);
}

}  // namespace seedbed::kernels::KN_NS
