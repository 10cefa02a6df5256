// One draw of a sequence: what it depends on, and what the parameters mean.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <limits>
#include <vector>

#include "base/rng.h"
#include "engine/sampling.h"

namespace seedbed::engine {
namespace {

std::vector<float> some_logits(std::uint64_t seed, int vocab) {
  Rng rng(seed);
  std::vector<float> z;
  for (int i = 0; i < vocab; ++i) z.push_back(static_cast<float>(rng.below(1000)) / 250.0F);
  return z;
}
TokenOut draw_with(Sampler& sampler,
                   const std::vector<float>& z,
                   const SamplingParams& params,
                   std::uint64_t sequence,
                   std::int64_t position,
                   const SeenTokens& seen = {}) {
  std::vector<TokenOut> out;
  const Draw one{&params, sequence, position, &seen};
  sampler.draw(nullptr, z.data(), static_cast<int>(z.size()), std::span(&one, 1), out);
  return out.at(0);
}
TokenOut draw(const std::vector<float>& z,
              const SamplingParams& params,
              std::uint64_t sequence,
              std::int64_t position,
              const SeenTokens& seen = {},
              const kernels::Ops& ops = kernels::cpu_ops()) {
  Sampler sampler(kernels::host_device(&ops));
  return draw_with(sampler, z, params, sequence, position, seen);
}

// Rows of one call get what each gets alone, whatever their parameters and masks.
TEST(Sampler, RowsOfOneCallDoNotMeet) {
  constexpr int kVocab = 700;
  std::vector<SamplingParams> params(5);
  params[0].top_p = 0.8;
  params[1].temperature = 0;
  params[2].top_logprobs = 3;
  params[3].bias = {{5, 2.0F}, {9, -1.0F}};
  params[4].presence_penalty = 1.5;
  SeenTokens seen;
  for (const std::int32_t id : {3, 9, 400}) seen.add(id, true);
  std::vector<std::uint32_t> mask((kVocab + 31) / 32, 0x11111111U);
  std::vector<float> all;
  std::vector<Draw> draws;
  for (std::size_t i = 0; i < params.size(); ++i) {
    const auto z = some_logits(i, kVocab);
    all.insert(all.end(), z.begin(), z.end());
    draws.push_back({&params[i], i, 70, &seen, i % 2 == 1 ? mask.data() : nullptr});
  }
  Sampler sampler(kernels::host_device());
  std::vector<TokenOut> together, alone;
  sampler.draw(nullptr, all.data(), kVocab, draws, together);
  for (std::size_t i = 0; i < params.size(); ++i) {
    sampler.draw(nullptr, all.data() + i * kVocab, kVocab, std::span(&draws[i], 1), alone);
    EXPECT_EQ(together[i].id, alone[0].id);
    EXPECT_EQ(together[i].logprob, alone[0].logprob);
    EXPECT_EQ(together[i].kept_count, alone[0].kept_count);
    EXPECT_EQ(together[i].kept_ids, alone[0].kept_ids);
    EXPECT_EQ(together[i].top, alone[0].top);
    if (draws[i].allowed != nullptr) {
      EXPECT_EQ(together[i].id % 4, 0);
    }
  }
}

TEST(Sampler, ADrawIsAFunctionOfKeyAndLogits) {
  const auto z = some_logits(1, 700);
  SamplingParams params;
  params.seed = 9;
  params.top_p = 0.9;
  Sampler used(kernels::host_device());
  for (std::int64_t other = 0; other < 5; ++other)  // a sampler has no memory
    draw_with(used, z, params, 3, other);
  int same_seed = 0, same_sequence = 0, same_position = 0;
  for (std::int64_t position = 0; position < 50; ++position) {
    const TokenOut a = draw(z, params, 4, position);
    const TokenOut b = draw_with(used, z, params, 4, position);
    const TokenOut c = draw(z, params, 4, position, {}, kernels::ref_ops());
    EXPECT_EQ(a.id, b.id);
    EXPECT_EQ(a.id, c.id);
    EXPECT_EQ(a.logprob, c.logprob);
    EXPECT_EQ(a.kept_ids, c.kept_ids);
    EXPECT_EQ(static_cast<std::size_t>(a.kept_count), a.kept_ids.size());
    SamplingParams other = params;
    other.seed = 10;
    same_seed += draw(z, other, 4, position).id == a.id;
    same_sequence += draw(z, params, 5, position).id == a.id;
    same_position += draw(z, params, 4, position + 1000).id == a.id;
  }
  EXPECT_LT(same_seed, 10);
  EXPECT_LT(same_sequence, 10);
  EXPECT_LT(same_position, 10);
}

TEST(Sampler, PenaltiesCountWhatWasSampledAndRepetitionThePromptToo) {
  std::vector<float> z = {1.0F, 0.9F, 0.8F};
  SamplingParams params;
  params.temperature = 0;
  SeenTokens seen;
  EXPECT_EQ(draw(z, params, 0, 0, seen).id, 0);
  seen.add(0, false);  // in the prompt
  params.presence_penalty = 0.5;
  EXPECT_EQ(draw(z, params, 0, 0, seen).id, 0);
  seen.add(0, true);
  EXPECT_EQ(draw(z, params, 0, 0, seen).id, 1);
  params.presence_penalty = 0;
  params.frequency_penalty = 0.08;
  EXPECT_EQ(draw(z, params, 0, 0, seen).id, 0);  // once: 0.92
  seen.add(0, true);
  EXPECT_EQ(draw(z, params, 0, 0, seen).id, 1);  // twice: 0.84
  params.frequency_penalty = 0;
  params.repetition_penalty = 2;
  SeenTokens prompt;
  prompt.add(0, false);
  EXPECT_EQ(draw(z, params, 0, 0, prompt).id, 1);
  params.repetition_penalty = 1;
  params.bias = {{2, 5.0F}};
  EXPECT_EQ(draw(z, params, 0, 0).id, 2);
}

TEST(Sampler, SeenTokensAreAscendingAndCounted) {
  SeenTokens seen;
  for (const std::int32_t id : {5, 2, 9, 2, 5}) seen.add(id, id != 9);
  seen.add(2, false);
  EXPECT_EQ(seen.ids(), (std::vector<std::int32_t>{2, 5, 9}));
  EXPECT_EQ(seen.outputs(), (std::vector<std::int32_t>{2, 2, 0}));
}

TEST(Sampler, TopLogprobsAreListedHighestFirst) {
  const auto z = some_logits(2, 300);
  SamplingParams params;
  params.top_logprobs = 4;
  const TokenOut out = draw(z, params, 0, 0);
  ASSERT_EQ(out.top.size(), 4U);
  for (std::size_t i = 1; i < 4; ++i) EXPECT_GE(out.top[i - 1].second, out.top[i].second);
  EXPECT_EQ(z[static_cast<std::size_t>(out.top[0].first)], *std::max_element(z.begin(), z.end()));
  EXPECT_LE(out.raw_logprob, out.top[0].second);
  EXPECT_EQ(out.kept_count, -1);
}

TEST(Sampler, ParametersOutOfBoundsAreRefusedByName) {
  EXPECT_FALSE(check_sampling({}, 100));
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const struct {
    std::function<void(SamplingParams&)> spoil;
    const char* name;
  } cases[] = {
      {[](SamplingParams& p) { p.temperature = -1; }, "temperature"},
      {[nan](SamplingParams& p) { p.temperature = nan; }, "temperature"},
      {[](SamplingParams& p) { p.top_k = -1; }, "top_k"},
      {[](SamplingParams& p) { p.top_p = 1.5; }, "top_p"},
      {[](SamplingParams& p) { p.min_p = -0.1; }, "min_p"},
      {[](SamplingParams& p) { p.repetition_penalty = 0; }, "repetition_penalty"},
      {[](SamplingParams& p) {
         p.bias = {{100, 1.0F}};
       },
       "bias"},
      {[](SamplingParams& p) {
         p.bias = {{1, std::numeric_limits<float>::infinity()}};
       },
       "bias"},
  };
  for (const auto& one : cases) {
    SamplingParams params;
    one.spoil(params);
    const Step wrong = check_sampling(params, 100);
    ASSERT_TRUE(wrong) << one.name;
    EXPECT_EQ(wrong->where, Where::usage);
    EXPECT_NE(wrong->message.find(one.name), std::string::npos) << wrong->message;
  }
}

}  // namespace
}  // namespace seedbed::engine
