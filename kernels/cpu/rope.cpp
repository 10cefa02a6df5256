#include "kernels/cpu/ops_here.h"
#include "kernels/pool.h"

namespace seedbed::kernels::SEEDBED_ISA {

namespace {
void turn_pairs(float* __restrict x,
                const float* __restrict cos,
                const float* __restrict sin,
                int half) {
  for (int i = 0; i < half; ++i) {
    const float a = x[2 * i], b = x[2 * i + 1];
    x[2 * i] = a * cos[i] - b * sin[i];
    x[2 * i + 1] = b * cos[i] + a * sin[i];
  }
}
void turn_halves(float* __restrict first,
                 float* __restrict second,
                 const float* __restrict cos,
                 const float* __restrict sin,
                 int half) {
  for (int i = 0; i < half; ++i) {
    const float a = first[i], b = second[i];
    first[i] = a * cos[i] - b * sin[i];
    second[i] = b * cos[i] + a * sin[i];
  }
}
}  // namespace

void rope(const RopeParams& p) {
  // Handing out work costs more than turning a few thousand pairs.
  constexpr std::int64_t kPiecePairs = 16'384;
  const std::int64_t pairs = std::int64_t{p.heads} * p.half;
  const std::int64_t grain = kPiecePairs / (pairs > 0 ? pairs : 1) + 1;
  parallel_for(p.pool, p.tokens, grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t t = begin; t < end; ++t) {
      const float *cos = p.cos + t * p.half, *sin = p.sin + t * p.half;
      for (std::int64_t h = 0; h < p.heads; ++h) {
        float* x = p.x + t * p.token_step + h * p.head_step;
        if (p.interleaved)
          turn_pairs(x, cos, sin, p.half);
        else
          turn_halves(x, x + p.half, cos, sin, p.half);
      }
    }
  });
}

}  // namespace seedbed::kernels::SEEDBED_ISA
