// Everything at once: requests, aborts, sessions, new weights, pauses, readers of the figures.
#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <thread>

#include "base/rng.h"
#include "engine/engine.h"
#include "tests/engine/model_kit.h"

namespace seedbed::engine {
namespace {

TEST(EngineStress, NothingIsLostDoubledOrLeft) {
  const ModelConfig config = golden_config("configs/dense.json");
  EngineOptions options;
  options.model_dir = ModelFolders::of(config, 11, DType::f8, "dense");
  const std::string other = ModelFolders::of(config, 21, DType::f8, "dense-other");
  options.model.threads = 2;
  options.cache_tokens = 30 * 64;  // too few for all: sequences are put back
  options.chunk = 40;
  options.max_batch = 9;
  auto opened = Engine::open(options);
  ASSERT_TRUE(opened.ok());
  Engine& engine = **opened;
  constexpr int kThreads = 4, kEach = 25;
  std::atomic<int> told{0}, submitted{0};
  std::atomic<bool> over{false};
  std::mutex mutex;
  // What equal requests said under each weights, token by token: one answer only.
  std::map<std::tuple<std::uint64_t, std::int32_t, std::vector<std::int32_t>>, float> seen;
  std::atomic<int> differing{0}, versions{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t)
    threads.emplace_back([&, t] {
      Rng rng = rng_for(1, "stress", t, "requests");
      for (int i = 0; i < kEach; ++i) {
        Request r;
        const std::uint64_t kind = rng.below(6);
        r.prompt = goldens::tokens(kind, 30 + kind * 40, config.vocab_size);
        r.params.max_tokens = 1 + static_cast<int>(rng.below(20));
        r.params.ignore_eos = true;
        r.params.sampling.seed = 4;
        r.key = kind;
        r.session = rng.chance(1, 2) ? kind + 1 : 0;
        r.priority = static_cast<int>(rng.below(3));
        auto id = engine.submit(r, [&, kind](Result<Generated> g) {
          ++told;
          if (!g.ok()) return;
          const std::lock_guard lock(mutex);
          std::vector<std::int32_t> said;
          std::int32_t policy = 0;
          for (const auto& token : g->tokens) {
            if (policy != 0 && token.policy != policy) break;  // a mixed history is its own
            policy = token.policy;
            said.push_back(token.id);
            // Odd and even numbers of the weights are the same two files.
            const auto [at, fresh] = seen.insert({{kind, policy % 2, said}, token.logprob});
            if (!fresh && at->second != token.logprob) ++differing;
          }
          if (policy > 1) ++versions;
        });
        EXPECT_TRUE(id.ok());
        ++submitted;
        if (rng.chance(1, 5)) engine.abort(*id);
        if (rng.chance(1, 9)) engine.end_session(kind + 1);
      }
    });
  threads.emplace_back([&] {
    for (int i = 0; i < 4; ++i) {
      EXPECT_FALSE(engine.reload(i % 2 == 0 ? other : options.model_dir,
                                 i < 2 ? Reload::interrupt : Reload::drain));
      engine.pause();
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
      engine.resume();
      engine.drop_prefix_cache();
    }
  });
  std::thread reader([&] {
    while (!over) {
      const auto stats = engine.stats();
      EXPECT_LE(stats.pages_free + stats.pages_cached, stats.pages);
      EXPECT_GE(engine.policy(), 1);
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  });
  for (auto& thread : threads) thread.join();
  while (told < submitted) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  over = true;
  reader.join();
  EXPECT_EQ(told, kThreads * kEach);
  EXPECT_EQ(differing, 0);
  EXPECT_EQ(engine.policy(), 5);
  engine.drop_prefix_cache();
  const auto stats = engine.stats();
  EXPECT_EQ(stats.pages_free, stats.pages);
  EXPECT_EQ(stats.running + stats.waiting, 0);
}

TEST(EngineStress, AnEngineThatGoesTellsEverybody) {
  const ModelConfig config = golden_config("configs/dense.json");
  EngineOptions options;
  options.model_dir = ModelFolders::of(config, 11, DType::f8, "dense");
  options.cache_tokens = 2'048;
  std::atomic<int> told{0};
  {
    auto engine = Engine::open(options);
    ASSERT_TRUE(engine.ok());
    for (int i = 0; i < 20; ++i) {
      Request r;
      r.prompt = goldens::tokens(static_cast<std::uint64_t>(i), 50, config.vocab_size);
      r.params.max_tokens = 1'000;
      r.params.ignore_eos = true;
      ASSERT_TRUE((*engine)
                      ->submit(r,
                               [&](const Result<Generated>& g) {
                                 EXPECT_EQ(g->finish, Finish::cancelled);
                                 ++told;
                               })
                      .ok());
    }
  }
  EXPECT_EQ(told, 20);
}

}  // namespace
}  // namespace seedbed::engine
