#include "kernels/cpu/ops_here.h"
#include "kernels/pool.h"
#include "kernels/sample_rules.h"

namespace seedbed::kernels::SEEDBED_ISA {
namespace {

void range(const float* logits, int vocab, std::int32_t* lowest, std::int32_t* highest) {
  std::int32_t lo = ordered_bits(logits[0]), hi = lo;
  for (int i = 0; i < vocab; ++i) {
    const std::int32_t key = ordered_bits(logits[i]);
    lo = key < lo ? key : lo;
    hi = key > hi ? key : hi;
  }
  *lowest = lo;
  *highest = hi;
}

// `Z` is float or double. Integer sums: the compiler may split them as it likes.
template <class Z>
std::uint64_t weigh_all(const Z* z,
                        int vocab,
                        double highest,
                        double inverse,
                        std::uint64_t* weight,
                        std::uint64_t* tile_weight) {
  std::uint64_t surprise = 0;
  for (int begin = 0; begin < vocab; begin += kWeighTile) {
    const int end = begin + kWeighTile < vocab ? begin + kWeighTile : vocab;
    std::uint64_t sum = 0, spread = 0;
    for (int i = begin; i < end; ++i) {
      double x = (static_cast<double>(z[i]) - highest) * inverse;
      x = x < kLeastX ? kLeastX : x;
      const double y = scaled_exp(x) + 0x1p52;  // rounded to an integer, as in rounded()
      const std::uint64_t w =
          std::bit_cast<std::uint64_t>(y) - std::bit_cast<std::uint64_t>(0x1p52);
      weight[i] = w;
      sum += w;
      spread += rounded((y - 0x1p52) * -x);
    }
    tile_weight[begin / kWeighTile] = sum;
    surprise += spread;
  }
  return surprise;
}

std::uint64_t weigh(const float* logits,
                    const double* adjusted,
                    int vocab,
                    double highest,
                    double inverse,
                    std::uint64_t* weight,
                    std::uint64_t* tile_weight) {
  return adjusted == nullptr ? weigh_all(logits, vocab, highest, inverse, weight, tile_weight)
                             : weigh_all(adjusted, vocab, highest, inverse, weight, tile_weight);
}

}  // namespace

void sample(const SampleParams& p) {
  sample_rows(p, {.range = range, .weigh = weigh});
}

}  // namespace seedbed::kernels::SEEDBED_ISA
