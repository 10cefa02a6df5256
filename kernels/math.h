// exp and what is made of it, in plain double arithmetic without the C library: one value on every
// backend, vector width and machine, so that routing can be exact. Internal linkage: see dtype.h.
#pragma once
#include <bit>
#include <cstdint>

#include "kernels/dtype.h"  // KERNEL_HD

namespace seedbed::kernels {

// e^x with relative error below 1e-15 for |x| <= 708; beyond, the value at that bound. NaN gives
// NaN. Without branches, so that loops over it become vector code.
KERNEL_HD static inline double exp_exact(double x) {
  x = x < -708.0 ? -708.0 : x;
  x = x > 708.0 ? 708.0 : x;
  // x = n ln 2 + r; adding 1.5 * 2^52 rounds to an integer and leaves it in the low bits.
  const double shifted = x * 0x1.71547652b82fep0 + 0x1.8p52;
  const double n = shifted - 0x1.8p52;
  const double r = (x - n * 0x1.62e42feep-1) - n * 0x1.a39ef35793c76p-33;
  double sum = 1.0 / 6227020800.0;  // Taylor to r^13: |r| <= ln 2 / 2, the rest is below 5e-18
  sum = sum * r + 1.0 / 479001600.0;
  sum = sum * r + 1.0 / 39916800.0;
  sum = sum * r + 1.0 / 3628800.0;
  sum = sum * r + 1.0 / 362880.0;
  sum = sum * r + 1.0 / 40320.0;
  sum = sum * r + 1.0 / 5040.0;
  sum = sum * r + 1.0 / 720.0;
  sum = sum * r + 1.0 / 120.0;
  sum = sum * r + 1.0 / 24.0;
  sum = sum * r + 1.0 / 6.0;
  sum = sum * r + 0.5;
  sum = sum * r + 1.0;
  sum = sum * r + 1.0;
  const auto exponent = (std::bit_cast<std::uint64_t>(shifted) + 1023U) << 52;
  return sum * std::bit_cast<double>(exponent);
}

KERNEL_HD static inline float sigmoid_exact(float x) {
  return static_cast<float>(1.0 / (1.0 + exp_exact(-static_cast<double>(x))));
}

// silu(gate) * up, rounded once.
KERNEL_HD static inline float silu_mul_exact(float gate, float up) {
  const double g = gate;
  return static_cast<float>(g / (1.0 + exp_exact(-g)) * static_cast<double>(up));
}

}  // namespace seedbed::kernels
