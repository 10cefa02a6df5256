// One engine called from several threads: each sequence gets what it would get alone.
#include "engine/engine.h"

#include <gtest/gtest.h>

#include <cmath>
#include <thread>

#include "tests/engine/model_kit.h"

namespace seedbed::engine {
namespace {

std::vector<std::int32_t> sample(Engine& engine, std::uint64_t key) {
  const auto id = engine.open_sequence(key);
  const auto prompt = goldens::tokens(key, 40, engine.config().vocab_size);
  EXPECT_FALSE(engine.append(id, prompt));
  GenerateParams params;
  params.sampling.top_p = 0.9;
  params.max_tokens = 6;
  params.ignore_eos = true;
  std::vector<std::int32_t> out;
  for (int turn = 0; turn < 2; ++turn) {
    auto generated = engine.generate(id, params);
    EXPECT_TRUE(generated.ok());
    if (!generated.ok()) break;
    for (const auto& token : generated->tokens) out.push_back(token.id);
  }
  engine.close_sequence(id);
  return out;
}

TEST(EngineThreads, SequencesDoNotDisturbEachOther) {
  const ModelConfig config = golden_config("configs/moe.json");
  EngineOptions options;
  options.model_dir = ModelFolders::of(config, 12, DType::f8, "moe");
  options.model.threads = 2;
  options.cache_tokens = 1024;
  auto engine = Engine::open(options);
  ASSERT_TRUE(engine.ok());
  std::vector<std::vector<std::int32_t>> alone, together(4);
  for (std::uint64_t key = 0; key < 4; ++key) alone.push_back(sample(**engine, key));
  std::vector<std::thread> threads;
  for (std::uint64_t key = 0; key < 4; ++key)
    threads.emplace_back([&, key] { together[key] = sample(**engine, key); });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(alone, together);
}

TEST(Engine, PagesComeBackAndAFullCacheSaysSo) {
  const ModelConfig config = golden_config("configs/dense.json");
  EngineOptions options;
  options.model_dir = ModelFolders::of(config, 11, DType::f8, "dense");
  options.cache_tokens = 128;
  auto engine = Engine::open(options);
  ASSERT_TRUE(engine.ok());
  EXPECT_EQ((*engine)->cache_tokens(), 128);
  const auto prompt = goldens::tokens(1, 100, config.vocab_size);
  GenerateParams params;
  params.max_tokens = 60;
  params.ignore_eos = true;
  for (int i = 0; i < 3; ++i) {
    // What the sequence before left in pages gives way.
    const auto id = (*engine)->open_sequence(1);
    ASSERT_FALSE((*engine)->append(id, prompt));
    auto generated = (*engine)->generate(id, params);
    ASSERT_TRUE(generated.ok());
    EXPECT_EQ(generated->finish, Finish::cache_full);
    EXPECT_EQ((*engine)->tokens(id).size(), 129U);  // the last one was sampled and has no place
    auto refused = (*engine)->generate(id, params);
    ASSERT_FALSE(refused.ok());
    EXPECT_NE(refused.error().message.find("room for 128"), std::string::npos)
        << refused.error().message;
    (*engine)->close_sequence(id);
  }
}

TEST(Engine, RefusesWhatItCannotServe) {
  const ModelConfig config = golden_config("configs/dense.json");
  EngineOptions options;
  options.model_dir = ModelFolders::of(config, 11, DType::f8, "dense");
  options.cache_tokens = 128;
  auto engine = Engine::open(options);
  ASSERT_TRUE(engine.ok());
  const auto id = (*engine)->open_sequence(1);
  const std::vector<std::int32_t> foreign = {0, config.vocab_size};
  EXPECT_TRUE((*engine)->append(id, foreign));
  EXPECT_FALSE((*engine)->generate(id, {}).ok());  // nothing to continue
  const std::vector<std::int32_t> one = {3};
  ASSERT_FALSE((*engine)->append(id, one));
  GenerateParams params;
  for (auto spoil :
       {+[](SamplingParams& p) { p.temperature = -1; }, +[](SamplingParams& p) { p.top_p = 1.5; },
        +[](SamplingParams& p) { p.min_p = std::nan(""); },
        +[](SamplingParams& p) {
          p.bias = {{-1, 0.0F}};
        },
        +[](SamplingParams& p) { p.repetition_penalty = 0; }}) {
    params.sampling = {};
    spoil(params.sampling);
    auto refused = (*engine)->generate(id, params);
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().where, Where::usage);
  }
  params = {};
  params.max_tokens = 0;
  EXPECT_FALSE((*engine)->generate(id, params).ok());
}

TEST(Engine, TellsWhatTheIndexerSelectedWhereAsked) {
  const ModelConfig config = golden_config("configs/moe.json");
  std::vector<std::vector<TokenSelection>> found;
  for (const bool speculative : {false, true}) {
    EngineOptions options;
    options.model_dir = ModelFolders::of(config, 12, DType::f8, "moe");
    options.cache_tokens = 512;
    options.speculative = speculative;
    options.chunk = speculative ? 7 : 64;
    auto engine = Engine::open(options);
    ASSERT_TRUE(engine.ok());
    const auto id = (*engine)->open_sequence(1);
    ASSERT_FALSE((*engine)->append(id, goldens::tokens(1, 50, config.vocab_size)));
    GenerateParams params;
    params.max_tokens = 10;
    params.ignore_eos = true;
    EXPECT_TRUE((*engine)->generate(id, params)->selections.empty());
    params.want_selection = true;
    const auto generated = (*engine)->generate(id, params);
    ASSERT_TRUE(generated.ok());
    found.push_back(generated->selections);
    // The token sampled last before, and nine of the ten sampled now, were computed.
    EXPECT_EQ(found.back().size(), 10U * static_cast<std::size_t>(config.num_hidden_layers));
    for (const auto& token : found.back()) {
      EXPECT_GE(token.position, 59);
      EXPECT_LT(token.position, 69);
      EXPECT_EQ(token.selected.size(), static_cast<std::size_t>(config.index_topk));
      EXPECT_LE(token.selected.back(), token.position);
    }
  }
  auto sorted = [](std::vector<TokenSelection> list) {
    std::sort(list.begin(), list.end(), [](const auto& a, const auto& b) {
      return std::pair(a.position, a.layer) < std::pair(b.position, b.layer);
    });
    return list;
  };
  const auto plain = sorted(found[0]), drafted = sorted(found[1]);
  for (std::size_t i = 0; i < plain.size(); ++i) EXPECT_EQ(plain[i].selected, drafted[i].selected);
}

TEST(Engine, TruncateForgetsAndTheRestIsAsIfNeverSaid) {
  const ModelConfig config = golden_config("configs/moe.json");
  for (const bool speculative : {false, true}) {
    EngineOptions options;
    options.model_dir = ModelFolders::of(config, 12, DType::f8, "moe");
    options.cache_tokens = 1024;
    options.speculative = speculative;
    auto engine = Engine::open(options);
    ASSERT_TRUE(engine.ok());
    const auto prompt = goldens::tokens(1, 90, config.vocab_size);
    GenerateParams params;
    params.max_tokens = 20;
    params.ignore_eos = true;
    const auto straight = (*engine)->open_sequence(7), winding = (*engine)->open_sequence(7);
    ASSERT_FALSE((*engine)->append(straight, prompt));
    const auto expected = (*engine)->generate(straight, params);
    ASSERT_TRUE(expected.ok());
    ASSERT_FALSE((*engine)->append(winding, std::span(prompt).first(70)));
    ASSERT_TRUE((*engine)->generate(winding, params).ok());
    (*engine)->truncate(winding, 50);
    ASSERT_FALSE((*engine)->append(winding, std::span(prompt).subspan(50)));
    const auto found = (*engine)->generate(winding, params);
    ASSERT_TRUE(found.ok());
    ASSERT_EQ(found->tokens.size(), expected->tokens.size());
    for (std::size_t i = 0; i < found->tokens.size(); ++i) {
      EXPECT_EQ(found->tokens[i].id, expected->tokens[i].id);
      EXPECT_EQ(found->tokens[i].logprob, expected->tokens[i].logprob);
    }
    EXPECT_EQ((*engine)->routing(winding).ids, (*engine)->routing(straight).ids);
    if (!speculative) {
      EXPECT_GE(found->cached_tokens, 50);
    }
  }
}

}  // namespace
}  // namespace seedbed::engine
