// The arithmetic of sampling, defined once: the random bits, the weight of a logit, logarithms.
// Additions and multiplications of doubles in a fixed order (no fused form, no library call), all
// else in integers: any machine gives the same bits. Internal linkage on purpose, as in dtype.h:
// files built for different instruction sets each get their own copy.
#pragma once
#include <bit>
#include <cstdint>

#include "kernels/dtype.h"  // KERNEL_HD
#include "kernels/sample.h"

namespace seedbed::kernels {

constexpr int kWeightBits = 44;  // the weight of the highest is 2^44
constexpr double kLeastTemperature = 1e-6;
constexpr double kLeastX = -32.0;  // exp(-32) * 2^44 rounds to 0

// Philox4x32-10 (Salmon et al., SC11): counter (sequence, position), key seed; 64 of its 128 bits.
struct PhiloxBlock {
  std::uint32_t word[4];
};
KERNEL_HD static inline PhiloxBlock philox(PhiloxBlock c, std::uint32_t key0, std::uint32_t key1) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t a = std::uint64_t{0xD2511F53U} * c.word[0];
    const std::uint64_t b = std::uint64_t{0xCD9E8D57U} * c.word[2];
    c = {{static_cast<std::uint32_t>(b >> 32) ^ c.word[1] ^ key0, static_cast<std::uint32_t>(b),
          static_cast<std::uint32_t>(a >> 32) ^ c.word[3] ^ key1, static_cast<std::uint32_t>(a)}};
    key0 += 0x9E3779B9U;
    key1 += 0xBB67AE85U;
  }
  return c;
}
KERNEL_HD static inline std::uint64_t sample_bits(const SampleRow& row) {
  const auto position = static_cast<std::uint64_t>(row.position);
  const PhiloxBlock out = philox(
      {{static_cast<std::uint32_t>(row.sequence), static_cast<std::uint32_t>(row.sequence >> 32),
        static_cast<std::uint32_t>(position), static_cast<std::uint32_t>(position >> 32)}},
      static_cast<std::uint32_t>(row.seed), static_cast<std::uint32_t>(row.seed >> 32));
  return out.word[0] | (std::uint64_t{out.word[1]} << 32);
}
// The high half of bits * total: uniform in [0, total).
KERNEL_HD static inline std::uint64_t scaled_draw(std::uint64_t bits, std::uint64_t total) {
  __extension__ using Wide = unsigned __int128;
  return static_cast<std::uint64_t>((static_cast<Wide>(bits) * total) >> 64);
}

// exp(x) * 2^44 for x <= 0, not rounded; x below kLeastX counts as kLeastX.
KERNEL_HD static inline double scaled_exp(double x) {
  constexpr double kMagic = 0x1.8p52;  // adding it rounds to an integer, in the low bits
  x = x < kLeastX ? kLeastX : x;
  const double shifted = x * 0x1.71547652b82fep0 + kMagic;
  const double n = shifted - kMagic;
  const double r = (x - n * 0x1.62e42feep-1) - n * 0x1.a39ef35793c76p-33;
  double p = 1.0 / 479001600.0;
  p = p * r + 1.0 / 39916800.0;
  p = p * r + 1.0 / 3628800.0;
  p = p * r + 1.0 / 362880.0;
  p = p * r + 1.0 / 40320.0;
  p = p * r + 1.0 / 5040.0;
  p = p * r + 1.0 / 720.0;
  p = p * r + 1.0 / 120.0;
  p = p * r + 1.0 / 24.0;
  p = p * r + 1.0 / 6.0;
  p = p * r + 0.5;
  p = p * r + 1.0;
  p = p * r + 1.0;
  const std::uint64_t power =
      (std::bit_cast<std::uint64_t>(shifted) << 52) + (std::uint64_t{1023 + kWeightBits} << 52);
  return p * std::bit_cast<double>(power);
}
// To the nearest integer, halves to even; 0 <= x < 2^52.
KERNEL_HD static inline std::uint64_t rounded(double x) {
  return std::bit_cast<std::uint64_t>(x + 0x1p52) - std::bit_cast<std::uint64_t>(0x1p52);
}
KERNEL_HD static inline std::uint64_t weight_of(double x) {
  return rounded(scaled_exp(x));
}
// weight * -x, the share of one id in the entropy's sum; nothing for weight 0.
KERNEL_HD static inline std::uint64_t surprise_of(double x, std::uint64_t weight) {
  const double clamped = x < kLeastX ? kLeastX : x;
  return rounded(static_cast<double>(weight) * -clamped);
}

