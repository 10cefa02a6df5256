// A small cache with a host tier says what a big cache says, bit for bit, and computes no token of
// a prompt that a big one would not.
#include <gtest/gtest.h>

#include <future>

#include "engine/engine.h"
#include "tests/engine/model_kit.h"

namespace seedbed::engine {
namespace {

struct Said {
  std::vector<std::int32_t> ids;
  std::vector<float> numbers;
  std::vector<std::uint16_t> routing;
  Finish finish = Finish::length;
  friend bool operator==(const Said&, const Said&) = default;
};
Said said(const Generated& g) {
  Said out;
  for (const auto& token : g.tokens) {
    out.ids.push_back(token.id);
    for (const float n : {token.logprob, token.raw_logprob, token.entropy})
      out.numbers.push_back(n);
  }
  out.routing = g.routing.ids;
  out.finish = g.finish;
  return out;
}

class HostTier : public testing::Test {
 protected:
  static ModelConfig config() { return golden_config("configs/moe.json"); }
  static EngineOptions options(std::int64_t pages, std::int64_t host_pages, DType kv = DType::f8) {
    EngineOptions o;
    o.model_dir = ModelFolders::of(config(), 12, DType::f8, "moe");
    o.kv_dtype = kv;
    o.cache_tokens = pages * 64;
    o.host_cache_tokens = host_pages * 64;
    o.chunk = 64;
    return o;
  }
  static std::unique_ptr<Engine> open(const EngineOptions& o) {
    auto engine = Engine::open(o);
    EXPECT_TRUE(engine.ok()) << (engine.ok() ? "" : engine.error().message);
    return *std::move(engine);
  }
  static Request request(std::uint64_t key, int length, int max_tokens) {
    Request r;
    r.prompt = goldens::tokens(key, length, config().vocab_size);
    r.params.sampling.seed = 3;
    r.params.max_tokens = max_tokens;
    r.params.ignore_eos = true;
    r.params.want_routing = true;
    r.key = key;
    return r;
  }

