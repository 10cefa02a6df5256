// Sampling: every backend gives the oracle's bits, the oracle agrees with a definition in plain
// doubles, and draws follow the distribution.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <string>
#include <vector>

#include "base/rng.h"
#include "kernels/ops.h"
#include "kernels/pool.h"
#include "kernels/sample_rules.h"
#include "tests/kernels/sample_cases.h"
#include "tests/kernels/support.h"

namespace seedbed::kernels {
namespace {

using namespace sample_cases;

TEST(Sample, EveryBackendGivesTheOraclesBits) {
  Pool pool(3);
  for (const int vocab : {1, 2, 31, 33, 255, 256, 257, 1000, 4099})
    for (std::uint64_t round = 0; round < 24; ++round) {
      const Case c = random_case(rng_for(11, "sample", round, std::to_string(vocab)), vocab, 5);
      const Out want = c.out(ref_ops().sample);
      for (const Backend& b : backends()) {
        if (b.slow && round % 3 != 0) continue;
        test::take_turns(static_cast<int>(round / 3 % 3));
        EXPECT_EQ(difference(c.out(b.sample), want), "")
            << b.name << " vocab " << vocab << " round " << round;
        test::take_turns(0);
        if (b.slow) continue;
        EXPECT_EQ(difference(c.out(b.sample, &pool), want), "") << b.name << " with threads";
      }
    }
}

TEST(Sample, BitsArePhilox4x32With10Rounds) {
  // Known answers of the Random123 distribution.
  const PhiloxBlock zero = philox({{0, 0, 0, 0}}, 0, 0);
  EXPECT_EQ(zero.word[0], 0x6627e8d5U);
  EXPECT_EQ(zero.word[1], 0xe169c58dU);
  EXPECT_EQ(zero.word[2], 0xbc57ac4cU);
  EXPECT_EQ(zero.word[3], 0x9b00dbd8U);
  const PhiloxBlock pi =
      philox({{0x243f6a88U, 0x85a308d3U, 0x13198a2eU, 0x03707344U}}, 0xa4093822U, 0x299f31d0U);
  EXPECT_EQ(pi.word[0], 0xd16cfe09U);
  EXPECT_EQ(pi.word[3], 0x24126ea1U);
}

TEST(Sample, WeightsAndLogarithmsMatchTheLibrarysWithinOneUnit) {
  for (double x = 0; x > -31; x -= 0.0137) {
    EXPECT_NEAR(scaled_exp(x) / (std::exp(x) * 0x1p44), 1.0, 1e-15) << x;
    const auto w = static_cast<double>(weight_of(x));
    EXPECT_LE(std::abs(w - std::exp(x) * 0x1p44), 0.51) << x;
  }
  EXPECT_EQ(weight_of(0), std::uint64_t{1} << 44);
  EXPECT_EQ(weight_of(-40), 0U);
  EXPECT_EQ(weight_of(-std::numeric_limits<double>::infinity()), 0U);
  for (std::uint64_t w = 1; w < (std::uint64_t{1} << 62); w = w * 3 + 1) {
    const double want = std::log(static_cast<double>(w)) - 44 * std::log(2.0);
    EXPECT_NEAR(log_weight(w), want, 4e-16 * (1 + std::abs(want)) * 8) << w;
  }
}

// The kept set in plain doubles with std::exp; empty where a boundary is too close to call.
std::vector<int> plainly_kept(const std::vector<float>& logits, const SampleRow& row) {
  const std::size_t n = logits.size();
  std::vector<int> order(n);
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) {
    return logits[static_cast<std::size_t>(a)] > logits[static_cast<std::size_t>(b)];
  });
  std::vector<double> p;
  for (const int id : order)
    p.push_back(std::exp((double{logits[static_cast<std::size_t>(id)]} -
                          double{logits[static_cast<std::size_t>(order[0])]}) /
                         row.temperature));
  std::size_t keep =
      row.top_k > 0 ? std::min<std::size_t>(n, static_cast<std::size_t>(row.top_k)) : n;
  if (row.top_p < 1) {
    double total = 0, sum = 0;
    for (std::size_t k = 0; k < keep; ++k) total += p[k];
    std::size_t k = 0;
    for (; k < keep; ++k) {
      sum += p[k];
      if (std::abs(sum - row.top_p * total) < 1e-9 * total) return {};
      if (sum >= row.top_p * total) break;
    }
    keep = std::min(keep, k + 1);
  }
  std::vector<int> kept;
  for (std::size_t k = 0; k < keep; ++k) {
    if (row.min_p > 0 && std::abs(p[k] - row.min_p) < 1e-9) return {};
    if (p[k] >= row.min_p) kept.push_back(order[k]);
  }
  std::sort(kept.begin(), kept.end());
  return kept;
}

