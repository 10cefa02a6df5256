#include <cmath>

#include "kernels/ref/ops_here.h"

namespace seedbed::kernels::ref {

void rms_norm(const RmsNormParams& p) {
  const std::int64_t ldx = p.ldx != 0 ? p.ldx : p.dim, ldo = p.ldo != 0 ? p.ldo : p.dim;
  for (std::int64_t t = 0; t < p.rows; ++t) {
    const float* h = p.x != nullptr ? p.x + t * ldx : nullptr;
    if (p.residual != nullptr) {
      float* sum = p.residual + t * p.dim;
      for (int i = 0; p.x != nullptr && i < p.dim; ++i) sum[i] += p.x[t * ldx + i];
      h = sum;
    }
    double squares = 0;
    for (int i = 0; i < p.dim; ++i) squares += double{h[i]} * double{h[i]};
    const double root = std::sqrt(squares / p.dim + double{p.eps});
    for (int i = 0; i < p.dim; ++i)
      p.out[t * ldo + i] = static_cast<float>(double{p.weight[i]} * double{h[i]} / root);
  }
}

void layer_norm(const LayerNormParams& p) {
  for (std::int64_t t = 0; t < p.rows; ++t) {
    const float* x = p.x + t * p.dim;
    double mean = 0, variance = 0;
    for (int i = 0; i < p.dim; ++i) mean += double{x[i]};
    mean /= p.dim;
    for (int i = 0; i < p.dim; ++i) variance += (double{x[i]} - mean) * (double{x[i]} - mean);
    variance /= p.dim;
    const double root = std::sqrt(variance + double{p.eps});
    for (int i = 0; i < p.dim; ++i)
      p.out[t * p.dim + i] = static_cast<float>((double{x[i]} - mean) / root * double{p.weight[i]} +
                                                double{p.bias[i]});
  }
}

}  // namespace seedbed::kernels::ref