  struct Told {
    std::vector<Said> said;
    std::vector<std::int64_t> cached;
    EngineStats stats;
  };
  // Conversations turn by turn, in turn: by the time one goes on, the others had the cache.
  static Told conversations(const EngineOptions& o, bool sessions, int count = 4, int turns = 5) {
    const auto engine = open(o);
    std::vector<std::vector<std::int32_t>> history(static_cast<std::size_t>(count));
    Told out;
    for (int turn = 0; turn < turns; ++turn)
      for (int k = 0; k < count; ++k) {
        auto& before = history[static_cast<std::size_t>(k)];
        auto r = request(static_cast<std::uint64_t>(100 * k + turn), 20 + 13 * k, 15 + turn);
        r.prompt.insert(r.prompt.begin(), before.begin(), before.end());
        if (sessions) r.session = static_cast<std::uint64_t>(k) + 1;
        const auto made = engine->run(r);
        EXPECT_TRUE(made.ok());
        out.said.push_back(said(*made));
        out.cached.push_back(made->cached_tokens);
        before = r.prompt;
        for (const auto& token : made->tokens) before.push_back(token.id);
      }
    out.stats = engine->stats();
    return out;
  }
  static Told together(const std::vector<Request>& requests, const EngineOptions& o) {
    const auto engine = open(o);
    engine->pause();  // all come at once
    std::vector<std::promise<Result<Generated>>> ends(requests.size());
    for (std::size_t i = 0; i < requests.size(); ++i)
      EXPECT_TRUE(engine
                      ->submit(requests[i],
                               [&, i](Result<Generated> r) { ends[i].set_value(std::move(r)); })
                      .ok());
    engine->resume();
    Told out;
    for (auto& end : ends) {
      const auto made = end.get_future().get();
      EXPECT_TRUE(made.ok());
      out.said.push_back(said(*made));
    }
    out.stats = engine->stats();
    return out;
  }
};

constexpr std::int64_t kBig = 200, kSmall = 6;  // pages; the longest conversation has six

TEST_F(HostTier, ASmallCacheWithATierSaysAndComputesWhatABigOneDoes) {
  struct Case {
    DType kv;
    bool speculative, sessions;
  };
  for (const auto& [kv, speculative, sessions] :
       {Case{DType::f8, false, true}, Case{DType::f8, true, false}, Case{DType::bf16, false, false},
        Case{DType::f32, false, false}, Case{DType::f32, true, true}}) {
    auto o = options(kBig, 0, kv);
    o.speculative = speculative;
    const Told big = conversations(o, sessions);
    EXPECT_EQ(big.stats.evicted_pages + big.stats.spilled_pages, 0);
    o.cache_tokens = kSmall * 64;
    o.host_cache_tokens = kBig * 64;
    const Told tiered = conversations(o, sessions);
    EXPECT_EQ(tiered.said, big.said);
    EXPECT_EQ(tiered.cached, big.cached);
    EXPECT_EQ(tiered.stats.prefill_tokens, big.stats.prefill_tokens);
    EXPECT_EQ(tiered.stats.hit_tokens, big.stats.hit_tokens);
    EXPECT_GT(tiered.stats.spilled_pages, 10);
    EXPECT_GT(tiered.stats.restored_pages, 10);
    EXPECT_EQ(tiered.stats.evicted_pages, 0);
    EXPECT_EQ(tiered.stats.host_pages, kBig);
    EXPECT_GT(tiered.stats.host_pages_used, 0);
    EXPECT_EQ(tiered.stats.pages_free + tiered.stats.pages_cached, kSmall);
    // Without the tier the same is said, and much is computed again.
    o.host_cache_tokens = 0;
    const Told small = conversations(o, sessions);
    EXPECT_EQ(small.said, big.said);
    EXPECT_GT(small.stats.prefill_tokens, big.stats.prefill_tokens);
    EXPECT_EQ(small.stats.spilled_pages + small.stats.restored_pages, 0);
    EXPECT_EQ(small.stats.host_pages + small.stats.host_pages_used, 0);
  }
}

TEST_F(HostTier, ATierOfAnySizeChangesNoToken) {
  const Told big = conversations(options(kBig, 0), true);
  std::int64_t before = big.stats.prompt_tokens;
  for (const std::int64_t host_pages : {0, 1, 2, 5, 12, 40}) {
    auto o = options(kSmall, host_pages);
    if (host_pages == 1) o.host_cache_tokens = 1;  // a page all the same
    const Told tiered = conversations(o, true);
    EXPECT_EQ(tiered.said, big.said) << host_pages;
    EXPECT_EQ(tiered.stats.host_pages, host_pages);
    EXPECT_LE(tiered.stats.host_pages_used, host_pages);
    EXPECT_EQ(tiered.stats.spilled_pages > 0, host_pages > 0);
    EXPECT_LE(tiered.stats.prefill_tokens, before) << host_pages;  // more room, less to compute
    before = tiered.stats.prefill_tokens;
  }
  EXPECT_EQ(before, big.stats.prefill_tokens);
}

TEST_F(HostTier, WhatIsPutBackIsNotComputedAgain) {
  std::vector<Request> requests;
  for (std::uint64_t k = 0; k < 6; ++k) requests.push_back(request(k, 60, 150));
  for (const DType kv : {DType::f8, DType::f32})
    for (const bool speculative : {false, true}) {
      auto o = options(kBig, 0, kv);
      o.speculative = speculative;
      const Told big = together(requests, o);
      EXPECT_EQ(big.stats.preemptions, 0);
      o.cache_tokens = 640;  // ten pages; each needs four
      const Told small = together(requests, o);
      o.host_cache_tokens = kBig * 64;
      const Told tiered = together(requests, o);
      for (const Told* one : {&small, &tiered}) {
        EXPECT_EQ(one->said, big.said);
        EXPECT_GT(one->stats.preemptions, 0);
        EXPECT_EQ(one->stats.pages_free + one->stats.pages_cached, one->stats.pages);
      }
      EXPECT_GT(small.stats.recomputed_tokens, 0);
      EXPECT_EQ(tiered.stats.recomputed_tokens, 0);
      EXPECT_EQ(tiered.stats.prefill_tokens, big.stats.prefill_tokens);
      EXPECT_GT(tiered.stats.restored_pages, 0);
    }
}

TEST_F(HostTier, ManyAtOnceWithSharedPrefixesAndForks) {
  std::vector<Request> requests;
  for (std::uint64_t k = 0; k < 24; ++k) {
    auto r = request(k, 10 + static_cast<int>(k * 11 % 90), 5 + static_cast<int>(k % 30));
    const auto shared = goldens::tokens(1'000 + k % 3, k % 2 == 0 ? 150 : 70, config().vocab_size);
    r.prompt.insert(r.prompt.begin(), shared.begin(), shared.end());
    if (k % 4 == 0) r.session = 1 + k % 5;
    requests.push_back(r);
  }
  requests[7].prompt = requests[6].prompt;
  requests[13].prompt = requests[6].prompt;
  const Told big = together(requests, options(kBig, 0));
  for (const bool speculative : {false, true})
    for (const std::int64_t host_pages : {0, 3, 200}) {
      auto o = options(9, host_pages);
      o.speculative = speculative;
      o.chunk = 33;
      const Told tiered = together(requests, o);
      EXPECT_EQ(tiered.said, big.said) << host_pages;
      EXPECT_GT(tiered.stats.spilled_pages + tiered.stats.evicted_pages, 0);
      EXPECT_EQ(tiered.stats.pages_free + tiered.stats.pages_cached, tiered.stats.pages);
    }
}

TEST_F(HostTier, PinnedPagesStayWhenTheTierIsFullOfOthers) {
  const auto engine = open(options(6, 6));
  auto mine = request(1, 300, 2);
  mine.session = 77;
  ASSERT_TRUE(engine->run(mine).ok());
  for (std::uint64_t k = 2; k < 12; ++k) ASSERT_TRUE(engine->run(request(k, 300, 2)).ok());
  auto stats = engine->stats();
  EXPECT_GT(stats.evicted_pages, 0);
  EXPECT_EQ(stats.sessions, 1);
  mine.prompt.push_back(3);
  EXPECT_EQ(engine->run(mine)->cached_tokens, 300);
  // A session that ended has no claim.
  engine->end_session(77);
  for (std::uint64_t k = 2; k < 12; ++k) ASSERT_TRUE(engine->run(request(k, 300, 2)).ok());
  EXPECT_EQ(engine->run(mine)->cached_tokens, 0);
  engine->drop_prefix_cache();
  stats = engine->stats();
  EXPECT_EQ(stats.host_pages_used, 0);
  EXPECT_EQ(stats.pages_free, stats.pages);
}

TEST_F(HostTier, NewWeightsMeetNoOldPages) {
  const std::string other = ModelFolders::of(config(), 99, DType::f8, "moe-other");
  for (const auto how : {Reload::interrupt, Reload::drain}) {
    const auto engine = open(options(kSmall, kBig));
    std::vector<Said> old;
    for (std::uint64_t k = 0; k < 5; ++k) old.push_back(said(*engine->run(request(k, 250, 9))));
    EXPECT_GT(engine->stats().host_pages_used, 0);
    ASSERT_FALSE(engine->reload(other, how));
    EXPECT_EQ(engine->stats().host_pages_used, 0);
    EXPECT_EQ(engine->stats().pages_free, kSmall);
    auto o = options(kBig, 0);
    o.model_dir = other;
    const auto fresh = open(o);
    for (std::uint64_t k = 0; k < 5; ++k) {
      const auto made = engine->run(request(k, 250, 9));
      ASSERT_TRUE(made.ok());
      EXPECT_EQ(made->cached_tokens, 0);
      EXPECT_EQ(said(*made), said(*fresh->run(request(k, 250, 9))));
      EXPECT_NE(said(*made), old[k]);
    }
    // And back: what the tier keeps now is of the weights in use.
    for (std::uint64_t k = 0; k < 5; ++k)
      EXPECT_EQ(engine->run(request(k, 250, 9))->cached_tokens, 249);
  }
}

TEST_F(HostTier, ATierThatCannotBeIsRefused) {
  auto o = options(kSmall, (std::int64_t{1} << 24) + 1);
  const auto refused = Engine::open(o);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().where, Where::usage);
  EXPECT_NE(refused.error().message.find("host_cache_tokens"), std::string::npos);
  o.prefix_cache = false;  // nothing would be kept
  o.host_cache_tokens = 640;
  EXPECT_EQ(open(o)->stats().host_pages, 0);
}

}  // namespace
}  // namespace seedbed::engine