TEST(Sample, KeptSetLogprobAndEntropyMatchASlowDefinitionInDoubles) {
  int compared = 0;
  for (std::uint64_t round = 0; round < 400; ++round) {
    Rng rng = rng_for(5, "kept", round, "");
    const int vocab = 1 + static_cast<int>(rng.below(600));
    SampleRow row;
    row.temperature = 0.3 + uniform(rng);
    if (rng.chance(1, 2)) row.top_k = 1 + static_cast<std::int32_t>(rng.below(80));
    if (rng.chance(2, 3)) row.top_p = uniform(rng);
    if (rng.chance(1, 3)) row.min_p = uniform(rng) * 0.2;
    row.seed = round;
    Case c = one_row({}, row, vocab);
    c.vocab = vocab;
    for (int i = 0; i < vocab; ++i) c.logits.push_back(2 * normal(rng));
    const auto want = plainly_kept(c.logits, row);
    if (want.empty()) continue;
    ++compared;
    const Out o = c.out(cpu_ops().sample);
    const bool cuts = row.top_p < 1 || row.min_p > 0 || (row.top_k > 0 && row.top_k < vocab);
    ASSERT_EQ(o.kept_count[0], cuts ? static_cast<int>(want.size()) : -1) << round;
    EXPECT_TRUE(!cuts || std::equal(want.begin(), want.end(), o.kept_ids.begin())) << round;
    double total = 0, entropy = 0, raw_total = 0;
    const auto z = [&](int id) { return double{c.logits[static_cast<std::size_t>(id)]}; };
    for (const int id : want) total += std::exp(z(id) / row.temperature);
    for (const int id : want) {
      const double p = std::exp(z(id) / row.temperature) / total;
      entropy -= p * std::log(p);
    }
    for (int id = 0; id < vocab; ++id) raw_total += std::exp(z(id));
    EXPECT_NEAR(o.logprob[0], z(o.id[0]) / row.temperature - std::log(total), 1e-6);
    EXPECT_NEAR(o.raw[0], z(o.id[0]) - std::log(raw_total), 2e-6);
    EXPECT_NEAR(o.entropy[0], entropy, 1e-6);
    EXPECT_TRUE(std::binary_search(want.begin(), want.end(), o.id[0]));
  }
  EXPECT_GT(compared, 380);
}

