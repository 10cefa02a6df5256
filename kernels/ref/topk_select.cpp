#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/pool.h"
#include "kernels/ref/load.h"
#include "kernels/ref/ops_here.h"

namespace seedbed::kernels::ref {

void topk_select(const TopkSelectParams& p) {
  const std::int64_t lds = p.lds;
  std::vector<std::int32_t> order;
  for (std::int64_t t = 0; t < p.rows; ++t) {
    const float* score = p.scores + t * lds;
    const std::int32_t length = p.length[t];
    KERNEL_CHECK(length >= 0 && length <= lds, length, lds);
    order.resize(static_cast<std::size_t>(length));
    for (std::int32_t i = 0; i < length; ++i) order[static_cast<std::size_t>(i)] = i;
    const auto above = [&](std::int32_t a, std::int32_t b) {
      const bool a_nan = std::isnan(score[a]), b_nan = std::isnan(score[b]);
      if (a_nan != b_nan) return b_nan;
      if (!a_nan && score[a] != score[b]) return score[a] > score[b];
      return a < b;
    };
    std::sort(order.begin(), order.end(), above);
    const std::int32_t chosen = std::min(length, static_cast<std::int32_t>(p.k));
    std::sort(order.begin(), order.begin() + chosen);
    for (std::int32_t i = 0; i < p.k; ++i)
      p.out[t * p.k + i] = i < chosen ? order[static_cast<std::size_t>(i)] : -1;
  }
}

void map_slots(const MapSlotsParams& p) {
  for (std::int64_t t = 0; t < p.rows; ++t)
    for (std::int64_t i = t * p.k; i < (t + 1) * p.k; ++i)
      p.slots[i] =
          p.positions[i] < 0 ? -1 : static_cast<std::int32_t>(slot_of(p.table, t, p.positions[i]));
}

}  // namespace seedbed::kernels::ref
