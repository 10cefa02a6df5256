#include "kernels/pool.h"
#include "kernels/ref/ops_here.h"

namespace seedbed::kernels::ref {

void embed(const EmbedParams& p) {
  KERNEL_CHECK(p.dtype != DType::f8, p.dtype, 0);
  for (int t = 0; t < p.tokens; ++t) {
    KERNEL_CHECK(p.ids[t] >= 0 && p.ids[t] < p.vocab, p.ids[t], p.vocab);
    for (int i = 0; i < p.dim; ++i) {
      const std::int64_t at = std::int64_t{p.ids[t]} * p.dim + i;
      p.out[std::int64_t{t} * p.dim + i] =
          p.dtype == DType::f32 ? static_cast<const float*>(p.table)[at]
                                : bf16_to_f32(static_cast<const std::uint16_t*>(p.table)[at]);
    }
  }
}

}  // namespace seedbed::kernels::ref