TEST(Sample, DrawsFollowTheDistribution) {
  // Chi-square over draws that differ in one part of the key at a time.
  const std::vector<float> logits = {0.0F, 1.0F, -1.0F, 0.5F, 2.0F, -0.3F, 1.2F, -2.0F, 0.1F, 0.7F};
  for (const double temperature : {1.0, 0.6})
    for (const double top_p : {1.0, 0.8})
      for (int part = 0; part < 3; ++part) {
        constexpr int kDraws = 24'000;
        Case c = one_row(logits, {}, 10);
        c.logits.clear();
        c.rows.clear();
        for (int i = 0; i < kDraws; ++i) {
          c.logits.insert(c.logits.end(), logits.begin(), logits.end());
          SampleRow row{.temperature = temperature, .top_p = top_p, .seed = 3, .sequence = 4};
          (part == 0 ? row.seed : row.sequence) += part == 2 ? 0 : static_cast<std::uint64_t>(i);
          if (part == 2) row.position = i;
          c.rows.push_back(row);
        }
        const Out o = c.out(cpu_ops().sample);
        std::vector<int> kept(logits.size());
        std::iota(kept.begin(), kept.end(), 0);
        if (top_p < 1) kept = plainly_kept(logits, c.rows[0]);
        double total = 0, chi = 0;
        for (const int id : kept)
          total += std::exp(double{logits[static_cast<std::size_t>(id)]} / temperature);
        std::int64_t inside = 0;
        for (const int id : kept) {
          const double want =
              kDraws * std::exp(double{logits[static_cast<std::size_t>(id)]} / temperature) / total;
          const auto got = static_cast<double>(std::count(o.id.begin(), o.id.end(), id));
          chi += (got - want) * (got - want) / want;
          inside += static_cast<std::int64_t>(got);
        }
        EXPECT_EQ(inside, kDraws);
        // 9 degrees of freedom at most: 33.7 is passed once in 10,000.
        EXPECT_LT(chi, 33.7) << "temperature " << temperature << " top_p " << top_p << " part "
                             << part;
      }
}

TEST(Sample, ASampleDependsOnItsKeyAndLogitsAlone) {
  // The same row alone, among others, at another place in the batch, with other threads.
  Pool pool(2);
  Rng rng = rng_for(9, "alone", 0, "");
  Case many;
  many.vocab = 5000;
  many.kept_capacity = 8;
  for (int i = 0; i < 9; ++i) {
    for (int id = 0; id < many.vocab; ++id) many.logits.push_back(3 * normal(rng));
    SampleRow row{.top_p = 0.9, .seed = 1, .sequence = rng.next()};
    row.position = i;
    many.rows.push_back(row);
  }
  int changed = 0;  // of 180 samples at other positions
  const Out all = many.out(cpu_ops().sample, &pool);
  for (std::size_t i = 0; i < many.rows.size(); ++i) {
    const auto begin = many.logits.begin() + static_cast<std::ptrdiff_t>(i) * many.vocab;
    const Case alone = one_row({begin, begin + many.vocab}, many.rows[i], 8);
    const Out o = alone.out(cpu_ops().sample);
    EXPECT_EQ(o.id[0], all.id[i]);
    EXPECT_EQ(o.logprob[0], all.logprob[i]);
    SampleRow other = many.rows[i];
    for (int k = 1; k <= 20; ++k) {
      other.position = many.rows[i].position + 1000 * k;
      changed += one_row(alone.logits, other, 8).out(cpu_ops().sample).id[0] != o.id[0] ? 1 : 0;
    }
  }
  EXPECT_GT(changed, 60);
}

TEST(Sample, RowsThatCannotBeSampledGiveMinusOne) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  std::vector<Case> broken = {one_row({1, nan, 2}),
                              one_row({1, -nan, 2}),
                              one_row({kInf, 0}),
                              one_row({-kInf, -kInf, -kInf}),
                              one_row({0, 1, 2}),
                              one_row({0, 1}),
                              one_row({0, nan}, {.temperature = 0})};
  broken[4].allowed = {0};          // nothing is allowed
  broken[5].bias_offsets = {0, 2};  // all biased away
  broken[5].bias_ids = {0, 1};
  broken[5].bias = {-kInf, -kInf};
  for (Case& c : broken) {
    c.top = 2;
    for (const Backend& b : backends()) {
      const Out o = c.out(b.sample);
      EXPECT_EQ(o.id[0], -1) << b.name;
      EXPECT_EQ(o.kept_count[0], 0);
      EXPECT_EQ(o.logprob[0], 0);
      EXPECT_EQ(o.raw[0], 0);
      EXPECT_EQ(o.top_ids, (std::vector<std::int32_t>{-1, -1}));
    }
  }
}

