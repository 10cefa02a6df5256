#include "kernels/ref/ops_here.h"

namespace seedbed::kernels::ref {

void rope(const RopeParams& p) {
  for (std::int64_t t = 0; t < p.tokens; ++t)
    for (std::int64_t h = 0; h < p.heads; ++h)
      for (std::int64_t i = 0; i < p.half; ++i) {
        float* x = p.x + t * p.token_step + h * p.head_step;
        float& first = x[p.interleaved ? 2 * i : i];
        float& second = x[p.interleaved ? 2 * i + 1 : i + p.half];
        const float a = first, b = second;
        const float c = p.cos[t * p.half + i], s = p.sin[t * p.half + i];
        first = a * c - b * s;
        second = b * c + a * s;
      }
}

}  // namespace seedbed::kernels::ref
