#include "kernels/cpu/ops_here.h"
#include "kernels/pool.h"

namespace seedbed::kernels::SEEDBED_ISA {

void map_slots(const MapSlotsParams& p) {
  parallel_for(p.pool, p.rows, 4, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t t = begin; t < end; ++t) {
      const std::int64_t sequence = p.table.sequence == nullptr ? 0 : p.table.sequence[t];
      const std::int32_t* table = p.table.table + sequence * p.table.table_stride;
      const std::int32_t* positions = p.positions + t * p.k;
      std::int32_t* slots = p.slots + t * p.k;
      for (int i = 0; i < p.k; ++i) {
        const std::int32_t position = positions[i];
        const std::int32_t page = position < 0 ? -1 : table[position / kPageTokens];
        slots[i] = page < 0 ? -1 : page * kPageTokens + position % kPageTokens;
      }
    }
  });
}

}  // namespace seedbed::kernels::SEEDBED_ISA