// log(weight / 2^44) for weight > 0: m * 2^e with m near 1, then 2 artanh((m - 1) / (m + 1)).
KERNEL_HD static inline double log_weight(std::uint64_t weight) {
  const auto bits = std::bit_cast<std::uint64_t>(static_cast<double>(weight));
  auto e = static_cast<int>(bits >> 52) - 1023;
  double m = std::bit_cast<double>((bits & 0xfffffffffffffULL) | (std::uint64_t{1023} << 52));
  if (m > 1.4142135623730951) {
    m *= 0.5;
    ++e;
  }
  const double s = (m - 1.0) / (m + 1.0), q = s * s;
  double sum = 0.0;
  for (int k = 21; k >= 1; k -= 2) sum = sum * q + 1.0 / k;
  return static_cast<double>(e - kWeightBits) * 0x1.62e42fefa39efp-1 + 2.0 * s * sum;
}

// Weight that the kept prefix has to reach.
KERNEL_HD static inline std::uint64_t top_p_target(double top_p, std::uint64_t total) {
  const double wanted = top_p * static_cast<double>(total);
  const auto whole = static_cast<std::uint64_t>(wanted);
  const std::uint64_t up = static_cast<double>(whole) < wanted ? whole + 1 : whole;
  return up < 1 ? 1 : up > total ? total : up;
}
KERNEL_HD static inline std::uint64_t min_p_weight(double min_p) {
  const double wanted = min_p * 0x1p44;
  const auto whole = static_cast<std::uint64_t>(wanted);
  return static_cast<double>(whole) < wanted ? whole + 1 : whole;
}

// A logit after bias and penalties; `outputs` < 0: not seen at all.
KERNEL_HD static inline double penalised(double z, const SampleRow& row, std::int32_t outputs) {
  if (outputs < 0) return z;
  if (row.repetition_penalty != 1.0)
    z = z > 0 ? z / row.repetition_penalty : z * row.repetition_penalty;
  if (outputs > 0) {
    z -= row.frequency_penalty * outputs;
    z -= row.presence_penalty;
  }
  return z;
}

// Floats as integers of the same order; NaNs lie beyond the infinities on either side.
KERNEL_HD static inline std::int32_t ordered_bits(float x) {
  const auto bits = std::bit_cast<std::int32_t>(x);
  return bits ^ ((bits >> 31) & 0x7fffffff);
}
KERNEL_HD static inline float from_ordered_bits(std::int32_t key) {
  return std::bit_cast<float>(key ^ ((key >> 31) & 0x7fffffff));
}
constexpr std::int32_t kOrderedInf = 0x7f800000, kOrderedMinusInf = -0x7f800001;

constexpr int kWeighTile = 256;
// The loops over the whole vocabulary, which each instruction set brings.
struct SampleLoops {
  // Lowest and highest ordered_bits.
  void (*range)(const float* logits, int vocab, std::int32_t* lowest, std::int32_t* highest);
  // weight[i] of x = (z[i] - highest) * inverse; tile_weight: the sum of each 256 ids; returns the
  // sum of surprises. z is `adjusted`, or the logits where that is null.
  std::uint64_t (*weigh)(const float* logits,
                         const double* adjusted,
                         int vocab,
                         double highest,
                         double inverse,
                         std::uint64_t* weight,
                         std::uint64_t* tile_weight);
};
// All rows, over the pool; one definition for every instruction set (sample_rules.cpp).
void sample_rows(const SampleParams& p, const SampleLoops& loops);
void check_sample(const SampleParams& p);

}  // namespace seedbed::kernels
