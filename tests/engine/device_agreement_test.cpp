// The oracle, the processor's ops and the very sources of the GPU's kernels (on the host, behind a
// fake device) are one model.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <set>

#include "tests/engine/checkpoint_kit.h"
#include "tests/engine/device_kit.h"

#if defined(SEEDBED_WITH_SIMT)
#include "kernels/cuda/stream.h"
#include "kernels/cuda/table.h"
#endif

namespace seedbed::engine::kit {
namespace {

#if defined(SEEDBED_WITH_SIMT)
// As the GPU's own device is opened.
std::shared_ptr<FakeDevice> kernels_device() {
  return std::make_shared<FakeDevice>(FakeOptions{
      .ops = &kernels::simt::table(),
      .chains = true,
      .chained = &kernels::simt::chains(),
      .on_bind = [] { kernels::simt::here().fixed_split = true; },
  });
}

TEST(Agreement, GreedyTokensAreEqualInF32) {
#if defined(__SANITIZE_ADDRESS__)
  constexpr int kTokens = 48, kDrafted = 16;  // each access is looked at
#else
  constexpr int kTokens = 512, kDrafted = 64;
#endif
  const Folder folder;
  EngineOptions o;
  o.model_dir = made_model(folder, DType::f32);
  o.kv_dtype = DType::f32;
  o.cache_tokens = 1024;
  o.model.threads = 2;
  auto r = request(tiny_config(), 5, 0, 21, kTokens);
  r.params.sampling.temperature = 0;
  std::vector<std::vector<std::int32_t>> all;
  std::vector<std::vector<std::uint16_t>> routing;
  const auto run = [&] {
    const auto made = opened(o)->run(r);
    ASSERT_TRUE(made.ok());
    all.push_back(said(*made).ids);
    routing.push_back(made->routing.ids);
  };
  run();
  o.model.ops = &kernels::ref_ops();
  run();
  o.model.ops = nullptr;
  o.model.device = kernels_device();
  run();
  ASSERT_EQ(all.size(), 3U);
  const std::set<std::int32_t> different(all[0].begin(), all[0].end());
  EXPECT_GT(different.size(), 5U) << "a model that says one thing shows nothing";
  RecordProperty("different", static_cast<int>(different.size()));
  EXPECT_EQ(all[0].size(), static_cast<std::size_t>(kTokens));
  for (const std::size_t i : {1U, 2U}) {
    EXPECT_EQ(all[i], all[0]) << (i == 1 ? "ref" : "simt");
    EXPECT_EQ(routing[i], routing[0]) << (i == 1 ? "ref" : "simt");
  }
  o.speculative = true;
  r.params.max_tokens = kDrafted;
  run();
  all[0].resize(kDrafted);
  EXPECT_EQ(all[3], all[0]);
}

// On those kernels too, what a request gets does not depend on what else is computed.
TEST(Agreement, ARequestGetsItsOwnBitsFromTheKernels) {
#if defined(__SANITIZE_ADDRESS__)
  GTEST_SKIP() << "minutes where each access is looked at; the other cases run the same kernels";
#endif
  const Kind kind = {"moe", DType::f8, DType::f8};
  auto o = options_of(kind, kernels_device());
  const ModelConfig config = golden_config("configs/moe.json");
  const auto some = [&] {
    auto requests = mixed_requests(config, false);
    requests.erase(requests.begin() + 5, requests.end());
    return requests;
  };
  const auto device = kernels_device();
  o.model.device = device;
  const auto batched = together(o, some());
  EXPECT_GT(device->counts().plays, 0);
  EXPECT_GT(batched.stats.hit_tokens, 0);
  o.model.device = kernels_device();
  o.max_batch = 1;
  o.chunk = 128;
  o.prefix_cache = false;
  EXPECT_EQ(together(o, some()).said, batched.said);
}

// Teacher-forced: the same tokens for all, one pass, the same selections. fp8 rounds between steps,
// so rows whose two highest logits nearly meet say nothing.
TEST(Agreement, TheLikeliestTokenIsTheSameInFp8WhereverItIsClear) {
  constexpr double kClear = 0.05;  // of the row's largest logit
  const Folder folder;
  const ModelConfig config = tiny_config();
  const std::string dir = made_model(folder, DType::f8, config);
  const auto tokens = goldens::tokens(11, 90, config.vocab_size);
  RunOptions options;
  options.kv_dtype = DType::f8;
  options.chunks = {48, 1};
  const auto oracle =
      load_model(dir, {.device = nullptr, .ops = &kernels::ref_ops(), .threads = 2});
  const RunResult want = run_model(*oracle, tokens, options);
  options.on_selection = [&](int layer, int first, int rows, std::int32_t* chosen) {
    for (int row = 0; row < rows; ++row) {
      const auto& set = want.sets.at({layer, first + row});
      std::copy(set.begin(), set.end(), chosen + std::int64_t{row} * config.index_topk);
    }
  };
  for (const bool simt : {false, true}) {
    const auto model = load_model(dir, {.device = simt ? kernels_device() : nullptr, .threads = 2});
    const RunResult got = run_model(*model, tokens, options);
    const auto vocab = static_cast<std::ptrdiff_t>(config.vocab_size);
    int clear = 0, equal = 0;
    for (std::ptrdiff_t row = 0; row < static_cast<std::ptrdiff_t>(tokens.size()); ++row) {
      auto sorted = std::vector<float>(want.logits.begin() + row * vocab,
                                       want.logits.begin() + (row + 1) * vocab);
      const auto best = std::max_element(sorted.begin(), sorted.end()) - sorted.begin();
      const auto ours = got.logits.begin() + row * vocab;
      const auto our_best = std::max_element(ours, ours + vocab) - ours;
      double largest_logit = 0;
      for (const float z : sorted) largest_logit = std::max(largest_logit, std::fabs(double{z}));
      std::partial_sort(sorted.begin(), sorted.begin() + 2, sorted.end(), std::greater<>());
      const double margin = double{sorted[0]} - double{sorted[1]};
      equal += best == our_best ? 1 : 0;
      if (margin < kClear * largest_logit) continue;
      ++clear;
      EXPECT_EQ(best, our_best) << (simt ? "simt" : "cpu") << " row " << row << " margin "
                                << margin;
    }
    RecordProperty(simt ? "simt_clear" : "cpu_clear", clear);
    RecordProperty(simt ? "simt_equal" : "cpu_equal", equal);
    EXPECT_GE(clear, 45) << "of " << tokens.size();
  }
}
#else
TEST(Agreement, NeedsTheKernelsOfTheGpu) {
  GTEST_SKIP() << "no CUDA headers on this machine (or not x86-64): their sources do not run here";
}
#endif

}  // namespace
}  // namespace seedbed::engine::kit
