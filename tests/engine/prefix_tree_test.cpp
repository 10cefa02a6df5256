#include "engine/prefix_tree.h"

#include <gtest/gtest.h>

#include "base/rng.h"
#include "tests/engine/model_kit.h"

namespace seedbed::engine {
namespace {

class Tree : public testing::Test {
 protected:
  void SetUp() override {
    auto made = PageCache::make(golden_config("configs/dense.json"), DType::f8, kPages);
    ASSERT_TRUE(made.ok());
    cache_ = *std::move(made);
  }
  // A sequence's pages, put into the tree as it would.
  PrefixTree::Node* put(PrefixTree& tree, const std::vector<std::int32_t>& tokens) {
    PrefixTree::Node* at = tree.root();
    for (std::size_t i = 0; i < tokens.size(); i += 64) {
      const auto page = cache_->take();
      EXPECT_GE(page, 0);
      at = tree.insert(
          at, std::span(tokens).subspan(i, std::min<std::size_t>(64, tokens.size() - i)), page);
      cache_->give(page);
    }
    return at;
  }
  static std::vector<std::int32_t> count(int from, int n) {
    std::vector<std::int32_t> out(static_cast<std::size_t>(n));
    for (int i = 0; i < n; ++i) out[static_cast<std::size_t>(i)] = from + i;
    return out;
  }
  static constexpr int kPages = 40;
  std::unique_ptr<PageCache> cache_;
};

TEST_F(Tree, FindsTheLongestPrefixInPagesAndInsideOne) {
  PrefixTree tree(*cache_, false);
  put(tree, count(0, 150));
  EXPECT_EQ(tree.match(count(0, 150)).tokens(), 150);
  EXPECT_EQ(tree.match(count(0, 149)).tokens(), 149);
  EXPECT_EQ(tree.match(count(0, 500)).tokens(), 150);
  auto other = count(0, 150);
  other[100] = 7;
  EXPECT_EQ(tree.match(other).tokens(), 100);
  EXPECT_EQ(tree.match(other).nodes.size(), 1U);
  EXPECT_EQ(tree.match(count(1, 5)).tokens(), 0);
  put(tree, other);
  EXPECT_EQ(tree.match(other).tokens(), 150);
  EXPECT_EQ(tree.nodes(), 5);  // the first page is one
  PrefixTree exact(*cache_, true);
  put(exact, count(0, 150));
  EXPECT_EQ(exact.match(count(0, 149)).tokens(), 128);
  EXPECT_EQ(exact.match(count(0, 151)).tokens(), 150);
}

TEST_F(Tree, GivesUpTheLeastRecentlyUsedLeafAndPinsLast) {
  PrefixTree tree(*cache_, false);
  PrefixTree::Node* a = put(tree, count(0, 128));
  PrefixTree::Node* b = put(tree, count(1000, 128));
  put(tree, count(2000, 64));
  tree.pin(1, a);
  tree.touch(b);
  EXPECT_EQ(tree.held().alone, 5);
  EXPECT_EQ(tree.held().pinned, 2);
  ASSERT_TRUE(tree.evict());
  EXPECT_EQ(tree.match(count(2000, 64)).tokens(), 0);
  ASSERT_TRUE(tree.evict());
  EXPECT_EQ(tree.match(count(1000, 128)).tokens(), 64);
  ASSERT_TRUE(tree.evict());
  EXPECT_EQ(tree.match(count(0, 128)).tokens(), 128);
  ASSERT_TRUE(tree.evict());  // the pin moves up
  EXPECT_EQ(tree.match(count(0, 128)).tokens(), 64);
  EXPECT_EQ(tree.held().pinned, 1);
  ASSERT_TRUE(tree.evict());
  EXPECT_FALSE(tree.evict());
  EXPECT_EQ(tree.sessions(), 0);
  EXPECT_EQ(cache_->free_pages(), kPages);
  EXPECT_EQ(tree.evicted(), 5);
}

TEST_F(Tree, WhatASequenceHoldsIsNotGivenUp) {
  PrefixTree tree(*cache_, false);
  PrefixTree::Node* leaf = put(tree, count(0, 100));
  const auto page = leaf->page;
  cache_->share(page);
  EXPECT_FALSE(tree.evict());
  EXPECT_FALSE(tree.take_over(leaf));
  cache_->give(page);
  EXPECT_TRUE(tree.take_over(leaf));
  EXPECT_EQ(cache_->holders(page), 1);  // the caller's now
  EXPECT_EQ(tree.match(count(0, 100)).tokens(), 64);
  cache_->give(page);
}

// Against a plain list of everything that was put: what is found was put, and with room for all of
// it nothing is missed.
TEST_F(Tree, RandomPrefixesAreFoundAsInAList) {
  Rng rng(5);
  for (int round = 0; round < 40; ++round) {
    PrefixTree tree(*cache_, false);
    std::vector<std::vector<std::int32_t>> all;
    std::set<std::uint64_t> sessions;
    for (int i = 0; i < 12; ++i) {
      auto tokens = count(0, static_cast<int>(1 + rng.below(200)));
      for (int change = 0; change < 2; ++change)
        if (rng.chance(1, 2)) tokens[rng.below(tokens.size())] += 1000;
      if (cache_->free_pages() < 4) break;
      PrefixTree::Node* end = put(tree, tokens);
      all.push_back(tokens);
      if (rng.chance(1, 3)) {
        const auto session = 1 + rng.below(3);
        tree.pin(session, end);
        sessions.insert(session);
      }
      EXPECT_EQ(tree.sessions(), static_cast<std::int64_t>(sessions.size()));
    }
    for (int q = 0; q < 30; ++q) {
      auto probe = all[rng.below(all.size())];
      probe.resize(1 + rng.below(probe.size()));
      if (rng.chance(1, 2)) probe[rng.below(probe.size())] += 1000;
      std::size_t longest = 0;
      for (const auto& one : all) {
        std::size_t n = 0;
        while (n < one.size() && n < probe.size() && one[n] == probe[n]) ++n;
        longest = std::max(longest, n);
      }
      EXPECT_EQ(tree.match(probe).tokens(), static_cast<std::int64_t>(longest));
    }
    EXPECT_EQ(tree.held().alone, tree.nodes());
    while (tree.evict()) {
    }
    EXPECT_EQ(cache_->free_pages(), kPages);
  }
}

}  // namespace
}  // namespace seedbed::engine
