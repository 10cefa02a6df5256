#include "engine/host_pages.h"

#include <gtest/gtest.h>

#include <cstring>
#include <set>

#include "base/rng.h"

namespace seedbed::engine {
namespace {

TEST(HostPages, GivesTheLowestFreeSlotAndNoneBeyondItsRoom) {
  auto made = HostPages::make(100, 3);
  ASSERT_TRUE(made.ok());
  HostPages& pages = **made;
  EXPECT_EQ(pages.pages(), 3);
  EXPECT_EQ(pages.page_bytes(), 100);
  for (std::int32_t slot = 0; slot < 3; ++slot) EXPECT_EQ(pages.take(), slot);
  EXPECT_EQ(pages.take(), -1);
  EXPECT_EQ(pages.take(true), 3);  // for an exchange, one more
  EXPECT_EQ(pages.take(true), -1);
  pages.give(1);
  EXPECT_EQ(pages.take(), -1);
  pages.give(0);
  EXPECT_EQ(pages.used(), 2);
  EXPECT_EQ(pages.take(), 0);
  EXPECT_EQ(pages.take(), -1);
  EXPECT_EQ(pages.take(true), 1);
}

TEST(HostPages, EachSlotKeepsItsOwnBytes) {
  constexpr int kPages = 7;
  constexpr std::int64_t kBytes = 4'097;
  auto made = HostPages::make(kBytes, kPages);
  ASSERT_TRUE(made.ok());
  HostPages& pages = **made;
  Rng rng(3);
  std::set<std::int32_t> taken;
  for (int i = 0; i < 500; ++i) {
    if (rng.chance(1, 2)) {
      const std::int32_t slot = pages.take(true);
      ASSERT_EQ(slot < 0, taken.size() == kPages + 1);
      if (slot < 0) continue;
      ASSERT_TRUE(taken.insert(slot).second);
      std::memset(pages.at(slot), slot + 1, kBytes);
    } else if (!taken.empty()) {
      const std::int32_t slot =
          *std::next(taken.begin(), static_cast<std::ptrdiff_t>(rng.below(taken.size())));
      for (const std::int64_t at : {std::int64_t{0}, kBytes / 2, kBytes - 1})
        ASSERT_EQ(static_cast<int>(pages.at(slot)[at]), slot + 1);
      pages.give(slot);
      taken.erase(slot);
    }
    ASSERT_EQ(pages.used(), static_cast<int>(taken.size()));
  }
}

TEST(HostPages, MemoryThatCannotBeHadIsAnError) {
  for (const std::int64_t bytes : {std::int64_t{1} << 23, std::int64_t{1} << 40}) {
    const auto refused = HostPages::make(bytes, 1 << 24);
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().where, Where::config);
    EXPECT_NE(refused.error().message.find("host"), std::string::npos);
  }
}

}  // namespace
}  // namespace seedbed::engine
