#include "base/rng.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <numeric>
#include <set>

namespace seedbed {
namespace {

TEST(Rng, IsSplitMix64) {  // the published sequence from state 1234567
  Rng rng(1234567);
  for (const std::uint64_t wanted :
       {6457827717110365317ULL, 3203168211198807973ULL, 9817491932198370423ULL,
        4593380528125082431ULL, 16408922859458223821ULL})
    EXPECT_EQ(rng.next(), wanted);
}

TEST(Rng, SameKeysGiveTheSameDrawsForEver) {
  auto rng = rng_for(1, "general", 7, "draft");
  for (const std::uint64_t wanted :
       {10131881446941344823ULL, 14783508554209425210ULL, 2551319816424630105ULL})
    EXPECT_EQ(rng.next(), wanted);
  auto fork = rng_for(1, "general", 7, "draft").fork("layout", 3);
  for (const std::uint64_t wanted : {10161057952911757580ULL, 2251795578552923009ULL})
    EXPECT_EQ(fork.next(), wanted);
}

TEST(Rng, BelowStaysBelowItsBoundAndReachesBothEnds) {
  Rng rng(5);
  for (const std::uint64_t bound :
       {std::uint64_t{1}, std::uint64_t{2}, std::uint64_t{3}, std::uint64_t{10},
        std::uint64_t{1} << 32, (std::uint64_t{1} << 63) + 1, ~std::uint64_t{0}})
    for (int i = 0; i < 2'000; ++i) ASSERT_LT(rng.below(bound), bound);
  std::set<std::uint64_t> seen;
  for (int i = 0; i < 500; ++i) seen.insert(rng.below(10));
  EXPECT_EQ(seen.size(), 10U);
}

TEST(Rng, BelowIsUniformWhereAModuloWouldNotBe) {
  // 2^64 mod 3*2^62 makes the low third twice as likely under `next() % bound`.
  Rng rng(9);
  const std::uint64_t bound = 3ULL << 62;
  int low = 0;
  for (int i = 0; i < 30'000; ++i) low += rng.below(bound) < bound / 3 ? 1 : 0;
  EXPECT_NEAR(low, 10'000, 400);  // 5 standard deviations; a modulo gives 15,000
}

TEST(Rng, BetweenTakesTheWholeRangeOfInt64) {
  Rng rng(6);
  const auto lowest = std::numeric_limits<std::int64_t>::min();
  const auto highest = std::numeric_limits<std::int64_t>::max();
  for (int i = 0; i < 1'000; ++i) {
    const auto x = rng.between(-3, 4);
    ASSERT_GE(x, -3);
    ASSERT_LE(x, 4);
  }
  EXPECT_EQ(rng.between(5, 5), 5);
  EXPECT_EQ(rng.between(highest, highest), highest);
  EXPECT_LE(rng.between(lowest, lowest + 1), lowest + 1);
  const auto wide = rng.between(lowest, highest);  // any value: it must only not hang or abort
  EXPECT_GE(wide, lowest);
}

TEST(Rng, NeighbouringSeedsIndicesAndPurposesAreIndependent) {
  const auto bits_apart = [](Rng a, Rng b) {
    int n = 0;
    for (int i = 0; i < 64; ++i) n += std::popcount(a.next() ^ b.next());
    return n;  // of 4096; 2048 expected, standard deviation 32
  };
  for (std::uint64_t i = 0; i < 200; ++i) {
    EXPECT_NEAR(bits_apart(rng_for(i, "f", 0, "p"), rng_for(i + 1, "f", 0, "p")), 2048, 200);
    EXPECT_NEAR(bits_apart(rng_for(7, "f", i, "p"), rng_for(7, "f", i + 1, "p")), 2048, 200);
  }
  EXPECT_NE(rng_for(7, "f", 1, "p").next(), rng_for(8, "f", 0, "p").next());  // never seed + index
  EXPECT_NE(rng_for(1, "f", 1, "p").next(), rng_for(1, "f", 1, "q").next());
  EXPECT_NE(rng_for(1, "f1", 1, "p").next(), rng_for(1, "f", 11, "p").next());
}

TEST(Rng, AForkDependsOnItsPurposeAndLeavesItsParentAlone) {
  Rng parent(3);
  auto a = parent.fork("x");
  auto b = parent.fork("y");
  auto c = parent.fork("x", 1);
  EXPECT_NE(a.next(), b.next());
  EXPECT_NE(parent.fork("x").next(), c.next());
  EXPECT_EQ(parent.next(), Rng(3).next());
}

TEST(Rng, WeightedFollowsItsWeightsAndNeverTakesZero) {
  Rng rng(4);
  std::array<int, 4> count{};
  for (int i = 0; i < 10'000; ++i) ++count[rng.weighted({0, 1, 3, 0})];
  EXPECT_EQ(count[0], 0);
  EXPECT_EQ(count[3], 0);
  EXPECT_NEAR(count[1], 2'500, 250);
}

TEST(Rng, ShuffleKeepsTheItemsAndChanceKeepsItsShare) {
  Rng rng(8);
  std::vector<int> items(100);
  std::iota(items.begin(), items.end(), 0);
  auto shuffled = items;
  rng.shuffle(shuffled);
  EXPECT_NE(shuffled, items);
  EXPECT_TRUE(std::is_permutation(items.begin(), items.end(), shuffled.begin()));
  int hits = 0;
  for (int i = 0; i < 10'000; ++i) hits += rng.chance(1, 4) ? 1 : 0;
  EXPECT_NEAR(hits, 2'500, 250);
  EXPECT_FALSE(rng.chance(0, 5));
  EXPECT_TRUE(rng.chance(5, 5));
}

TEST(RngDeathTest, AnEmptyRangeIsOurBugAndSaysWhere) {
  Rng rng(1);
  EXPECT_DEATH(rng.below(0), "rng.cpp:[0-9]+: expected bound > 0");
  EXPECT_DEATH(rng.between(2, 1), "expected lo <= hi; 2; 1");
}

}  // namespace
}  // namespace seedbed
