// Requests computed together: each gets what it would get alone, whatever is shared, cut, put back
// or drafted on the way.
#include <gtest/gtest.h>

#include <algorithm>
#include <future>
#include <map>

#include "engine/engine.h"
#include "tests/engine/model_kit.h"

namespace seedbed::engine {
namespace {

struct Said {
  std::vector<std::int32_t> ids;
  std::vector<float> logprobs;
  std::vector<std::uint16_t> routing;
  Finish finish = Finish::length;
  friend bool operator==(const Said&, const Said&) = default;
};
Said said(const Generated& g) {
  Said out;
  for (const auto& token : g.tokens) {
    out.ids.push_back(token.id);
    out.logprobs.push_back(token.logprob);
    out.logprobs.push_back(token.raw_logprob);
    out.logprobs.push_back(token.entropy);
  }
  out.routing = g.routing.ids;
  out.finish = g.finish;
  return out;
}

class Batching : public testing::Test {
 protected:
  static ModelConfig config() { return golden_config("configs/moe.json"); }
  static EngineOptions options() {
    EngineOptions o;
    o.model_dir = ModelFolders::of(config(), 12, DType::f8, "moe");
    o.cache_tokens = 8'192;
    o.chunk = 64;
    return o;
  }
  static std::unique_ptr<Engine> open(const EngineOptions& o) {
    auto engine = Engine::open(o);
    EXPECT_TRUE(engine.ok()) << (engine.ok() ? "" : engine.error().message);
    return *std::move(engine);
  }
  // `shared` tokens that all have, then own ones.
  static Request request(std::uint64_t key, int shared, int own, int max_tokens) {
    Request r;
    r.prompt = goldens::tokens(1000, static_cast<std::size_t>(shared), config().vocab_size);
    const auto rest = goldens::tokens(key, static_cast<std::size_t>(own), config().vocab_size);
    r.prompt.insert(r.prompt.end(), rest.begin(), rest.end());
    r.params.sampling.top_p = 0.9;
    r.params.sampling.seed = 3;
    r.params.max_tokens = max_tokens;
    r.params.ignore_eos = true;
    r.params.want_routing = true;
    r.key = key;
    return r;
  }
  static std::vector<Request> mixed() {
    std::vector<Request> out;
    for (std::uint64_t k = 0; k < 32; ++k) {
      out.push_back(request(k,
                            k % 3 == 0   ? 150
                            : k % 3 == 1 ? 64
                                         : 0,
                            1 + static_cast<int>(k * 7 % 90), 4 + static_cast<int>(k % 9)));
      if (k % 5 == 0) out.back().params.sampling.frequency_penalty = 0.5;
      if (k % 7 == 0) out.back().params.sampling.temperature = 0;
    }
    out[9].prompt = out[8].prompt;  // the very same prompt, another key
    out[10].prompt = out[8].prompt;
    return out;
  }
  static std::vector<Said> alone(const std::vector<Request>& requests, EngineOptions o) {
    o.prefix_cache = false;
    o.max_batch = 1;
    o.speculative = false;
    const auto engine = open(o);
    std::vector<Said> out;
    for (const auto& r : requests) {
      auto made = engine->run(r);
      EXPECT_TRUE(made.ok());
      out.push_back(said(*made));
    }
    return out;
  }
  struct Together {
    std::vector<Said> said;
    EngineStats stats;
  };
  static Together together(const std::vector<Request>& requests, const EngineOptions& o) {
    const auto engine = open(o);
    engine->pause();  // all come at once
    std::vector<std::promise<Result<Generated>>> ends(requests.size());
    for (std::size_t i = 0; i < requests.size(); ++i) {
      EXPECT_TRUE(engine
                      ->submit(requests[i],
                               [&, i](Result<Generated> r) { ends[i].set_value(std::move(r)); })
                      .ok());
    }
    engine->resume();
    Together out;
    for (auto& end : ends) {
      auto made = end.get_future().get();
      EXPECT_TRUE(made.ok());
      out.said.push_back(said(*made));
    }
    out.stats = engine->stats();
    return out;
  }
};

TEST_F(Batching, ABatchOf32SaysWhatEachSaysAlone) {
  const auto requests = mixed();
  const auto expected = alone(requests, options());
  auto o = options();
  const auto plain = together(requests, o);
  EXPECT_EQ(plain.said, expected);
  EXPECT_EQ(plain.stats.forks, 2);
  EXPECT_GT(plain.stats.hit_tokens, 0);
  EXPECT_EQ(plain.stats.running + plain.stats.waiting, 0);
  EXPECT_EQ(plain.stats.pages_free + plain.stats.pages_cached, plain.stats.pages);
  o.chunk = 7;
  o.max_batch = 5;
  EXPECT_EQ(together(requests, o).said, expected);
  o.prefix_cache = false;
  EXPECT_EQ(together(requests, o).said, expected);
}

TEST_F(Batching, DraftsChangeNothing) {
  const auto requests = mixed();
  auto o = options();
  o.speculative = true;
  const auto drafted = together(requests, o);
  EXPECT_EQ(drafted.said, alone(requests, options()));
  EXPECT_GT(drafted.stats.drafted, 0);
  EXPECT_GT(drafted.stats.hit_tokens, 0);
}

TEST_F(Batching, WhatIsPutBackComesToTheSameEnd) {
  std::vector<Request> requests;
  for (std::uint64_t k = 0; k < 6; ++k) requests.push_back(request(k, 0, 60, 150));
  const auto expected = alone(requests, options());
  auto o = options();
  o.cache_tokens = 640;  // ten pages; each needs four
  for (const bool speculative : {false, true}) {
    o.speculative = speculative;
    const auto made = together(requests, o);
    EXPECT_EQ(made.said, expected);
    EXPECT_GT(made.stats.preemptions, 0);
    EXPECT_EQ(made.stats.pages_free + made.stats.pages_cached, made.stats.pages);
  }
}

TEST_F(Batching, ATurnBeginsWhereTheLastOneEnded) {
  for (const bool speculative : {false, true}) {
    auto o = options();
    o.speculative = speculative;
    const auto engine = open(o);
    o.prefix_cache = false;
    const auto cold = open(o);
    std::vector<std::int32_t> history;
    std::int64_t computed = 0;
    for (int turn = 0; turn < 6; ++turn) {
      auto r = request(static_cast<std::uint64_t>(turn), 0, 37, 11);
      r.prompt.insert(r.prompt.begin(), history.begin(), history.end());
      r.session = 5;
      auto warm = engine->run(r);
      ASSERT_TRUE(warm.ok());
      EXPECT_EQ(warm->cached_tokens, computed);
      EXPECT_EQ(said(*warm), said(*cold->run(r)));
      history = r.prompt;
      for (const auto& token : warm->tokens) history.push_back(token.id);
      computed = static_cast<std::int64_t>(history.size()) - 1;  // the last one is not computed
    }
    EXPECT_EQ(engine->stats().copied_pages, 0);  // the tail page goes from turn to turn
    EXPECT_EQ(engine->stats().sessions, 1);
    engine->end_session(5);
    engine->drop_prefix_cache();
    EXPECT_EQ(engine->stats().pages_free, engine->stats().pages);
  }
}

TEST_F(Batching, SixtyFourForksShareThePagesOfTheirPrompt) {
  auto o = options();
  o.cache_tokens = 64 * 1024;
  const auto engine = open(o);
  engine->pause();
  std::vector<std::future<Result<Generated>>> ends;
  std::atomic<std::int64_t> first_tokens{0};
  for (std::uint64_t k = 0; k < 64; ++k) {
    auto r = request(0, 0, 1000, 3);
    r.key = k;
    auto end = std::make_shared<std::promise<Result<Generated>>>();
    ends.push_back(end->get_future());
    ASSERT_TRUE(
        engine->submit(r, [end](Result<Generated> g) { end->set_value(std::move(g)); }).ok());
  }
  engine->resume();
  std::set<std::vector<std::int32_t>> different;
  for (auto& end : ends) {
    const auto made = end.get();
    ASSERT_TRUE(made.ok());
    different.insert(said(*made).ids);
  }
  EXPECT_GT(different.size(), 30U);
  const auto stats = engine->stats();
  EXPECT_EQ(stats.forks, 63);
  EXPECT_EQ(stats.prefill_tokens, 1000);
  EXPECT_EQ(stats.copied_pages, 63);  // one tail a fork, when it writes
}

TEST_F(Batching, AnAbortedRequestLeavesNothing) {
  const auto engine = open(options());
  std::vector<Engine::RequestId> ids;
  std::vector<std::future<Finish>> ends;
  for (std::uint64_t k = 0; k < 12; ++k) {
    auto end = std::make_shared<std::promise<Finish>>();
    ends.push_back(end->get_future());
    auto id = engine->submit(request(k / 2, 100, 30, 2000),
                             [end](Result<Generated> g) { end->set_value(g->finish); });
    ASSERT_TRUE(id.ok());
    ids.push_back(*id);
  }
  for (std::size_t i = 0; i < ids.size(); i += 2) engine->abort(ids[i]);
  for (std::size_t i = 0; i < ids.size(); i += 2) EXPECT_EQ(ends[i].get(), Finish::cancelled);
  for (std::size_t i = 1; i < ids.size(); i += 2) engine->abort(ids[i]);
  for (std::size_t i = 1; i < ids.size(); i += 2) EXPECT_EQ(ends[i].get(), Finish::cancelled);
  engine->abort(999);
  engine->drop_prefix_cache();
  const auto stats = engine->stats();
  EXPECT_EQ(stats.pages_free, stats.pages);
  EXPECT_EQ(stats.finished[static_cast<std::size_t>(Finish::cancelled)], 12);
}

TEST_F(Batching, AShortRequestDoesNotWaitForALongPrompt) {
  auto o = options();
  o.chunk = 8;
  const auto engine = open(o);
  auto longest = request(1, 0, 1'800, 2);
  auto end = std::make_shared<std::promise<void>>();
  std::atomic<bool> long_began{false};
  longest.params.on_token = [&](const TokenOut&) {
    long_began = true;
    return true;
  };
  ASSERT_TRUE(engine->submit(longest, [end](const Result<Generated>&) { end->set_value(); }).ok());
  while (engine->stats().steps < 5) std::this_thread::yield();
  for (std::uint64_t k = 0; k < 3; ++k) {
    const auto before = engine->stats().steps;
    std::int64_t at = 0;
    auto r = request(10 + k, 0, 7, 1);
    r.params.on_token = [&](const TokenOut&) {
      at = engine->stats().steps;  // as of the step before
      return true;
    };
    ASSERT_TRUE(engine->run(r).ok());
    EXPECT_LE(at - before, 2);
    EXPECT_FALSE(long_began);
  }
  end->get_future().get();
  EXPECT_TRUE(long_began);
}

TEST_F(Batching, PinnedPagesGoLast) {
  auto o = options();
  o.cache_tokens = 20 * 64;
  const auto engine = open(o);
  auto mine = request(1, 0, 300, 2);
  mine.session = 77;
  ASSERT_TRUE(engine->run(mine).ok());
  for (std::uint64_t k = 2; k < 9; ++k) ASSERT_TRUE(engine->run(request(k, 0, 300, 2)).ok());
  auto stats = engine->stats();
  EXPECT_GT(stats.evicted_pages, 0);
  EXPECT_EQ(stats.pages_pinned, 5);
  mine.prompt.push_back(3);
  EXPECT_EQ(engine->run(mine)->cached_tokens, 300);
  // Where nothing else is left, they go too.
  ASSERT_TRUE(engine->run(request(50, 0, 1270, 2)).ok());
  EXPECT_LT(engine->run(mine)->cached_tokens, 300);
}

TEST_F(Batching, NewWeightsAreSaidOnEveryTokenAndOldPagesAreNeverRead) {
  const std::string other = ModelFolders::of(config(), 99, DType::f8, "moe-other");
  for (const auto how : {Reload::interrupt, Reload::drain}) {
    const auto engine = open(options());
    std::vector<Request> requests;
    std::vector<std::future<Result<Generated>>> ends;
    std::atomic<int> tokens{0};
    for (std::uint64_t k = 0; k < 32; ++k) {
      requests.push_back(request(k, 100, 20, 60));
      auto r = requests.back();
      r.params.on_token = [&](const TokenOut&) {
        ++tokens;
        return true;
      };
      auto end = std::make_shared<std::promise<Result<Generated>>>();
      ends.push_back(end->get_future());
      ASSERT_TRUE(
          engine->submit(std::move(r), [end](Result<Generated> g) { end->set_value(std::move(g)); })
              .ok());
    }
    while (tokens < 200) std::this_thread::yield();
    const std::string before = engine->policy_version();
    ASSERT_FALSE(engine->reload(other, how));
    EXPECT_NE(engine->policy_version(), before);
    EXPECT_EQ(engine->policy(), 2);
    auto o = options();
    o.prefix_cache = false;
    const auto old_engine = open(o);
    o.model_dir = other;
    const auto new_engine = open(o);
    int mixed = 0;
    for (std::size_t i = 0; i < ends.size(); ++i) {
      const auto made = ends[i].get();
      ASSERT_TRUE(made.ok());
      ASSERT_EQ(made->tokens.size(), 60U);
      const auto switched = std::find_if(made->tokens.begin(), made->tokens.end(),
                                         [](const TokenOut& t) { return t.policy == 2; });
      const auto old_count = switched - made->tokens.begin();
      EXPECT_TRUE(std::all_of(switched, made->tokens.end(),
                              [](const TokenOut& t) { return t.policy == 2; }));
      mixed += old_count > 0 && old_count < 60 ? 1 : 0;
      if (i % 4 != 0) continue;
      // Before: what the old weights say. After: what the new ones say to the same tokens.
      auto r = requests[i];
      if (old_count > 0) {
        r.params.max_tokens = static_cast<int>(old_count);
        const auto expected = old_engine->run(r);
        for (std::size_t t = 0; t < static_cast<std::size_t>(old_count); ++t)
          EXPECT_EQ(made->tokens[t].logprob, expected->tokens[t].logprob);
      }
      if (old_count == 60) continue;
      r.params.max_tokens = 60 - static_cast<int>(old_count);
      for (std::size_t t = 0; t < static_cast<std::size_t>(old_count); ++t)
        r.prompt.push_back(made->tokens[t].id);
      const auto expected = new_engine->run(r);
      for (std::size_t t = static_cast<std::size_t>(old_count); t < 60; ++t) {
        EXPECT_EQ(made->tokens[t].id, expected->tokens[t - static_cast<std::size_t>(old_count)].id);
        EXPECT_EQ(made->tokens[t].logprob,
                  expected->tokens[t - static_cast<std::size_t>(old_count)].logprob);
      }
    }
    if (how == Reload::interrupt) {
      EXPECT_GT(mixed, 0);
    } else {
      EXPECT_EQ(mixed, 0);
    }
    // A prompt that the old weights had in pages is read anew.
    auto again = requests[0];
    again.key = 1234;
    EXPECT_EQ(said(*engine->run(again)), said(*new_engine->run(again)));
  }
}

TEST_F(Batching, WeightsOfAnotherShapeAreRefusedAndTheOldOnesStay) {
  const auto engine = open(options());
  const auto expected = said(*engine->run(request(1, 0, 30, 5)));
  const auto dense = ModelFolders::of(golden_config("configs/dense.json"), 11, DType::f8, "dense");
  const auto refused = engine->reload(dense, Reload::interrupt);
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->where, Where::model);
  ASSERT_TRUE(engine->reload("/nonexistent", Reload::drain));
  EXPECT_EQ(engine->policy(), 1);
  EXPECT_EQ(said(*engine->run(request(1, 0, 30, 5))), expected);
}

TEST_F(Batching, PriorityGoesFirstAndNobodyStarves) {
  auto o = options();
  o.max_batch = 1;
  const auto engine = open(o);
  engine->pause();
  std::vector<int> order;
  std::vector<std::future<void>> ends;
  for (int i = 0; i < 100; ++i) {
    auto r = request(static_cast<std::uint64_t>(i), 0, 10, 1);
    r.priority = i == 0 ? -1 : i % 3;
    auto end = std::make_shared<std::promise<void>>();
    ends.push_back(end->get_future());
    ASSERT_TRUE(engine
                    ->submit(std::move(r),
                             [&order, end, i](const Result<Generated>&) {
                               order.push_back(i);  // the engine's thread alone
                               end->set_value();
                             })
                    .ok());
  }
  engine->resume();
  for (auto& end : ends) end.get();
  EXPECT_EQ(order.front() % 3, 2);
  // The first to come has the lowest priority: it waits for 64 others, not for all.
  const auto at = std::find(order.begin(), order.end(), 0) - order.begin();
  EXPECT_EQ(at, 64);
}

}  // namespace
}  // namespace seedbed::engine
