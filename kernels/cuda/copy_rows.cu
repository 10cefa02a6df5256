#include "kernels/copy_rows.h"
#include "kernels/cuda/ops_here.h"
#include "kernels/cuda/rows.cuh"

namespace seedbed::kernels::KN_NS {

namespace {

// Floor: 8 * rows * dim bytes.
template <bool kWide>
__global__ void __launch_bounds__(256) copy_rows_kernel(CopyRowsParams p, int pieces) {
  const std::int64_t row = shape_row();
  const int piece = shape_piece();
  if (row >= p.rows || piece >= pieces) return;
  store4<kWide>(p.out + row * p.ldo, piece * 4, p.dim,
                load4<kWide>(p.x + row * p.ldx, piece * 4, p.dim));
}

}  // namespace

void copy_rows(const CopyRowsParams& p) {
  const bool wide =
      p.dim % 4 == 0 && p.ldx % 4 == 0 && p.ldo % 4 == 0 && aligned(p.x, 16) && aligned(p.out, 16);
  const int pieces = static_cast<int>(ceil_div(p.dim, 4));
  const RowShape shape = row_shape(p.rows, pieces);
  launch(wide ? copy_rows_kernel<true> : copy_rows_kernel<false>, shape.grid, shape.block, 0,
         here().stream, p, pieces);
}

}  // namespace seedbed::kernels::KN_NS
