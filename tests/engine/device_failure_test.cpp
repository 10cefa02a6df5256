// A device that has no room, or that is lost: who is told what, and who goes on.
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "tests/engine/device_kit.h"

namespace seedbed::engine::kit {
namespace {

const Kind kMoe = {"moe", DType::f8, DType::f8};
ModelConfig config() {
  return golden_config("configs/moe.json");
}
Said on_the_host(const Request& r) {
  static const auto engine = opened(options_of(kMoe, nullptr));
  return said(*engine->run(r));
}
void expect_four_parts(const std::string& message) {
  EXPECT_NE(message.find('\''), std::string::npos) << "where is missing: " << message;
  EXPECT_NE(message.find("': "), std::string::npos) << "what was found is missing: " << message;
  EXPECT_NE(message.find("; "), std::string::npos) << "what to do is missing: " << message;
}

TEST(DeviceMemory, AnEngineThatHasNoRoomIsNotOpenedAndLeavesNothing) {
  std::int64_t needed = 0;
  {
    const auto device = std::make_shared<FakeDevice>();
    const auto engine = opened(options_of(kMoe, device));
    needed = device->counts().bytes;
    EXPECT_GT(needed, 0);
  }
  for (const std::int64_t limit : {std::int64_t{1}, needed / 20, needed / 4, needed / 2,
                                   needed * 3 / 4, needed * 9 / 10, needed - 1}) {
    const auto device = std::make_shared<FakeDevice>(FakeOptions{.limit_bytes = limit});
    const auto engine = Engine::open(options_of(kMoe, device));
    ASSERT_FALSE(engine.ok()) << limit << " of " << needed;
    EXPECT_EQ(engine.error().where, Where::config);
    expect_four_parts(engine.error().message);
    EXPECT_EQ(device->counts().bytes, 0) << engine.error().message;
  }
  const auto device = std::make_shared<FakeDevice>(FakeOptions{.limit_bytes = needed});
  const auto engine = opened(options_of(kMoe, device));
  ASSERT_TRUE(engine);
  const auto r = request(config(), 1, 0, 80, 9);
  EXPECT_EQ(said(*engine->run(r)), on_the_host(r));
}

// As many pages as there is room for.
TEST(DeviceMemory, TheCacheTakesWhatIsLeft) {
  auto o = options_of(kMoe, std::make_shared<FakeDevice>(
                                FakeOptions{.limit_bytes = 24 << 20, .reserve_bytes = 64 << 20}));
  o.cache_tokens = 0;
  const auto engine = opened(o);
  ASSERT_TRUE(engine);
  EXPECT_GT(engine->cache_tokens(), 2'560);
  const auto r = request(config(), 1, 0, 80, 9);
  EXPECT_EQ(said(*engine->run(r)), on_the_host(r));
}

// From here on there is not one byte more. What still fits gets its bits; what does not is told so.
TEST(DeviceMemory, ARequestForWhichThereIsNoRoomIsRefusedAndOthersGoOn) {
  const auto device = std::make_shared<FakeDevice>();
  const auto engine = opened(options_of(kMoe, device));
  ASSERT_TRUE(engine);
  const auto small = request(config(), 1, 0, 80, 60);
  ASSERT_TRUE(engine->run(request(config(), 2, 0, 4, 2)).ok());
  device->set_limit(device->counts().bytes);
  std::vector<Request> heavy;
  for (std::uint64_t k = 0; k < 4; ++k) heavy.push_back(request(config(), 10 + k, 0, 1'200, 9));
  heavy[1].params.sampling.top_logprobs = 20;
  heavy[2].params.want_selection = true;
  for (std::int32_t id = 0; id < 60; ++id) heavy[3].params.sampling.bias.emplace_back(id, 0.5F);
  std::promise<Result<Generated>> beside;
  ASSERT_TRUE(
      engine->submit(small, [&](Result<Generated> g) { beside.set_value(std::move(g)); }).ok());
  for (const auto& r : heavy) {
    auto made = engine->run(r);
    if (made.ok()) {
      EXPECT_EQ(said(*made), on_the_host(r));
    } else {
      expect_four_parts(made.error().message);
    }
  }
  auto made = beside.get_future().get();
  ASSERT_TRUE(made.ok()) << made.error().message;
  EXPECT_EQ(said(*made), on_the_host(small));
  auto again = small;
  again.key = 77;
  made = engine->run(again);
  ASSERT_TRUE(made.ok()) << made.error().message;
  EXPECT_EQ(said(*made), on_the_host(again));
}

// New weights beside the old ones may not fit: the old ones stay.
TEST(DeviceMemory, WeightsThatHaveNoRoomAreRefusedAndTheOldOnesStay) {
  const auto device = std::make_shared<FakeDevice>();
  const auto engine = opened(options_of(kMoe, device));
  ASSERT_TRUE(engine);
  const auto r = request(config(), 1, 0, 80, 9);
  const auto first = said(*engine->run(r));
  device->set_limit(device->counts().bytes);
  const auto error =
      engine->reload(ModelFolders::of(config(), 99, DType::f8, "moe-other"), Reload::interrupt);
  if (error) {
    expect_four_parts(error->message);
    EXPECT_EQ(engine->policy(), 1);
    EXPECT_EQ(said(*engine->run(r)), first);
  } else {
    EXPECT_NE(said(*engine->run(r)), first);
  }
  EXPECT_EQ(device->counts().bytes, device->counts().bytes + device->free_bytes());
}

class LostDevice : public testing::TestWithParam<FakeDevice::Failure> {};

TEST_P(LostDevice, EveryRequestIsToldAndAnotherEngineGoesOn) {
  const auto device = std::make_shared<FakeDevice>();
  const auto engine = opened(options_of(kMoe, device)),
             other = opened(options_of(kMoe, std::make_shared<FakeDevice>()));
  ASSERT_TRUE(engine && other);
  std::vector<std::future<Result<Generated>>> ends;
  std::atomic<int> tokens{0};
  for (std::uint64_t k = 0; k < 20; ++k) {  // sixteen run, four wait
    auto r = request(config(), k, 0, 20, 2'000);
    r.params.on_token = [&](const TokenOut&) {
      ++tokens;
      return true;
    };
    auto end = std::make_shared<std::promise<Result<Generated>>>();
    ends.push_back(end->get_future());
    ASSERT_TRUE(
        engine->submit(r, [end](Result<Generated> g) { end->set_value(std::move(g)); }).ok());
  }
  while (tokens < 200) std::this_thread::yield();
  device->fail_after(70, GetParam());
  for (auto& end : ends) {
    const auto made = end.get();
    ASSERT_FALSE(made.ok());
    EXPECT_NE(made.error().message.find("device"), std::string::npos) << made.error().message;
    EXPECT_NE(made.error().message.find("unspecified launch failure"), std::string::npos)
        << made.error().message;
    expect_four_parts(made.error().message);
  }
  const auto refused =
      engine->submit(request(config(), 1, 0, 9, 9), [](const Result<Generated>&) {});
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.error().message.find("device"), std::string::npos) << refused.error().message;
  EXPECT_FALSE(engine->run(request(config(), 1, 0, 9, 9)).ok());
  EXPECT_TRUE(engine->reload(
      engine->config().num_hidden_layers > 0 ? options_of(kMoe, nullptr).model_dir : "",
      Reload::drain));
  EXPECT_EQ(engine->stats().running + engine->stats().waiting, 0);
  const auto r = request(config(), 1, 0, 80, 9);
  EXPECT_EQ(said(*other->run(r)), on_the_host(r));
}

// New weights that were on their way are refused, and nobody waits for them.
TEST_P(LostDevice, WhileNewWeightsComeTheyAreRefused) {
  const std::string other = ModelFolders::of(config(), 99, DType::f8, "moe-other");
  for (const int n : {1, 20, 60, 90, 200}) {
    const auto device = std::make_shared<FakeDevice>();
    const auto engine = opened(options_of(kMoe, device));
    ASSERT_TRUE(engine);
    std::promise<bool> running, end;
    std::atomic<bool> began{false};
    auto r = request(config(), 1, 0, 60, 2'000);
    r.params.on_token = [&](const TokenOut&) {
      if (!began.exchange(true)) running.set_value(true);
      return true;
    };
    ASSERT_TRUE(
        engine->submit(std::move(r), [&](const Result<Generated>& g) { end.set_value(g.ok()); })
            .ok());
    running.get_future().get();
    device->fail_after(n, GetParam());
    auto reloaded = std::async(std::launch::async, [&] {
      return engine->reload(other, n % 3 == 0 ? Reload::drain : Reload::interrupt).has_value();
    });
    ASSERT_EQ(reloaded.wait_for(std::chrono::seconds(60)), std::future_status::ready)
        << "it waits for ever";
    reloaded.get();  // it may have been done before the loss
    EXPECT_FALSE(end.get_future().get());
    EXPECT_TRUE(engine->reload(other, Reload::interrupt));
  }
}

// Wherever in its first steps it goes, nothing hangs and nothing ends the process.
TEST_P(LostDevice, MayBeLostAtAnyOp) {
  for (const int n : {1, 2, 3, 5, 9, 17, 40, 41, 42, 43, 90, 150, 300, 500}) {
    const auto device = std::make_shared<FakeDevice>();
    auto o = options_of(kMoe, device);
    o.speculative = n % 2 == 1;
    const auto engine = opened(o);
    ASSERT_TRUE(engine);
    device->fail_after(n, GetParam());
    const auto made = engine->run(request(config(), 1, 0, 60, 500));
    ASSERT_FALSE(made.ok()) << n;
    EXPECT_NE(made.error().message.find("device"), std::string::npos) << made.error().message;
  }
}

INSTANTIATE_TEST_SUITE_P(Told,
                         LostDevice,
                         testing::Values(FakeDevice::Failure::at_once, FakeDevice::Failure::late),
                         [](const auto& of) {
                           return of.param == FakeDevice::Failure::late ? "later" : "at_once";
                         });

}  // namespace
}  // namespace seedbed::engine::kit
