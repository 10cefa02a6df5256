#include <cmath>
#include <vector>

#include "kernels/pool.h"
#include "kernels/ref/ops_here.h"

namespace seedbed::kernels::ref {

namespace {
void quantise_row(const float* x, int dim, bool ue8m0, std::uint8_t* out, float* scale) {
  for (int begin = 0, block = 0; begin < dim; begin += kQuantBlock, ++block) {
    const int end = begin + kQuantBlock < dim ? begin + kQuantBlock : dim;
    float amax = 0;
    for (int i = begin; i < end; ++i)
      if (std::fabs(x[i]) > amax) amax = std::fabs(x[i]);
    scale[block] = fp8_scale(amax, ue8m0);
    for (int i = begin; i < end; ++i) out[i] = f32_to_e4m3(x[i] / scale[block]);
  }
}
}  // namespace

void cast_bf16(const CastBf16Params& p) {
  const std::int64_t ldx = p.ldx != 0 ? p.ldx : p.dim;
  for (std::int64_t t = 0; t < p.rows; ++t)
    for (std::int64_t i = 0; i < p.dim; ++i) p.out[t * p.dim + i] = f32_to_bf16(p.x[t * ldx + i]);
}

void act_quant(const ActQuantParams& p) {
  const std::int64_t ldx = p.ldx != 0 ? p.ldx : p.dim;
  for (std::int64_t t = 0; t < p.rows; ++t)
    quantise_row(p.x + t * ldx, p.dim, p.ue8m0, p.out + t * p.dim,
                 p.scale + t * quant_blocks(p.dim));
}

void hadamard_quant(const HadamardQuantParams& p) {
  KERNEL_CHECK(p.dim >= 1 && p.dim <= 1024 && (p.dim & (p.dim - 1)) == 0, p.dim, 1024);
  const auto factor = static_cast<float>(1.0 / std::sqrt(static_cast<double>(p.dim)));
  std::vector<float> row(static_cast<std::size_t>(p.dim));
  for (std::int64_t t = 0; t < p.rows; ++t) {
    for (int i = 0; i < p.dim; ++i) row[static_cast<std::size_t>(i)] = p.x[t * p.dim + i];
    float* y = row.data();
    for (int stride = 1; stride < p.dim; stride *= 2)
      for (int i = 0; i < p.dim; ++i) {
        if ((i & stride) != 0) continue;
        const float a = y[i], b = y[i + stride];
        y[i] = a + b;
        y[i + stride] = a - b;
      }
    for (int i = 0; i < p.dim; ++i) y[i] *= factor;
    quantise_row(y, p.dim, p.ue8m0, p.out + t * p.dim, p.scale + t * quant_blocks(p.dim));
  }
}

}  // namespace seedbed::kernels::ref
