// Sums run in double over eight lanes and are joined in one order: equal bits for any number of
// rows or threads, and on every instruction set.
#include "kernels/cpu/ops_here.h"
#include "kernels/pool.h"

namespace seedbed::kernels::SEEDBED_ISA {

namespace {
constexpr int kLanes = 8;

double joined(const double* lane) {
  return ((lane[0] + lane[4]) + (lane[2] + lane[6])) + ((lane[1] + lane[5]) + (lane[3] + lane[7]));
}

// sum of (x - shift)^power for power 1 or 2.
template <int power>
double sum_of(const float* x, int dim, double shift) {
  double lane[kLanes] = {};
  int i = 0;
  for (; i + kLanes <= dim; i += kLanes)
    for (int l = 0; l < kLanes; ++l) {
      const double value = static_cast<double>(x[i + l]) - shift;
      lane[l] += power == 2 ? value * value : value;
    }
  for (int l = 0; i < dim; ++i, ++l) {
    const double value = static_cast<double>(x[i]) - shift;
    lane[l] += power == 2 ? value * value : value;
  }
  return joined(lane);
}

double root_of(double x) {
  return __builtin_sqrt(x);
}

// Rows of one piece of work: handing it out must cost less than it does.
std::int64_t rows_a_piece(int dim) {
  constexpr std::int64_t kElements = 8192;
  return kElements / (dim > 0 ? dim : 1) + 1;
}
}  // namespace

void rms_norm(const RmsNormParams& p) {
  KERNEL_CHECK(p.rows == 0 || p.x != nullptr || p.residual != nullptr, p.rows, p.dim);
  const std::int64_t ldx = p.ldx != 0 ? p.ldx : p.dim, ldo = p.ldo != 0 ? p.ldo : p.dim;
  parallel_for(p.pool, p.rows, rows_a_piece(p.dim), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t t = begin; t < end; ++t) {
      const float* h = p.x != nullptr ? p.x + t * ldx : nullptr;
      if (p.residual != nullptr) {
        float* __restrict sum = p.residual + t * p.dim;
        if (h != nullptr)
          for (int i = 0; i < p.dim; ++i) sum[i] += h[i];
        h = sum;
      }
      const double mean = sum_of<2>(h, p.dim, 0.0) / p.dim;
      const double inverse = 1.0 / root_of(mean + static_cast<double>(p.eps));
      float* out = p.out + t * ldo;
      const float* __restrict weight = p.weight;
#pragma GCC ivdep
      for (int i = 0; i < p.dim; ++i)
        out[i] = static_cast<float>(static_cast<double>(h[i]) * inverse *
                                    static_cast<double>(weight[i]));
    }
  });
}

void layer_norm(const LayerNormParams& p) {
  parallel_for(p.pool, p.rows, rows_a_piece(p.dim), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t t = begin; t < end; ++t) {
      const float* x = p.x + t * p.dim;
      const double mean = sum_of<1>(x, p.dim, 0.0) / p.dim;
      const double variance = sum_of<2>(x, p.dim, mean) / p.dim;
      const double inverse = 1.0 / root_of(variance + static_cast<double>(p.eps));
      float* out = p.out + t * p.dim;
      const float* __restrict weight = p.weight, * __restrict bias = p.bias;
#pragma GCC ivdep
      for (int i = 0; i < p.dim; ++i)
        out[i] = static_cast<float>((static_cast<double>(x[i]) - mean) * inverse *
                                        static_cast<double>(weight[i]) +
                                    static_cast<double>(bias[i]));
    }
  });
}

}  // namespace seedbed::kernels::SEEDBED_ISA
