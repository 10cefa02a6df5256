// topk_select and map_slots in one pass, for callers of this backend that want slots: slots as
// map_slots(topk_select(p)) gives them, i32 [rows, k]. p.out may be null here.
#pragma once
#include "kernels/cuda/stream.h"
#include "kernels/topk_select.h"

namespace seedbed::kernels::KN_NS {

constexpr int kMaxTopkRow = 1 << 20;  // longest row: its bits must fit in shared memory

void topk_select_slots(const TopkSelectParams& p, const PageTable& table, std::int32_t* slots);

}  // namespace seedbed::kernels::KN_NS