TEST(Sample, EdgesOfTheParameters) {
  for (const Backend& b : backends()) {
    const Out greedy = one_row({1, 3, 3, -2}, {.temperature = 0}).out(b.sample);
    EXPECT_EQ(greedy.id[0], 1) << b.name;
    EXPECT_EQ(greedy.logprob[0], 0);
    EXPECT_EQ(greedy.entropy[0], 0);
    EXPECT_EQ(greedy.kept_count[0], 1);
    EXPECT_EQ(greedy.kept_ids[0], 1);
    EXPECT_NEAR(greedy.raw[0], 3 - std::log(std::exp(1.0) + 2 * std::exp(3.0) + std::exp(-2.0)),
                1e-6);

    const Out nothing = one_row({0, 5, 1}, {.top_p = 0}).out(b.sample);
    EXPECT_EQ(nothing.id[0], 1);
    EXPECT_EQ(nothing.kept_count[0], 1);
    EXPECT_EQ(nothing.logprob[0], 0);

    const Out only = one_row({-3.5F}).out(b.sample);
    EXPECT_EQ(only.id[0], 0);
    EXPECT_EQ(only.logprob[0], 0);
    EXPECT_EQ(only.raw[0], 0);
    EXPECT_EQ(only.kept_count[0], -1);

    // Ties at the boundary of top-k and of top-p: the lower ids stay.
    const Out tied = one_row({1, 2, 1, 1, 1}, {.top_k = 3}).out(b.sample);
    EXPECT_EQ(std::vector<std::int32_t>(tied.kept_ids.begin(), tied.kept_ids.begin() + 3),
              (std::vector<std::int32_t>{0, 1, 2}));
    const Out flat = one_row(std::vector<float>(8, 0.25F), {.top_p = 0.5}).out(b.sample);
    EXPECT_EQ(flat.kept_count[0], 4);
    EXPECT_EQ(flat.kept_ids[3], 3);

    // A kept set larger than its room: the count is true, the first ids are listed.
    Case cut = one_row(std::vector<float>(100, 0.0F), {.top_k = 60}, 5);
    const Out over = cut.out(b.sample);
    EXPECT_EQ(over.kept_count[0], 60);
    EXPECT_EQ(over.kept_ids, (std::vector<std::int32_t>{0, 1, 2, 3, 4}));

    // A mask cuts off too.
    Case masked = one_row({9, 1, 1, 9});
    masked.allowed = {0b0110};
    const Out m = masked.out(b.sample);
    EXPECT_EQ(m.kept_count[0], 2);
    EXPECT_EQ(m.kept_ids[0], 1);
    EXPECT_NEAR(m.logprob[0], -std::log(2.0), 1e-6);

    // Penalties as vLLM defines them: repetition on the sign, then frequency by count, presence
    // once; an id of the prompt alone meets the repetition penalty only.
    Case penalised_row = one_row({2, -2, 0.5F}, {.temperature = 0,
                                                 .repetition_penalty = 4,
                                                 .presence_penalty = 0.25,
                                                 .frequency_penalty = 0.125});
    penalised_row.seen_offsets = {0, 2};
    penalised_row.seen_ids = {0, 1};
    penalised_row.seen_outputs = {2, 0};
    EXPECT_EQ(penalised_row.out(b.sample).id[0], 2);
    const double first = penalised(2, penalised_row.rows[0], 2);
    EXPECT_DOUBLE_EQ(first, 0.5 - 2 * 0.125 - 0.25);
    EXPECT_DOUBLE_EQ(penalised(-2, penalised_row.rows[0], 0), -8);
  }
}

TEST(Sample, TopLogprobsAreTheHighestRawOnesInOrder) {
  Case c = one_row({0, 4, 2, 4, -kInf}, {.temperature = 0.5});
  c.top = 5;
  for (const Backend& b : backends()) {
    const Out o = c.out(b.sample);
    EXPECT_EQ(o.top_ids, (std::vector<std::int32_t>{1, 3, 2, 0, -1})) << b.name;
    const double total = 1 + 2 * std::exp(4.0) + std::exp(2.0);
    EXPECT_NEAR(o.top_logprobs[0], 4 - std::log(total), 1e-6);
    EXPECT_NEAR(o.top_logprobs[3], -std::log(total), 1e-6);
  }
}

}  // namespace
}  // namespace seedbed::kernels
