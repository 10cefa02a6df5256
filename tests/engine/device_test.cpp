// The engine on a device whose memory the host cannot reach: the bits of the host, whatever is
// computed, shared, cut, put back or drafted, with steps recorded and without.
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "tests/engine/device_kit.h"

namespace seedbed::engine::kit {
namespace {

const std::vector<Kind> kKinds = {
    {"moe", DType::f32, DType::f32},        {"groups", DType::bf16, DType::bf16},
    {"moe", DType::f8, DType::f8},          {"ragged", DType::f8, DType::f8},
    {"glm", DType::f8, DType::f8},          {"narrow_topk", DType::bf16, DType::f8},
    {"fp8_two", DType::f8, DType::bf16},    {"dense", DType::f32, DType::f8},
    {"wide_topk", DType::f32, DType::bf16},
};

class OnADevice : public testing::TestWithParam<Kind> {};

TEST_P(OnADevice, EveryRequestGetsTheBitsOfTheHost) {
  auto o = options_of(GetParam(), nullptr);
  const ModelConfig config = golden_config("configs/" + GetParam().config + ".json");
  for (const bool selections : {true, false}) {
    o.model.device = nullptr;
    o.speculative = false;
    const auto host = together(o, mixed_requests(config, selections));
    const auto device = std::make_shared<FakeDevice>();
    o.model.device = device;
    const auto recorded = together(o, mixed_requests(config, selections));
    EXPECT_EQ(recorded.said, host.said);
    EXPECT_EQ(device->counts().plays > 0, !selections);
    EXPECT_EQ(device->counts().bytes, 0);
    const auto plain = std::make_shared<FakeDevice>(FakeOptions{.records = false});
    o.model.device = plain;
    EXPECT_EQ(together(o, mixed_requests(config, selections)).said, host.said);
    EXPECT_EQ(plain->counts().plays, 0);
    const auto chaining = std::make_shared<FakeDevice>(FakeOptions{.chains = true});
    o.model.device = chaining;
    EXPECT_EQ(together(o, mixed_requests(config, selections)).said, host.said);
    EXPECT_GT(chaining->counts().chains, 0);
    EXPECT_EQ(device->counts().chains, 0);
    if (config.num_nextn_predict_layers == 0) continue;
    o.speculative = true;
    o.model.device = std::make_shared<FakeDevice>();
    const auto drafted = together(o, mixed_requests(config, selections));
    EXPECT_EQ(drafted.said, host.said);
    EXPECT_GT(drafted.stats.drafted, 0);
  }
}

INSTANTIATE_TEST_SUITE_P(Models, OnADevice, testing::ValuesIn(kKinds), kind_name);

class DeviceCache : public testing::Test {
 protected:
  static const Kind& kind() {
    static const Kind the = {"moe", DType::f8, DType::f8};
    return the;
  }
  static ModelConfig config() { return golden_config("configs/moe.json"); }
};

// Turns of a conversation, the same prompt for many, pages given up and sequences put back.
TEST_F(DeviceCache, WhatIsFoundCopiedAndPutBackHasTheBitsOfTheHost) {
  for (const bool speculative : {false, true}) {
    std::vector<Said> all[2];
    EngineStats stats[2];
    for (const int where : {0, 1}) {
      auto o = options_of(kind(), where == 0 ? nullptr : std::make_shared<FakeDevice>());
      o.cache_tokens = 640;  // ten pages
      o.speculative = speculative;
      const auto engine = opened(o);
      ASSERT_TRUE(engine);
      std::vector<std::int32_t> history;
      for (int turn = 0; turn < 5; ++turn) {
        auto r = request(config(), static_cast<std::uint64_t>(turn), 0, 37, 11);
        r.prompt.insert(r.prompt.begin(), history.begin(), history.end());
        r.session = 5;
        const auto made = engine->run(r);
        ASSERT_TRUE(made.ok());
        all[where].push_back(said(*made));
        EXPECT_EQ(made->cached_tokens > 0, turn > 0);
        history = r.prompt;
        for (const auto& token : made->tokens) history.push_back(token.id);
      }
      std::vector<Request> forks(5, request(config(), 0, 0, 100, 5));
      for (std::size_t k = 0; k < forks.size(); ++k) forks[k].key = k;
      std::vector<Request> many;
      for (std::uint64_t k = 0; k < 6; ++k) many.push_back(request(config(), k, 0, 60, 150));
      for (const auto& requests : {forks, many}) {
        auto made = together(*engine, requests);
        all[where].insert(all[where].end(), made.said.begin(), made.said.end());
        stats[where] = made.stats;
      }
      EXPECT_GT(stats[where].copied_pages, 0);
      EXPECT_GT(stats[where].preemptions, 0);
      EXPECT_GT(stats[where].evicted_pages, 0);
    }
    EXPECT_EQ(all[0], all[1]);
    EXPECT_EQ(stats[0].copied_pages, stats[1].copied_pages);
    EXPECT_EQ(stats[0].preemptions, stats[1].preemptions);
  }
}

TEST_F(DeviceCache, NewWeightsTakeThePlaceOfTheOldOnes) {
  const auto device = std::make_shared<FakeDevice>();
  const auto o = options_of(kind(), device);
  const std::string other = ModelFolders::of(config(), 99, DType::f8, "moe-other");
  auto p = o;
  p.model.device = nullptr;
  const auto first = said(*opened(p)->run(request(config(), 1, 0, 80, 9)));
  p.model_dir = other;
  const auto second = said(*opened(p)->run(request(config(), 1, 0, 80, 9)));
  EXPECT_NE(first, second);
  const auto engine = opened(o);
  std::int64_t bytes = 0;
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(said(*engine->run(request(config(), 1, 0, 80, 9))), first);
    ASSERT_FALSE(engine->reload(other, Reload::interrupt));
    EXPECT_EQ(said(*engine->run(request(config(), 1, 0, 80, 9))), second);
    ASSERT_FALSE(engine->reload(o.model_dir, Reload::drain));
    if (i == 0) bytes = device->counts().bytes;
    EXPECT_LE(device->counts().bytes, bytes) << "what the old weights held is free again";
  }
}

// While others run: the device is used by one thread at a time.
TEST_F(DeviceCache, NewWeightsComeWhileRequestsRun) {
  const auto device = std::make_shared<FakeDevice>();
  const auto o = options_of(kind(), device);
  const std::string other = ModelFolders::of(config(), 99, DType::f8, "moe-other");
  const auto dense = ModelFolders::of(golden_config("configs/dense.json"), 11, DType::f8, "dense");
  const auto engine = opened(o);
  std::vector<std::future<Result<Generated>>> ends;
  std::atomic<int> tokens{0};
  for (std::uint64_t k = 0; k < 12; ++k) {
    auto r = request(config(), k, 50, 20, 200);
    r.params.on_token = [&](const TokenOut&) {
      ++tokens;
      return true;
    };
    auto end = std::make_shared<std::promise<Result<Generated>>>();
    ends.push_back(end->get_future());
    ASSERT_TRUE(
        engine->submit(r, [end](Result<Generated> g) { end->set_value(std::move(g)); }).ok());
  }
  while (tokens < 100) std::this_thread::yield();
  EXPECT_TRUE(engine->reload(dense, Reload::interrupt)) << "of another shape";
  ASSERT_FALSE(engine->reload(other, Reload::interrupt));
  ASSERT_FALSE(engine->reload(o.model_dir, Reload::interrupt));
  ASSERT_FALSE(engine->reload(other, Reload::drain));
  for (auto& end : ends) {
    const auto made = end.get();
    ASSERT_TRUE(made.ok()) << made.error().message;
    EXPECT_EQ(made->tokens.size(), 200U);
  }
  auto p = o;
  p.model.device = nullptr;
  p.model_dir = other;
  const auto r = request(config(), 1, 50, 20, 9);
  EXPECT_EQ(said(*engine->run(r)), said(*opened(p)->run(r)));
}

// A step in the steady state takes no memory, and its ops are played.
TEST_F(DeviceCache, DecodingAllocatesNothingOnceItIsWarm) {
  const auto device = std::make_shared<FakeDevice>();
  auto o = options_of(kind(), device);
  const auto engine = opened(o);
  FakeDevice::Counts early, late;
  int tokens = 0;
  auto r = request(config(), 1, 0, 50, 300);
  r.params.on_token = [&](const TokenOut&) {
    ++tokens;
    if (tokens == 60) early = device->counts();
    if (tokens == 260) late = device->counts();
    return true;
  };
  ASSERT_TRUE(engine->run(r).ok());
  EXPECT_EQ(late.allocations, early.allocations);
  EXPECT_EQ(late.bytes, early.bytes);
  EXPECT_GE(late.plays - early.plays, 190) << "of 200 steps";
}

TEST_F(DeviceCache, TwoEnginesOfOneProcessDoNotMeet) {
  const Kind kinds[2] = {kind(), {"groups", DType::bf16, DType::bf16}};
  std::vector<Said> alone[2], at_once[2];
  for (const int i : {0, 1})
    alone[i] = together(options_of(kinds[i], std::make_shared<FakeDevice>()),
                        mixed_requests(golden_config("configs/" + kinds[i].config + ".json")))
                   .said;
  const std::unique_ptr<Engine> engines[2] = {
      opened(options_of(kinds[0], std::make_shared<FakeDevice>())),
      opened(options_of(kinds[1], std::make_shared<FakeDevice>()))};
  std::vector<std::thread> threads;
  for (const int i : {0, 1})
    threads.emplace_back(
        [&, i] { at_once[i] = together(*engines[i], mixed_requests(engines[i]->config())).said; });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(at_once[0], alone[0]);
  EXPECT_EQ(at_once[1], alone[1]);
}

}  // namespace
}  // namespace seedbed::engine::kit
