// Sampling from vocabularies of the size that models have.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <string>

#include "base/rng.h"
#include "kernels/ops.h"
#include "kernels/sample_rules.h"
#include "tests/kernels/sample_cases.h"
#include "tests/kernels/support.h"

namespace seedbed::kernels {
namespace {

using namespace sample_cases;

// Vocabularies that no backend takes in one piece, and kept sets of every size: a boundary among
// equals, among close ones, among few; lists longer than a piece.
TEST(Sample, LargeVocabulariesAndLongKeptSetsGiveTheOraclesBits) {
  const int vocab = 13'000;
  const SampleRow rows[] = {{.top_p = 0.9},
                            {.top_k = 9'000},
                            {.top_k = 6'000, .top_p = 0.7},
                            {.temperature = 0.4, .top_k = 50, .top_p = 0.95, .min_p = 0.01},
                            {.temperature = 3, .min_p = 0.2},
                            {}};
  for (int shape = 0; shape < 6; ++shape) {
    Rng rng = rng_for(12, "large", static_cast<std::uint64_t>(shape), "");
    Case c;
    c.vocab = vocab;
    c.kept_capacity = 10'000;
    c.top = 30;
    c.rows.assign(std::begin(rows), std::end(rows));
    for (SampleRow& row : c.rows) {
      const auto z = hard_logits(rng, vocab, shape);
      c.logits.insert(c.logits.end(), z.begin(), z.end());
      row.seed = rng.next();
    }
    const Out want = c.out(ref_ops().sample);
    for (const Backend& b : backends())
      EXPECT_EQ(difference(c.out(b.sample), want), "") << b.name << " shape " << shape;
  }
}

// Prints microseconds a row for the sizes that models have; the bound is loose, it only shows that
// nobody sorts the vocabulary.
TEST(Sample, LargeVocabulariesAreNotSorted) {
  for (const int vocab : {32'768, 129'280})
    for (const double spread : {0.05, 3.0}) {
      Rng rng = rng_for(1, "speed", static_cast<std::uint64_t>(vocab), "");
      Case c = one_row({}, {.top_p = 0.95, .seed = 1}, 4096);
      c.vocab = vocab;
      for (int i = 0; i < vocab; ++i) c.logits.push_back(static_cast<float>(spread) * normal(rng));
      double best = 1e9;
      for (int round = 0; round < 15; ++round) {
        c.rows[0].position = round;
        const auto start = std::chrono::steady_clock::now();
        const Out o = c.out(cpu_ops().sample);
        best = std::min(best, std::chrono::duration<double, std::micro>(
                                  std::chrono::steady_clock::now() - start)
                                  .count());
        ASSERT_GE(o.id[0], 0);
      }
      RecordProperty("us_" + std::to_string(vocab) + (spread > 1 ? "" : "_flat"),
                     static_cast<int>(best));
      EXPECT_LT(best, 20'000.0) << vocab;
    }
}

}  // namespace
}  // namespace seedbed::kernels
