// Pages that a device gives up go to the host's memory and come back, by one copy each way, with
// the bits of a cache that never was full.
#include <gtest/gtest.h>

#include "tests/engine/device_kit.h"

namespace seedbed::engine::kit {
namespace {

TEST(DeviceTier, SpilledPagesComeBackWithTheirBits) {
  const Kind kind = {"moe", DType::f8, DType::f8};
  const ModelConfig config = golden_config("configs/moe.json");
  std::vector<Said> all[2];
  for (const bool tiered : {false, true}) {
    auto o = options_of(kind, tiered ? std::make_shared<FakeDevice>() : nullptr);
    if (tiered) {
      o.cache_tokens = 448;  // seven pages
      o.host_cache_tokens = 8'192;
    }
    const auto engine = opened(o);
    ASSERT_TRUE(engine);
    // Three conversations by turns: each pushes the others' pages out.
    std::vector<std::vector<std::int32_t>> histories(3);
    for (int turn = 0; turn < 9; ++turn) {
      auto& history = histories[static_cast<std::size_t>(turn % 3)];
      auto r = request(config, static_cast<std::uint64_t>(turn), 0, 70, 9);
      r.prompt.insert(r.prompt.begin(), history.begin(), history.end());
      const auto made = engine->run(r);
      ASSERT_TRUE(made.ok()) << made.error().message;
      all[tiered ? 1 : 0].push_back(said(*made));
      EXPECT_EQ(made->cached_tokens > 0, turn >= 3) << turn;
      history = r.prompt;
      for (const auto& token : made->tokens) history.push_back(token.id);
    }
    EXPECT_EQ(engine->stats().restored_pages > 0, tiered);
    EXPECT_EQ(engine->stats().spilled_pages > 0, tiered);
  }
  EXPECT_EQ(all[0], all[1]);
}

}  // namespace
}  // namespace seedbed::engine::kit
