// The tree with a host tier: what is spilled comes back as it was, in an order that a walk over the
// whole tree would choose, and no page is ever lost or held twice.
#include "tests/engine/tier_kit.h"

namespace seedbed::engine::tiered {
namespace {

TEST(TieredTree, AnImageIsTheWholePage) {
  for (const DType dtype : {DType::f8, DType::bf16, DType::f32}) {
    const Tier tier(dtype, 3, 0);
    const auto bytes = static_cast<std::size_t>(tier.cache->page_bytes());
    std::vector<std::byte> image(bytes), back(bytes), other(bytes);
    Rng rng(8);
    for (auto& b : image) b = static_cast<std::byte>(rng.below(256));
    for (auto& b : other) b = static_cast<std::byte>(rng.below(256));
    tier.cache->write(0, other.data());
    tier.cache->write(1, image.data());
    tier.cache->write(2, other.data());
    tier.cache->read(1, back.data());
    EXPECT_EQ(back, image);
    tier.cache->read(0, back.data());
    EXPECT_EQ(back, other);
    tier.cache->copy(1, 2);
    tier.cache->read(2, back.data());
    EXPECT_EQ(back, image);
    EXPECT_GE(tier.cache->page_bytes(), cache_bytes_per_page(tier.config, dtype) + 64 * 3 * 2);
  }
}

TEST(TieredTree, WhatTheCacheGivesUpComesBackAsItWas) {
  for (const DType dtype : {DType::f8, DType::f32}) {
    const Tier tier(dtype, 4, 20);
    const Tokens a = count(0, 230), b = count(1'000, 256), c = count(2'000, 200);
    for (const Tokens& one : {a, b, c}) ASSERT_TRUE(tier.put(one));
    EXPECT_EQ(tier.tree->spilled(), 8);
    EXPECT_EQ(tier.host->used(), 8);
    EXPECT_EQ(tier.tree->held().alone, 4);
    for (int round = 0; round < 3; ++round)
      for (const Tokens& one : {a, b, c}) {
        EXPECT_EQ(tier.found(one), static_cast<std::int64_t>(one.size()));
        Tier::Sequence s = tier.begin(one);  // looks at every byte that is marked
        EXPECT_EQ(s.computed, one.size());
        tier.end(s);
      }
    EXPECT_EQ(tier.tree->evicted(), 0);
    EXPECT_EQ(tier.tree->nodes(), 12);
    EXPECT_EQ(tier.host->used(), 8);
    EXPECT_EQ(tier.tree->spilled(), tier.tree->restored() + 8);
  }
}

TEST(TieredTree, PartOfASpilledPageIsACopyAndTheRestStaysWhereItIs) {
  const Tier tier(DType::f8, 2, 4);
  ASSERT_TRUE(tier.put(count(0, 100)));
  ASSERT_TRUE(tier.put(count(1'000, 128)));
  ASSERT_EQ(tier.host->used(), 2);
  Tokens other = count(0, 90);  // 64 of the first page, 16 of the second
  other[80] = 5;
  Tier::Sequence s = tier.begin(other);
  EXPECT_EQ(s.computed, 80U);
  EXPECT_EQ(tier.cache->holders(s.pages[1]), 1);  // to be written at once
  ASSERT_TRUE(tier.compute_rest(s));
  tier.end(s);
  EXPECT_EQ(tier.found(other), 90);
  EXPECT_EQ(tier.found(count(0, 100)), 100);
  EXPECT_EQ(tier.found(count(1'000, 128)), 128);
  // All of it, and nothing below: the next turn goes on in the page itself.
  ASSERT_TRUE(tier.put(count(1'000, 128)));
  const auto nodes = tier.tree->nodes();
  ASSERT_TRUE(tier.put(count(0, 110)));
  EXPECT_EQ(tier.tree->nodes(), nodes);
  EXPECT_EQ(tier.found(count(0, 110)), 110);
}

TEST(TieredTree, AFullTierDropsTheLeastRecentlyUsedAndPinsLast) {
  const Tier tier(DType::f8, 2, 2);
  const Tokens a = count(0, 128), b = count(1'000, 128), c = count(2'000, 128);
  ASSERT_TRUE(tier.put(a));
  tier.tree->pin(1, tier.last(a));
  ASSERT_TRUE(tier.put(b));  // a is spilled
  EXPECT_EQ(tier.host->used(), 2);
  ASSERT_TRUE(tier.put(c));  // b has no room: a is pinned
  EXPECT_EQ(tier.found(a), 128);
  EXPECT_EQ(tier.found(b), 0);
  EXPECT_EQ(tier.tree->evicted(), 2);
  tier.tree->pin(1, nullptr);
  ASSERT_TRUE(tier.put(b));  // and now c takes the place of a
  EXPECT_EQ(tier.found(a), 0);
  EXPECT_EQ(tier.found(c), 128);
  // A path in the tier is pinned as a whole: the page above it goes last, too.
  tier.tree->evict();
  tier.tree->pin(2, tier.last(b));
  EXPECT_EQ(tier.last(b)->page, -1);
  EXPECT_EQ(tier.tree->held().pinned, 1);
}

TEST(TieredTree, APathThatComesBackDoesNotPushOutItsOwnEnd) {
  const Tier tier(DType::f8, 3, 3);
  const Tokens a = count(0, 192), b = count(1'000, 192);
  ASSERT_TRUE(tier.put(a));
  ASSERT_TRUE(tier.put(b));
  tier.tree->pin(1, tier.last(b));  // worth more than all of a
  ASSERT_EQ(tier.host->used(), 3);
  Tier::Sequence s = tier.begin(a);  // each page goes into the place of one that comes
  EXPECT_EQ(s.computed, 192U);
  EXPECT_EQ(tier.tree->evicted(), 0);
  EXPECT_EQ(tier.found(b), 192);
  EXPECT_EQ(tier.host->used(), 3);
  // Nothing can come back while all pages are held.
  Tier::Sequence none = tier.begin(b);
  EXPECT_EQ(none.computed, 0U);
  EXPECT_TRUE(none.pages.empty());
  tier.end(s);
  EXPECT_EQ(tier.found(b), 192);
}

TEST(TieredTree, AnImageIsNotDroppedWhileItIsCopied) {
  const Tier tier(DType::f8, 2, 1);
  const Tokens a = count(0, 40), b = count(1'000, 128);
  ASSERT_TRUE(tier.put(a));
  ASSERT_TRUE(tier.put(b));
  tier.tree->pin(1, tier.last(b));  // worth more than a, which has the only slot
  ASSERT_EQ(tier.last(a)->page, -1);
  Tokens other = count(0, 20);
  other.push_back(7);
  Tier::Sequence s = tier.begin(other);
  EXPECT_EQ(s.computed, 20U);
  EXPECT_EQ(tier.found(a), 40);
  EXPECT_EQ(tier.found(b), 64);
  tier.end(s, false);
}

TEST(TieredTree, WhatAPromptBeganWithIsUsed) {
  const Tier tier(DType::f8, 4, 1);
  const Tokens a = count(0, 128), b = count(1'000, 128);
  ASSERT_TRUE(tier.put(a));
  ASSERT_TRUE(tier.put(b));
  Tier::Sequence s = tier.begin(a);
  tier.end(s);
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(tier.tree->evict());
  EXPECT_EQ(tier.found(a), 128);
  EXPECT_EQ(tier.found(b), 0);
}

TEST(TieredTree, PagesComputedAnewTakeThePlaceOfTheirImages) {
  const Tier tier(DType::f8, 4, 8);
  const Tokens a = count(0, 128);
  ASSERT_TRUE(tier.put(a));
  while (tier.tree->evict()) {
  }
  ASSERT_EQ(tier.host->used(), 2);
  Tier::Sequence s;  // found nothing, for want of pages
  s.tokens = a;
  ASSERT_TRUE(tier.compute_rest(s));
  EXPECT_EQ(tier.host->used(), 0);
  EXPECT_EQ(tier.tree->nodes(), 2);
  tier.end(s);
  EXPECT_EQ(tier.found(a), 128);
  EXPECT_EQ(tier.tree->restored(), 0);
}

TEST(TieredTree, DroppingEverythingSpillsNothing) {
  const Tier tier(DType::f8, 3, 8);
  for (int k = 0; k < 4; ++k) ASSERT_TRUE(tier.put(count(k * 1'000, 150)));
  Tier::Sequence held = tier.begin(count(3'000, 64));
  const auto spilled = tier.tree->spilled();
  tier.tree->evict_all();
  EXPECT_EQ(tier.tree->spilled(), spilled);
  EXPECT_EQ(tier.host->used(), 0);
  EXPECT_EQ(tier.tree->nodes(), 1);
  EXPECT_EQ(tier.cache->free_pages(), 2);
  tier.end(held);
  ASSERT_TRUE(tier.put(count(0, 190)));
  ASSERT_TRUE(tier.put(count(1'000, 190)));
  EXPECT_GT(tier.host->used(), 0);
  tier.tree->clear();
  EXPECT_EQ(tier.host->used(), 0);
  EXPECT_EQ(tier.cache->free_pages(), 3);
}

}  // namespace
}  // namespace seedbed::engine::tiered
