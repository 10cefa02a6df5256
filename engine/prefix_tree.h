// Which token prefixes lie in pages: a radix tree whose edges are pages. A node stands for up to 64
// tokens that follow its parent's; only nodes of 64 have children.
//
//   (1) The tree holds each of its pages once (PageCache::share); sequences hold theirs on their
//       own, ancestors included, so a page with one holder is the tree's alone.
//   (2) Only leaves with one holder are given up: the least recently used first, those that a
//       session pinned after all others.
//   (3) Slots at and beyond a node's token count mean nothing, and its first `count` never change.
#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "engine/cache.h"
#include "engine/host_pages.h"

namespace seedbed::engine {

class PrefixTree {
 public:
  struct Node {
    Node* parent = nullptr;
    std::vector<std::int32_t> tokens;
    std::int32_t page = -1;
    std::uint64_t used = 0, id = 0;
    std::multimap<std::int32_t, std::unique_ptr<Node>> children;  // by first token
    std::vector<std::uint64_t> sessions;                          // that pin this node
    // The model's last hidden state at the node's last token, where drafts are made.
    std::vector<float> hidden;
    [[nodiscard]] bool full() const {
      return static_cast<int>(tokens.size()) == kernels::kPageTokens;
    }
  };

  // exact_hidden: a match ends where a node does, so that `hidden` goes with it.
  // host: where pages go that the cache gives up; null: nowhere.
  PrefixTree(PageCache& cache, bool exact_hidden, HostPages* host = nullptr);
  ~PrefixTree();
  PrefixTree(const PrefixTree&) = delete;
  PrefixTree& operator=(const PrefixTree&) = delete;

  struct Match {
    std::vector<Node*> nodes;  // whole pages, from the root
    Node* partial = nullptr;   // a page of which the first `partial_count` tokens fit
    int partial_count = 0;
    [[nodiscard]] std::int64_t tokens() const {
      return static_cast<std::int64_t>(nodes.size()) * kernels::kPageTokens + partial_count;
    }
  };
  // The longest prefix of `tokens` in the tree. Takes nothing and touches nothing.
  [[nodiscard]] Match match(std::span<const std::int32_t> tokens) const;
  [[nodiscard]] Node* root() { return &root_; }

  // A page of tokens after `parent` (full). Returns the node that stands for them: a new one that
  // shares `page`, or the one that was there (then `page` is not needed; same bytes).
  Node* insert(Node* parent, std::span<const std::int32_t> tokens, std::int32_t page);
  void touch(Node* node);  // and its ancestors: just used
  // Takes the page out of the tree: a leaf that only the tree holds goes, and the caller holds its
  // page. False where others hold it or pages follow it.
  bool take_over(Node* node);

  // The session's path ends at `node`; its earlier pin goes. Null: no pin.
  void pin(std::uint64_t session, Node* node);
  [[nodiscard]] std::int64_t sessions() const { return static_cast<std::int64_t>(pinned_.size()); }

  // Gives up one page; false: there is none to give.
  bool evict();
  void evict_all() {
    while (evict()) {
    }
  }
  void clear();  // every page that the tree alone holds is free afterwards; no pin remains
  [[nodiscard]] std::int64_t nodes() const { return nodes_; }
  // Pages that the tree alone holds, and those of them on pinned paths. Walks the tree.
  struct Held {
    std::int64_t alone = 0, pinned = 0;
  };
  [[nodiscard]] Held held() const;
  [[nodiscard]] std::int64_t evicted() const { return evicted_; }

 private:
  using Place = std::tuple<bool, std::uint64_t, std::uint64_t>;  // pinned, used, id
  static Place place(const Node& node) { return {!node.sessions.empty(), node.used, node.id}; }
  void list(Node* node);    // in leaves_, if it is one
  void unlist(Node* node);  // before anything of place() changes
  void remove(Node* node);  // pins move to the parent; the page is not given

  PageCache& cache_;
  HostPages* host_;
  bool exact_hidden_;
  Node root_;
  std::map<Place, Node*> leaves_;
  std::unordered_map<std::uint64_t, Node*> pinned_;
  std::uint64_t clock_ = 0, next_id_ = 1;
  std::int64_t nodes_ = 0, evicted_ = 0;
};

}  // namespace seedbed::engine
