#include "engine/prefix_tree.h"

#include <algorithm>

#include "base/check.h"

namespace seedbed::engine {

namespace {
constexpr std::size_t kPage = kernels::kPageTokens;

std::size_t common(std::span<const std::int32_t> a, std::span<const std::int32_t> b) {
  const std::size_t most = std::min(a.size(), b.size());
  std::size_t n = 0;
  while (n < most && a[n] == b[n]) ++n;
  return n;
}
}  // namespace

PrefixTree::PrefixTree(PageCache& cache, bool exact_hidden, HostPages* host)
    : cache_(cache), host_(host), exact_hidden_(exact_hidden) {}

PrefixTree::~PrefixTree() {
  clear();
}

PrefixTree::Match PrefixTree::match(std::span<const std::int32_t> tokens) const {
  Match out;
  const Node* at = &root_;
  while (!tokens.empty()) {
    Node* best = nullptr;
    std::size_t longest = 0;
    const auto [begin, end] = at->children.equal_range(tokens[0]);
    for (auto child = begin; child != end; ++child) {
      const std::size_t n = common(child->second->tokens, tokens);
      if (n <= longest || (exact_hidden_ && n < child->second->tokens.size())) continue;
      longest = n;
      best = child->second.get();
    }
    if (best == nullptr) break;
    if (longest < kPage) {
      out.partial = best;
      out.partial_count = static_cast<int>(longest);
      break;
    }
    out.nodes.push_back(best);
    at = best;
    tokens = tokens.subspan(kPage);
  }
  return out;
}

std::int64_t PrefixTree::Match::whole_pages_in_cache() const {
  return std::count_if(nodes.begin(), nodes.end(),
                       [](const Node* node) { return node->page >= 0; });
}

PrefixTree::Leaves* PrefixTree::leaves_of(const Node* node) {
  if (node == &root_) return nullptr;
  if (node->page >= 0) return node->with_page == 0 ? &leaves_ : nullptr;
  return node->children.empty() ? &host_leaves_ : nullptr;
}
void PrefixTree::list(Node* node) {
  if (Leaves* leaves = leaves_of(node)) leaves->emplace(place(*node), node);
}
void PrefixTree::unlist(Node* node) {
  if (Leaves* leaves = leaves_of(node)) leaves->erase(place(*node));
}

PrefixTree::Node* PrefixTree::insert(Node* parent,
                                     std::span<const std::int32_t> tokens,
                                     std::int32_t page) {
  SEEDBED_CHECK(!tokens.empty() && tokens.size() <= kPage, tokens.size());
  SEEDBED_CHECK(parent == &root_ || (parent->full() && parent->page >= 0), parent->tokens.size(),
                parent->page);
  const auto [begin, end] = parent->children.equal_range(tokens[0]);
  for (auto child = begin; child != end; ++child) {
    Node& there = *child->second;
    const std::size_t n = common(there.tokens, tokens);
    if (n == tokens.size() && n <= there.tokens.size()) {
      if (there.page < 0 && n == there.tokens.size()) {
        cache_.share(page);
        unspill(&there, page);
      }
      touch(&there);
      return &there;
    }
  }
  unlist(parent);
  auto made = std::make_unique<Node>();
  Node* node = made.get();
  node->parent = parent;
  node->tokens.assign(tokens.begin(), tokens.end());
  node->page = page;
  node->id = next_id_++;
  parent->children.emplace(tokens[0], std::move(made));
  ++parent->with_page;
  cache_.share(page);
  ++nodes_;
  list(node);
  touch(node);
  return node;
}

void PrefixTree::touch(Node* node) {
  ++clock_;
  for (; node != nullptr && node != &root_; node = node->parent) {
    unlist(node);
    node->used = clock_;
    list(node);
  }
}

void PrefixTree::remove(Node* node) {
  SEEDBED_CHECK(node->children.empty(), node->children.size());
  unlist(node);
  Node* parent = node->parent;
  unlist(parent);
  if (node->page >= 0) --parent->with_page;
  // A path that loses its end stays pinned as far as it goes.
  for (const std::uint64_t session : node->sessions) {
    if (parent == &root_) {
      pinned_.erase(session);
    } else {
      pinned_[session] = parent;
      parent->sessions.push_back(session);
    }
  }
  const auto [begin, end] = parent->children.equal_range(node->tokens[0]);
  const auto at = std::find_if(begin, end, [&](const auto& c) { return c.second.get() == node; });
  SEEDBED_CHECK(at != end);
  parent->children.erase(at);
  --nodes_;
  list(parent);
}

void PrefixTree::drop(Node* node) {
  const std::int32_t page = node->page, slot = node->host;
  remove(node);
  page >= 0 ? cache_.give(page) : host_->give(slot);
  ++evicted_;
}

bool PrefixTree::take_over(Node* node) {
  if (node->page < 0 || !node->children.empty() || cache_.holders(node->page) != 1) return false;
  remove(node);
  return true;
}

void PrefixTree::add_pin(std::uint64_t session, Node* node) {
  node->sessions.push_back(session);
  pinned_[session] = node;
  for (; node != &root_; node = node->parent) {
    unlist(node);
    ++node->pins;
    list(node);
  }
}

void PrefixTree::pin(std::uint64_t session, Node* node) {
  if (const auto at = pinned_.find(session); at != pinned_.end()) {
    Node* old = at->second;
    old->sessions.erase(std::find(old->sessions.begin(), old->sessions.end(), session));
    pinned_.erase(at);
    for (; old != &root_; old = old->parent) {
      unlist(old);
      --old->pins;
      list(old);
    }
  }
  if (node != nullptr && node != &root_) add_pin(session, node);
}

// ---- pages given up ----
PrefixTree::Node* PrefixTree::victim() {
  for (const auto& [key, node] : leaves_)
    if (cache_.holders(node->page) == 1) return node;
  return nullptr;
}

bool PrefixTree::evict() {
  Node* node = victim();
  if (node == nullptr) return false;
  const std::int32_t slot = host_slot(*node);
  // Where the tier takes nothing, no node below is spilled: it would have been dropped instead,
  // since it is worth no more than this one.
  slot >= 0 ? spill(node, slot) : drop(node);
  return true;
}

std::int32_t PrefixTree::take_page() {
  const std::int32_t page = cache_.take();
  if (page >= 0) return page;
  return evict() ? cache_.take() : -1;
}

void PrefixTree::evict_all() {
  while (!host_leaves_.empty()) drop(host_leaves_.begin()->second);
  while (Node* node = victim()) drop(node);
}

// ---- the host tier ----
// For the page of `node`: a free slot, or that of a leaf that is worth no more; -1: none.
std::int32_t PrefixTree::host_slot(const Node& node) {
  if (host_ == nullptr) return -1;
  const std::int32_t slot = host_->take(exchange_);
  if (slot >= 0) return slot;
  for (const auto& [key, leaf] : host_leaves_) {
    if (leaf == kept_) continue;
    if (worth(node) < worth(*leaf)) break;
    drop(leaf);
    return host_->take(exchange_);
  }
  return -1;
}

void PrefixTree::spill(Node* node, std::int32_t slot) {
  cache_.read(node->page, host_->at(slot));
  unlist(node);
  cache_.give(node->page);
  node->page = -1;
  node->host = slot;
  list(node);
  --node->parent->with_page;
  list(node->parent);
  ++spilled_;
}

void PrefixTree::unspill(Node* node, std::int32_t page) {
  unlist(node);
  unlist(node->parent);
  host_->give(node->host);
  node->host = -1;
  node->page = page;
  ++node->parent->with_page;
  list(node);
}

// False: there is no page to be had.
bool PrefixTree::restore(Node* node) {
  exchange_ = true;
  const std::int32_t page = take_page();
  exchange_ = false;
  if (page < 0) return false;
  cache_.write(page, host_->at(node->host));
  unspill(node, page);
  ++restored_;
  return true;
}

void PrefixTree::take(Match& match, std::vector<std::int32_t>& pages) {
  if (match.tokens() == 0) return;
  Node* end = match.partial != nullptr ? match.partial : match.nodes.back();
  touch(end);
  // What is spilled of the path cannot be dropped as long as its end cannot, and pages above are
  // held before those below come back.
  kept_ = end;
  std::size_t had = 0;
  for (; had < match.nodes.size(); ++had) {
    Node* node = match.nodes[had];
    if (node->page < 0 && !restore(node)) break;
    cache_.share(node->page);
    pages.push_back(node->page);
  }
  if (had < match.nodes.size()) {
    match.nodes.resize(had);
    match.leave_partial();
  } else if (match.partial != nullptr) {
    take_partial(match, pages);
  }
  kept_ = nullptr;
}

void PrefixTree::take_partial(Match& match, std::vector<std::int32_t>& pages) {
  Node* node = std::exchange(match.partial, nullptr);
  const bool all = match.partial_count == static_cast<int>(node->tokens.size());
  if (const std::int32_t page = node->page; page >= 0) {
    if (!all || !take_over(node)) cache_.share(page);
    pages.push_back(page);
    return;
  }
  // The caller would copy a page of the tree before it writes: it gets a copy at once.
  const bool moves = all && node->children.empty();
  exchange_ = moves;
  const std::int32_t page = take_page();
  exchange_ = false;
  if (page < 0) {
    match.leave_partial();
    return;
  }
  cache_.write(page, host_->at(node->host));
  ++restored_;
  if (moves) {
    const std::int32_t slot = node->host;
    remove(node);
    host_->give(slot);
  }
  pages.push_back(page);
}

// ---- the whole tree ----
void PrefixTree::clear() {
  pinned_.clear();
  leaves_.clear();
  host_leaves_.clear();
  std::vector<std::unique_ptr<Node>> open;
  const auto take_children = [&](Node& node) {
    for (auto& [first, child] : node.children) open.push_back(std::move(child));
    node.children.clear();
  };
  take_children(root_);
  root_.with_page = 0;
  while (!open.empty()) {  // no recursion: a long context is a deep tree
    const auto node = std::move(open.back());
    open.pop_back();
    take_children(*node);
    node->page >= 0 ? cache_.give(node->page) : host_->give(node->host);
  }
  nodes_ = 0;
}

PrefixTree::Held PrefixTree::held() const {
  Held out;
  std::vector<const Node*> open = {&root_};
  while (!open.empty()) {
    const Node* node = open.back();
    open.pop_back();
    for (const auto& [first, child] : node->children)
      if (child->page >= 0) open.push_back(child.get());
    if (node == &root_ || cache_.holders(node->page) != 1) continue;
    ++out.alone;
    out.pinned += node->pins > 0 ? 1 : 0;
  }
  return out;
}

}  // namespace seedbed::engine
