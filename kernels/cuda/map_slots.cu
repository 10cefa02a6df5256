#include "kernels/cuda/rows.cuh"
#include "kernels/cuda/slots.cuh"
#include "kernels/topk_select.h"

namespace seedbed::kernels::KN_NS {

namespace {

// Four positions a thread. Floor: rows * k * 8 bytes, and the lines of the table that are met.
template <bool kWide>
__global__ void __launch_bounds__(256) map_slots_kernel(MapSlotsParams p, int pieces) {
  const std::int64_t t = shape_row();
  const int piece = shape_piece();
  if (t >= p.rows || piece >= pieces) return;
  const std::int32_t* table = table_of(p.table, t);
  const std::int32_t* positions = p.positions + t * p.k;
  std::int32_t* slots = p.slots + t * p.k;
  const int i = piece * 4;
  if constexpr (kWide) {
    int4 v = *reinterpret_cast<const int4*>(positions + i);
    v = make_int4(slot_at(table, v.x), slot_at(table, v.y), slot_at(table, v.z),
                  slot_at(table, v.w));
    *reinterpret_cast<int4*>(slots + i) = v;
  } else {
    for (int k = i; k < i + 4 && k < p.k; ++k) slots[k] = slot_at(table, positions[k]);
  }
}

}  // namespace

void map_slots(const MapSlotsParams& p) {
  const bool wide = p.k % 4 == 0 && aligned(p.positions, 16) && aligned(p.slots, 16);
  const int pieces = static_cast<int>(ceil_div(p.k, 4));
  const RowShape shape = row_shape(p.rows, pieces);
  launch(wide ? map_slots_kernel<true> : map_slots_kernel<false>, shape.grid, shape.block, 0,
         here().stream, p, pieces);
}

}  // namespace seedbed::kernels::KN_NS
