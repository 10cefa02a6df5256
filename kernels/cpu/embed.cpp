#include <cstring>

#include "kernels/cpu/ops_here.h"
#include "kernels/pool.h"

namespace seedbed::kernels::SEEDBED_ISA {

void embed(const EmbedParams& p) {
  KERNEL_CHECK(p.dtype != DType::f8, p.dtype, 0);
  parallel_for(p.pool, p.tokens, 16, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t t = begin; t < end; ++t) {
      KERNEL_CHECK(p.ids[t] >= 0 && p.ids[t] < p.vocab, p.ids[t], p.vocab);
      float* __restrict out = p.out + t * p.dim;
      const std::int64_t at = std::int64_t{p.ids[t]} * p.dim;
      if (p.dtype == DType::f32) {
        std::memcpy(out, static_cast<const float*>(p.table) + at,
                    static_cast<std::size_t>(p.dim) * 4);
        continue;
      }
      const std::uint16_t* __restrict row = static_cast<const std::uint16_t*>(p.table) + at;
      for (int i = 0; i < p.dim; ++i) out[i] = bf16_to_f32(row[i]);
    }
  });
}

}  // namespace seedbed::kernels::SEEDBED_ISA
