#include "kernels/cpu/ops_here.h"
#include "kernels/math.h"
#include "kernels/pool.h"

namespace seedbed::kernels::SEEDBED_ISA {

void silu_mul(const SiluMulParams& p) {
  parallel_for(p.pool, p.count, 4096, [&](std::int64_t begin, std::int64_t end) {
    const float *gate = p.gate, *up = p.up;
    float* out = p.out;
#pragma GCC ivdep
    for (std::int64_t i = begin; i < end; ++i) out[i] = silu_mul_exact(gate[i], up[i]);
  });
}

}  // namespace seedbed::kernels::SEEDBED_ISA
