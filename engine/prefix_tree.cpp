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

void PrefixTree::list(Node* node) {
  if (node != &root_ && node->children.empty()) leaves_.emplace(place(*node), node);
}
void PrefixTree::unlist(Node* node) {
  leaves_.erase(place(*node));
}

PrefixTree::Node* PrefixTree::insert(Node* parent,
                                     std::span<const std::int32_t> tokens,
                                     std::int32_t page) {
  SEEDBED_CHECK(!tokens.empty() && tokens.size() <= kPage, tokens.size());
  SEEDBED_CHECK(parent == &root_ || parent->full(), parent->tokens.size());
  const auto [begin, end] = parent->children.equal_range(tokens[0]);
  for (auto child = begin; child != end; ++child) {
    Node& there = *child->second;
    const std::size_t n = common(there.tokens, tokens);
    if (n == tokens.size() && n <= there.tokens.size()) {
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
  cache_.share(page);
  ++nodes_;
  list(node);
  touch(node);
  return node;
}

void PrefixTree::touch(Node* node) {
  ++clock_;
  for (; node != nullptr && node != &root_; node = node->parent) {
    const bool leaf = node->children.empty();
    if (leaf) unlist(node);
    node->used = clock_;
    if (leaf) list(node);
  }
}

void PrefixTree::remove(Node* node) {
  unlist(node);
  Node* parent = node->parent;
  // A path that loses its end stays pinned as far as it goes.
  if (parent != &root_) unlist(parent);
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

bool PrefixTree::take_over(Node* node) {
  if (!node->children.empty() || cache_.holders(node->page) != 1) return false;
  remove(node);
  return true;
}

void PrefixTree::pin(std::uint64_t session, Node* node) {
  if (const auto at = pinned_.find(session); at != pinned_.end()) {
    Node* old = at->second;
    const bool leaf = old->children.empty();
    if (leaf) unlist(old);
    old->sessions.erase(std::find(old->sessions.begin(), old->sessions.end(), session));
    if (leaf) list(old);
    pinned_.erase(at);
  }
  if (node == nullptr || node == &root_) return;
  const bool leaf = node->children.empty();
  if (leaf) unlist(node);
  node->sessions.push_back(session);
  if (leaf) list(node);
  pinned_[session] = node;
}

bool PrefixTree::evict() {
  for (auto& [key, node] : leaves_) {
    if (cache_.holders(node->page) != 1) continue;
    const std::int32_t page = node->page;
    remove(node);
    cache_.give(page);
    ++evicted_;
    return true;
  }
  return false;
}

void PrefixTree::clear() {
  pinned_.clear();
  leaves_.clear();
  std::vector<std::unique_ptr<Node>> open;
  const auto take_children = [&](Node& node) {
    for (auto& [first, child] : node.children) open.push_back(std::move(child));
    node.children.clear();
  };
  take_children(root_);
  while (!open.empty()) {  // no recursion: a long context is a deep tree
    const auto node = std::move(open.back());
    open.pop_back();
    take_children(*node);
    cache_.give(node->page);
  }
  nodes_ = 0;
}

PrefixTree::Held PrefixTree::held() const {
  Held out;
  std::set<const Node*> pinned;
  for (const auto& [session, end] : pinned_)
    for (const Node* node = end; node != &root_ && pinned.insert(node).second;) node = node->parent;
  std::vector<const Node*> open = {&root_};
  while (!open.empty()) {
    const Node* node = open.back();
    open.pop_back();
    for (const auto& [first, child] : node->children) open.push_back(child.get());
    if (node == &root_ || cache_.holders(node->page) != 1) continue;
    ++out.alone;
    out.pinned += pinned.count(node) != 0 ? 1 : 0;
  }
  return out;
}

}  // namespace seedbed::engine
