// How much the texts of a sample repeat each other.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"

namespace seedbed::tasks::diversity {

struct SampleText {
  std::int64_t texts = 0;
  double distinct2 = 0, distinct3 = 0;  // different n-grams over all n-grams
  // Mean over the texts of BLEU-4 against all others of the sample as references (counts clipped at
  // the most in one other, the nearest length, 0.1 for a precision's zero matches).
  double self_bleu4 = 0;
  double self_bleu4_of_500 = 0;  // the same on the first 500: comparable between sizes
  double compression = 0;        // bytes over bytes of one zstd frame of all, a text a line
};

// `words` of each text, in the order of the sample; `lines` the same texts as they stand.
Result<SampleText> measure_sample(const std::vector<std::vector<std::string>>& words,
                                  const std::vector<std::string>& lines);

}  // namespace seedbed::tasks::diversity
