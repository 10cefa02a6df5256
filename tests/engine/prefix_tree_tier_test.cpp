// The tree with a host tier: what is spilled comes back as it was, in an order that a walk over the
// whole tree would choose, and no page is ever lost or held twice.
#include <gtest/gtest.h>

#include <cstring>
#include <set>

#include "base/rng.h"
#include "engine/prefix_tree.h"
#include "tests/engine/model_kit.h"

namespace seedbed::engine {
namespace {

using Node = PrefixTree::Node;
using Tokens = std::vector<std::int32_t>;
constexpr std::size_t kPage = kernels::kPageTokens;

Tokens count(int from, int n) {
  Tokens out(static_cast<std::size_t>(n));
  for (int i = 0; i < n; ++i) out[static_cast<std::size_t>(i)] = from + i;
  return out;
}

// What a position holds follows from the tokens up to it.
std::uint16_t mark(std::uint16_t before, std::int32_t token) {
  return static_cast<std::uint16_t>((before + 7U) * 31U +
                                    static_cast<std::uint32_t>(token) * 2'654'435'761U);
}

// A cache, a tier and a tree, and a sequence's way of using them.
struct Tier {
  Tier(DType dtype, int pages, int host_pages, bool exact_hidden = false)
      : config(golden_config("configs/moe.json")) {
    auto made = PageCache::make(config, dtype, pages, 3);
    EXPECT_TRUE(made.ok());
    cache = *std::move(made);
    if (host_pages > 0) {
      auto room = HostPages::make(cache->page_bytes(), host_pages);
      EXPECT_TRUE(room.ok());
      host = *std::move(room);
    }
    tree = std::make_unique<PrefixTree>(*cache, exact_hidden, host.get());
  }

  // Bytes of a slot, in the first and the last layer, and in the record of experts.
  [[nodiscard]] std::vector<std::byte*> places(std::int32_t page, int slot) const {
    std::vector<std::byte*> out;
    const int last = config.num_hidden_layers + config.num_nextn_predict_layers - 1;
    const int latent =
        kernels::kv_record_bytes(cache->dtype(), config.kv_lora_rank, config.qk_rope_head_dim);
    for (const int layer : {0, last}) {
      const auto latents = cache->latents(layer), keys = cache->index_keys(layer);
      out.push_back(latents.base + page * latents.stride + slot * latent);
      out.push_back(latents.base + page * latents.stride + (slot + 1) * latent - 2);
      out.push_back(keys.base + page * keys.stride + slot * config.index_head_dim);
    }
    out.push_back(reinterpret_cast<std::byte*>(cache->routing(page, slot)));
    out.push_back(reinterpret_cast<std::byte*>(cache->routing(page, slot) + 2));
    return out;
  }
  void compute(std::int32_t page, int slot, std::uint16_t what) const {
    for (std::byte* at : places(page, slot)) std::memcpy(at, &what, sizeof what);
  }
  [[nodiscard]] bool holds(std::int32_t page, int slot, std::uint16_t what) const {
    for (const std::byte* at : places(page, slot))
      if (std::memcmp(at, &what, sizeof what) != 0) return false;
    return true;
  }

  struct Sequence {
    Tokens tokens;
    std::vector<std::int32_t> pages;
    std::size_t computed = 0, in_tree = 0;
    Node* node = nullptr;
  };
  Sequence begin(const Tokens& tokens, bool whole_pages = false) const {
    Sequence s;
    s.tokens = tokens;
    auto match = tree->match(tokens);
    if (whole_pages) match.leave_partial();
    tree->take(match, s.pages);
    s.in_tree = match.nodes.size();
    if (!match.nodes.empty()) s.node = match.nodes.back();
    s.computed = static_cast<std::size_t>(match.tokens());
    std::uint16_t now = 0;
    for (std::size_t i = 0; i < s.computed; ++i) {
      now = mark(now, tokens[i]);
      EXPECT_TRUE(holds(s.pages[i / kPage], static_cast<int>(i % kPage), now)) << i;
    }
    return s;
  }
  // False: there was no page for all of it.
  bool compute_rest(Sequence& s) const {
    std::uint16_t now = 0;
    for (std::size_t i = 0; i < s.computed; ++i) now = mark(now, s.tokens[i]);
    if (s.computed % kPage != 0 && s.computed < s.tokens.size()) {
      std::int32_t& tail = s.pages.back();
      if (cache->holders(tail) > 1) {
        const std::int32_t own = tree->take_page();
        if (own < 0) return false;
        cache->copy(tail, own);
        cache->give(tail);
        tail = own;
      }
    }
    while (s.computed < s.tokens.size()) {
      const std::size_t at = s.computed;
      if (at / kPage == s.pages.size()) {
        const std::int32_t page = tree->take_page();
        if (page < 0) return false;
        s.pages.push_back(page);
      }
      now = mark(now, s.tokens[at]);
      compute(s.pages[at / kPage], static_cast<int>(at % kPage), now);
      ++s.computed;
      if (s.computed % kPage == 0) into_tree(s, kPage);
    }
    return true;
  }
  void into_tree(Sequence& s, std::size_t tokens) const {
    std::int32_t& page = s.pages[s.in_tree];
    Node* node = tree->insert(s.node == nullptr ? tree->root() : s.node,
                              std::span(s.tokens).subspan(s.in_tree * kPage, tokens), page);
    if (tokens < kPage) return;
    if (node->page != page) {
      cache->share(node->page);
      cache->give(page);
      page = node->page;
    }
    s.node = node;
    ++s.in_tree;
  }
  void end(Sequence& s, bool keep_tail = true) const {
    const std::size_t tail = s.computed - s.in_tree * kPage;
    if (keep_tail && tail > 0) into_tree(s, tail);
    for (const std::int32_t page : s.pages) cache->give(page);
    s.pages.clear();
  }
  bool put(const Tokens& tokens) const {
    Sequence s = begin(tokens);
    const bool all = compute_rest(s);
    end(s);
    return all;
  }
  [[nodiscard]] std::int64_t found(const Tokens& tokens) const {
    return tree->match(tokens).tokens();
  }
  [[nodiscard]] Node* last(const Tokens& tokens) const {
    const auto match = tree->match(tokens);
    return match.partial != nullptr ? match.partial : match.nodes.back();
  }

  ModelConfig config;
  std::unique_ptr<PageCache> cache;
  std::unique_ptr<HostPages> host;
  std::unique_ptr<PrefixTree> tree;
};

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

// ---- against walks over the whole tree ----

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
}  // namespace seedbed::engine
