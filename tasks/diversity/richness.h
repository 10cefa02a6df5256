// How many kinds of something there are, and how many more are to be expected: counts of classes
// turned into diversity numbers.
#pragma once
#include <cstdint>
#include <vector>

namespace seedbed::tasks::diversity {

struct CurvePoint {
  std::int64_t observations = 0;
  double distinct = 0;  // expected in a random sample of so many, drawn without putting back
};

struct Richness {
  std::int64_t observations = 0, distinct = 0;
  std::int64_t largest = 0;                     // observations of the most frequent class
  std::int64_t singletons = 0, doubletons = 0;  // classes seen once, twice
  double hill1 = 0;                             // exp of Shannon's entropy
  double hill2 = 0;                             // 1 / sum of squared shares
  double top_share = 0;    // observations in the most frequent 1 % of classes, rounded up
  double chao1 = 0;        // bias-corrected: S + f1 (f1 - 1) / (2 (f2 + 1))
  double unseen_mass = 0;  // Good-Turing: f1 / N
  std::vector<CurvePoint> curve;
};

// One entry an observation: the hash of its class. The order does not matter.
Richness richness_of(std::vector<std::uint64_t> classes);

}  // namespace seedbed::tasks::diversity
