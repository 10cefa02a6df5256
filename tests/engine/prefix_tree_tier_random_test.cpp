// Random steps on trees with a host tier, held to a walk over the whole tree after each.
#include "tests/engine/tier_kit.h"

namespace seedbed::engine::tiered {
namespace {

struct Walked {
  std::vector<Node*> cached, spilled;
};
bool pinned(const Node& node) {
  if (!node.sessions.empty()) return true;
  return std::any_of(node.children.begin(), node.children.end(),
                     [](const auto& child) { return pinned(*child.second); });
}
std::size_t pins(const Node& node) {
  std::size_t out = node.sessions.size();
  for (const auto& [first, child] : node.children) out += pins(*child);
  return out;
}
// Looks at invariants (1), (2) and (4), the counters, and what lies in every page and image.
void walk(const Tier& tier, Node& node, std::uint16_t before, Walked& out) {
  std::size_t with_page = 0;
  for (auto& [first, owner] : node.children) {
    Node& child = *owner;
    ASSERT_EQ(child.parent, &node);
    ASSERT_NE(child.page >= 0, child.host >= 0);
    ASSERT_FALSE(child.page >= 0 && node.page < 0 && &node != tier.tree->root());
    ASSERT_TRUE(child.children.empty() || child.full());
    ASSERT_EQ(child.pins, pins(child));
    ASSERT_TRUE(&node == tier.tree->root() || node.used >= child.used);
    with_page += child.page >= 0 ? 1 : 0;
    std::int32_t look = child.page;
    if (look < 0) {  // in a page of its own
      look = tier.cache->take();
      ASSERT_GE(look, 0);
      tier.cache->write(look, tier.host->at(child.host));
    }
    std::uint16_t now = before;
    for (std::size_t i = 0; i < child.tokens.size(); ++i) {
      now = mark(now, child.tokens[i]);
      ASSERT_TRUE(tier.holds(look, static_cast<int>(i), now));
    }
    if (child.page < 0) tier.cache->give(look);
    (child.page >= 0 ? out.cached : out.spilled).push_back(&child);
    walk(tier, child, now, out);
  }
  ASSERT_EQ(node.with_page, with_page);
}

using Worth = std::tuple<bool, std::uint64_t, std::uint64_t>;
Worth worth(const Node* node) {
  return {pinned(*node), node->used, node->id};
}
Node* least(const std::vector<Node*>& nodes) {
  Node* out = nullptr;
  for (Node* node : nodes)
    if (out == nullptr || worth(node) < worth(out)) out = node;
  return out;
}

// One spare page of the cache is left out of the game, for looking at images.
class Random : public testing::TestWithParam<std::tuple<int, int>> {};

TEST_P(Random, EveryStepIsWhatAWalkOverTheTreeSays) {
  const auto [pages, host_pages] = GetParam();
  Rng rng(static_cast<std::uint64_t>(pages * 100 + host_pages));
  for (int round = 0; round < 4; ++round) {
    const Tier tier(round % 2 == 0 ? DType::f8 : DType::f32, pages + 1, host_pages);
    std::int32_t spare = tier.cache->take();
    std::vector<Tier::Sequence> running;
    std::vector<Tokens> said;
    std::int64_t dropped_on_purpose = 0;
    const auto look = [&](Walked& out) {
      tier.cache->give(spare);
      walk(tier, *tier.tree->root(), 0, out);
      spare = tier.cache->take();
      ASSERT_EQ(static_cast<std::int64_t>(out.cached.size() + out.spilled.size()),
                tier.tree->nodes());
      ASSERT_EQ(static_cast<std::int64_t>(out.spilled.size()), tier.tree->host_pages_used());
      ASSERT_LE(static_cast<int>(out.spilled.size()), host_pages);
      std::set<std::int32_t> used;
      std::int64_t alone = 0;
      for (const Node* node : out.cached) {
        ASSERT_TRUE(used.insert(node->page).second);
        alone += tier.cache->holders(node->page) == 1 ? 1 : 0;
      }
      for (const auto& s : running) used.insert(s.pages.begin(), s.pages.end());
      ASSERT_EQ(static_cast<int>(used.size()) + tier.cache->free_pages() + 1, pages + 1);
      ASSERT_EQ(tier.tree->held().alone, alone);
      std::set<std::int32_t> slots;
      for (const Node* node : out.spilled) ASSERT_TRUE(slots.insert(node->host).second);
    };
    for (int step = 0; step < 250; ++step) {
      const auto what = rng.below(20);
      if (what < 8) {  // a turn, of something said before as a rule
        Tokens tokens = said.empty() || rng.chance(1, 4)
                            ? count(static_cast<int>(rng.below(3)) * 1'000, 1)
                            : rng.pick(said);
        if (rng.chance(1, 4)) tokens.resize(1 + rng.below(tokens.size()));
        const auto more = rng.below(100);
        for (std::uint64_t i = 0; i < more; ++i)
          tokens.push_back(static_cast<std::int32_t>(rng.chance(1, 40) ? rng.below(2) : i));
        tokens.resize(std::min<std::size_t>(tokens.size(), 64 * static_cast<std::size_t>(pages)));
        auto s = tier.begin(tokens, rng.chance(1, 8));
        (void)tier.compute_rest(s);
        said.push_back(tokens);
        running.push_back(std::move(s));
      } else if (what < 15) {
        if (running.empty()) continue;
        const auto at = rng.below(running.size());
        tier.end(running[at], rng.chance(5, 6));
        running.erase(running.begin() + static_cast<std::ptrdiff_t>(at));
      } else if (what < 17) {
        if (said.empty()) continue;
        const auto match = tier.tree->match(rng.pick(said));
        Node* node = match.partial != nullptr ? match.partial
                     : match.nodes.empty()    ? nullptr
                                              : match.nodes.back();
        tier.tree->pin(1 + rng.below(4), rng.chance(1, 4) ? nullptr : node);
      } else if (what < 19) {
        Walked before;
        ASSERT_NO_FATAL_FAILURE(look(before));
        std::vector<Node*> may_go, leaves;
        for (Node* node : before.cached)
          if (node->with_page == 0 && tier.cache->holders(node->page) == 1) may_go.push_back(node);
        for (Node* node : before.spilled)
          if (node->children.empty()) leaves.push_back(node);
        Node* goes = least(may_go);
        Node* dropped = nullptr;
        const bool full = static_cast<int>(before.spilled.size()) == host_pages;
        if (goes != nullptr && full) {
          dropped = least(leaves);
          const auto value = [](const Node* n) { return std::pair(pinned(*n), n->used); };
          if (dropped == nullptr || value(goes) < value(dropped)) dropped = goes;
        }
        const auto id = goes == nullptr ? 0 : goes->id, gone = dropped == nullptr ? 0 : dropped->id;
        const auto evicted = tier.tree->evicted();
        ASSERT_EQ(tier.tree->evict(), goes != nullptr);
        ASSERT_EQ(tier.tree->evicted() - evicted, dropped == nullptr ? 0 : 1);
        Walked after;
        ASSERT_NO_FATAL_FAILURE(look(after));
        const auto there = [](const std::vector<Node*>& nodes, std::uint64_t one) {
          return std::any_of(nodes.begin(), nodes.end(),
                             [&](const Node* node) { return node->id == one; });
        };
        if (gone != 0) {
          ASSERT_FALSE(there(after.cached, gone) || there(after.spilled, gone));
        }
        if (id != 0) {
          ASSERT_FALSE(there(after.cached, id));
          ASSERT_EQ(there(after.spilled, id), gone != id);
        }
      } else if (rng.chance(1, 6)) {
        for (auto& s : running) tier.end(s, false);
        running.clear();
        const auto evicted = tier.tree->evicted();
        rng.chance(1, 2) ? tier.tree->clear() : tier.tree->evict_all();
        dropped_on_purpose += tier.tree->evicted() - evicted;
        ASSERT_EQ(tier.tree->nodes(), 0);
        ASSERT_EQ(tier.tree->sessions(), 0);
      }
      Walked now;
      ASSERT_NO_FATAL_FAILURE(look(now)) << "step " << step;
    }
    EXPECT_GT(tier.tree->spilled() + tier.tree->evicted(), 10);
    EXPECT_EQ(tier.tree->spilled() > 0, host_pages > 0);
    EXPECT_EQ(tier.tree->restored() > 0, host_pages > 0);
    if (host_pages >= 1'000) {
      EXPECT_EQ(tier.tree->evicted(), dropped_on_purpose);
    }
    for (auto& s : running) tier.end(s);
    tier.tree->clear();
    tier.cache->give(spare);
    EXPECT_EQ(tier.cache->free_pages(), pages + 1);
    EXPECT_EQ(tier.tree->host_pages_used(), 0);
  }
}

INSTANTIATE_TEST_SUITE_P(Sizes,
                         Random,
                         testing::Values(std::tuple(12, 0),
                                         std::tuple(12, 1),
                                         std::tuple(12, 2),
                                         std::tuple(6, 9),
                                         std::tuple(12, 40),
                                         std::tuple(20, 1'000)),
                         [](const auto& sizes) {
                           return std::to_string(std::get<0>(sizes.param)) + "And" +
                                  std::to_string(std::get<1>(sizes.param));
                         });

// With room for all in the tier nothing is computed twice, however small the cache.
TEST(TieredTree, WithRoomForAllNothingIsLost) {
  const Tier small(DType::f8, 5, 400), big(DType::f8, 400, 0);
  Rng rng(77);
  std::vector<Tokens> said = {count(0, 1)};
  for (int i = 0; i < 120; ++i) {
    Tokens tokens = rng.pick(said);
    if (rng.chance(1, 3)) tokens.resize(1 + rng.below(tokens.size()));
    const auto more = 1 + rng.below(90);
    for (std::uint64_t k = 0; k < more; ++k)
      tokens.push_back(static_cast<std::int32_t>(rng.below(3) + k));
    if (tokens.size() > 5 * kPage) tokens = count(5'000 + i, 10);
    ASSERT_EQ(small.found(tokens), big.found(tokens)) << i;
    Tier::Sequence s = small.begin(tokens);
    ASSERT_EQ(static_cast<std::int64_t>(s.computed), big.found(tokens));
    if (small.compute_rest(s)) {
      said.push_back(tokens);
      small.end(s);
      ASSERT_TRUE(big.put(tokens));
    } else {  // a shared page stood in its own way
      small.end(s, false);
      Tier::Sequence again = small.begin(tokens, true);
      ASSERT_TRUE(small.compute_rest(again));
      small.end(again);
      said.push_back(tokens);
      ASSERT_TRUE(big.put(tokens));
    }
  }
  EXPECT_EQ(small.tree->evicted(), 0);
  EXPECT_GT(small.tree->restored(), 50);
}

}  // namespace
}  // namespace seedbed::engine::tiered
