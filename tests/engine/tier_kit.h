// A prefix tree with a host tier, pages whose bytes say which tokens they stand for, and walks that
// check both.
#pragma once
#include <gtest/gtest.h>

#include <cstring>
#include <set>

#include "base/rng.h"
#include "engine/prefix_tree.h"
#include "tests/engine/model_kit.h"

namespace seedbed::engine::tiered {

using Node = PrefixTree::Node;
using Tokens = std::vector<std::int32_t>;
constexpr std::size_t kPage = kernels::kPageTokens;

inline Tokens count(int from, int n) {
  Tokens out(static_cast<std::size_t>(n));
  for (int i = 0; i < n; ++i) out[static_cast<std::size_t>(i)] = from + i;
  return out;
}

// What a position holds follows from the tokens up to it.
inline std::uint16_t mark(std::uint16_t before, std::int32_t token) {
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

}  // namespace seedbed::engine::tiered
