// Which token prefixes lie in pages: a radix tree whose edges are pages. A node stands for up to 64
// tokens that follow its parent's; only nodes of 64 have children. What the cache has no room for
// may be spilled: its page becomes an image in the host tier and comes back when a prompt begins
// with it.
//
//   (1) The tree holds each of its pages once (PageCache::share); sequences hold theirs on their
//       own, ancestors included, so a page with one holder is the tree's alone.
//   (2) Each node but the root has a page or a slot of the host tier, never both. What is spilled
//       has nothing but spilled nodes below it.
//   (3) Only pages with one holder and no page below them are given up: the least recently used
//       first, those on the path of a session's pin after all others. The host tier drops leaves in
//       the same order, and none that is worth more than what would take its slot.
//   (4) Slots at and beyond a node's token count mean nothing, and its first `count` never change.
#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

#include "engine/cache.h"
#include "engine/host_pages.h"

namespace seedbed::engine {

class PrefixTree {
 public:
  struct Node {
    Node* parent = nullptr;
    std::vector<std::int32_t> tokens;
    std::int32_t page = -1;  // -1: spilled
    std::int32_t host = -1;  // its slot then
    std::uint64_t used = 0, id = 0;
    std::multimap<std::int32_t, std::unique_ptr<Node>> children;  // by first token
    std::size_t with_page = 0;                                    // of the children
    std::vector<std::uint64_t> sessions;                          // that pin this node
    std::size_t pins = 0;  // of sessions, on this node and on all below
    // The model's last hidden state at the node's last token, where drafts are made.
    std::vector<float> hidden;
    [[nodiscard]] bool full() const {
      return static_cast<int>(tokens.size()) == kernels::kPageTokens;
    }
  };

  // exact_hidden: a match ends where a node does, so that `hidden` goes with it. host: where pages
  // go that the cache has no room for; null: nowhere. Both outlive the tree.
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
    [[nodiscard]] std::int64_t whole_pages_in_cache() const;
    void leave_partial() {
      partial = nullptr;
      partial_count = 0;
    }
  };
  // The longest prefix of `tokens` in the tree, spilled or not. Takes nothing and touches nothing.
  [[nodiscard]] Match match(std::span<const std::int32_t> tokens) const;
  // Adds the pages of the match to `pages`, the caller being one more holder of each; what is
  // spilled comes back first. The partial page is the caller's alone where the tree could give it
  // up or it was spilled; else it is shared, to be copied before it is written. Ends the match
  // where there was no page to be had. match.partial is null afterwards, partial_count stays.
  void take(Match& match, std::vector<std::int32_t>& pages);
  [[nodiscard]] Node* root() { return &root_; }

  // A page of tokens after `parent` (full, with a page). Returns the node that stands for them: a
  // new one that shares `page`, or the one that was there (then `page` is not needed; same bytes,
  // which the node takes if it was spilled).
  Node* insert(Node* parent, std::span<const std::int32_t> tokens, std::int32_t page);
  void touch(Node* node);  // and its ancestors: just used
  // Takes the page out of the tree: a leaf that only the tree holds goes, and the caller holds its
  // page. False where others hold it or pages follow it.
  bool take_over(Node* node);

  // The session's path ends at `node`; its earlier pin goes. Null: no pin.
  void pin(std::uint64_t session, Node* node);
  [[nodiscard]] std::int64_t sessions() const { return static_cast<std::int64_t>(pinned_.size()); }

  // A page for the caller to hold: a free one, or one given up for it; -1: there is none.
  std::int32_t take_page();
  // Gives up one page, to the host tier where there is room; false: there is none to give.
  bool evict();
  void evict_all();  // all that the tree alone holds, and what is spilled; nothing is spilled
  void clear();      // every page that the tree alone holds is free afterwards; no pin remains
  [[nodiscard]] std::int64_t nodes() const { return nodes_; }
  // Pages that the tree alone holds, and those of them on pinned paths. Walks the tree.
  struct Held {
    std::int64_t alone = 0, pinned = 0;
  };
  [[nodiscard]] Held held() const;
  // Nodes lost to want of room; pages made images; images made pages.
  [[nodiscard]] std::int64_t evicted() const { return evicted_; }
  [[nodiscard]] std::int64_t spilled() const { return spilled_; }
  [[nodiscard]] std::int64_t restored() const { return restored_; }
  [[nodiscard]] std::int64_t host_pages() const { return host_ == nullptr ? 0 : host_->pages(); }
  [[nodiscard]] std::int64_t host_pages_used() const {
    return host_ == nullptr ? 0 : host_->used();
  }

 private:
  using Worth = std::pair<bool, std::uint64_t>;                  // pinned, used
  using Place = std::tuple<bool, std::uint64_t, std::uint64_t>;  // the same, id
  using Leaves = std::map<Place, Node*>;
  static Worth worth(const Node& node) { return {node.pins > 0, node.used}; }
  static Place place(const Node& node) { return {node.pins > 0, node.used, node.id}; }
  Leaves* leaves_of(const Node* node);  // where it is listed; null: it is no leaf
  void list(Node* node);
  void unlist(Node* node);  // before anything of place() or leaves_of() changes
  void add_pin(std::uint64_t session, Node* node);
  Node* victim();           // what evict() gives up; null: nothing
  void remove(Node* node);  // no children; pins move to the parent; page or slot is not given
  void drop(Node* node);    // remove, and give
  std::int32_t host_slot(const Node& node);
  void spill(Node* node, std::int32_t slot);
  void unspill(Node* node, std::int32_t page);  // which the tree holds
  bool restore(Node* node);
  void take_partial(Match& match, std::vector<std::int32_t>& pages);

  PageCache& cache_;
  HostPages* host_;
  bool exact_hidden_;
  Node root_;
  Leaves leaves_, host_leaves_;
  std::unordered_map<std::uint64_t, Node*> pinned_;
  // While a match is taken: its end, which stays; and whether the next page that is given up goes
  // into the place of one that comes back.
  const Node* kept_ = nullptr;
  bool exchange_ = false;
  std::uint64_t clock_ = 0, next_id_ = 1;
  std::int64_t nodes_ = 0, evicted_ = 0, spilled_ = 0, restored_ = 0;
};

}  // namespace seedbed::engine
