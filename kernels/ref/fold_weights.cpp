#include "kernels/ref/ops_here.h"

namespace seedbed::kernels::ref {

void fold_weights(const FoldWeightsParams& p) {
  for (std::int64_t i = 0; i < p.count; ++i) {
    const float folded = p.w[i] * p.fold;
    p.w[i] = p.scale != nullptr ? folded * p.scale[i] : folded;
  }
}

}  // namespace seedbed::kernels::ref
