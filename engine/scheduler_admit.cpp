// Who begins, and whose pages.
#include <algorithm>
#include <tuple>

#include "base/check.h"
#include "engine/scheduler.h"

namespace seedbed::engine {

namespace {
constexpr std::int64_t kPage = kernels::kPageTokens;
constexpr int kLookedAt = 256;   // waiting requests, an admission
constexpr int kMostPassed = 64;  // admissions of others before a request goes first

std::int64_t pages_for(std::int64_t tokens) {
  return (tokens + kPage - 1) / kPage;
}
std::int64_t common(const std::vector<std::int32_t>& a, const std::vector<std::int32_t>& b) {
  const auto n = static_cast<std::ptrdiff_t>(std::min(a.size(), b.size()));
  return std::mismatch(a.begin(), a.begin() + n, b.begin()).first - a.begin();
}
}  // namespace

// A sequence that is reading a prompt of which `s` can use a page more than what is there.
Sequence* Scheduler::worth_waiting_for(const Sequence& s, std::int64_t have) const {
  if (!options_.prefix_cache) return nullptr;
  for (const auto& other : running_) {
    if (other->missing() <= 1) continue;
    if (other->tokens == s.tokens) return other.get();
    const std::int64_t shared =
        std::min(common(other->tokens, s.tokens), static_cast<std::int64_t>(s.tokens.size()) - 1);
    if (shared / kPage > have / kPage && shared / kPage > other->computed / kPage)
      return other.get();
  }
  return nullptr;
}

// What of the prompt lies in pages, or lay in them, becomes the sequence's.
void Scheduler::take_match(Sequence& s) {
  // The last token is always computed: its logits are wanted.
  auto match = tree_.match(std::span(s.tokens).first(s.tokens.size() - 1));
  if (s.whole_pages) match.leave_partial();
  std::vector<float> hidden;
  if (match.partial != nullptr) hidden = match.partial->hidden;  // the node may go
  tree_.take(match, s.pages);
  s.node = match.nodes.empty() ? nullptr : match.nodes.back();
  s.in_tree = static_cast<std::int64_t>(match.nodes.size());
  s.computed = match.tokens();
  if (speculative() && s.computed > 0) {
    if (match.partial_count == 0) hidden = s.node->hidden;
    SEEDBED_CHECK(!hidden.empty());
    s.predicted = s.computed - 1;
    s.last_hidden = hidden;
    s.waiting = std::move(hidden);
  }
}

void Scheduler::release(Sequence& s) {
  for (const std::int32_t page : s.pages) cache_.give(page);
  s.pages.clear();
  s.computed = s.in_tree = s.predicted = 0;
  s.node = nullptr;
  s.waiting.clear();
  s.guess = -1;
}

std::int32_t Scheduler::take_page() {
  return tree_.take_page();
}

// The part of a page at the end of what is computed, for when the sequence is resumed.
void Scheduler::keep_tail(const Sequence& s) {
  const std::int64_t tail = s.computed - s.in_tree * kPage;
  if (!options_.prefix_cache || tail == 0 || (speculative() && s.last_hidden.empty())) return;
  const std::int32_t page = s.pages[static_cast<std::size_t>(s.in_tree)];
  if (cache_.holders(page) > 1) return;  // others need it for themselves
  PrefixTree::Node* node =
      tree_.insert(s.node == nullptr ? tree_.root() : s.node,
                   std::span(s.tokens).subspan(static_cast<std::size_t>(s.in_tree * kPage),
                                               static_cast<std::size_t>(tail)),
                   page);
  if (node->hidden.empty()) node->hidden = s.last_hidden;
}

void Scheduler::put_back(Sequence& s) {
  keep_tail(s);
  release(s);
  s.resumed = true;
  s.running = false;
  s.rows = 0;
  ++stats_.preemptions;
  const auto at = std::find_if(running_.begin(), running_.end(),
                               [&](const auto& other) { return other.get() == &s; });
  auto owner = std::move(*at);
  running_.erase(at);
  for (auto& follower : owner->followers) waiting_.push_front(std::move(follower));
  owner->followers.clear();
  waiting_.push_front(std::move(owner));
}

// The youngest running sequence of the lowest priority goes back into the queue; false where that
// is `s` or there is none.
bool Scheduler::preempt_for(const Sequence& s) {
  Sequence* victim = nullptr;
  for (const auto& other : running_) {
    if (other->pages.empty() && other.get() != &s) continue;
    if (victim == nullptr || other->request.priority < victim->request.priority ||
        (other->request.priority == victim->request.priority &&
         other->admitted >= victim->admitted))
      victim = other.get();
  }
  if (victim == nullptr || victim == &s) return false;
  put_back(*victim);
  return true;
}

// Pages for positions [computed, length), the first of them its own.
bool Scheduler::make_room(Sequence& s, std::int64_t length) {
  const auto need = [&]() -> std::int32_t {
    while (true) {
      const std::int32_t page = take_page();
      if (page >= 0 || !preempt_for(s)) return page;
    }
  };
  if (s.computed % kPage != 0) {
    std::int32_t& tail = s.pages[static_cast<std::size_t>(s.computed / kPage)];
    if (cache_.holders(tail) > 1) {
      const std::int32_t own = need();
      if (own < 0) return false;
      if (cache_.holders(tail) == 1) {  // its other holders were just put back
        cache_.give(own);
      } else {
        cache_.copy(tail, own);
        cache_.give(tail);
        tail = own;
        ++stats_.copied_pages;
      }
    }
  }
  while (static_cast<std::int64_t>(s.pages.size()) * kPage < length) {
    const std::int32_t page = need();
    if (page < 0) return false;
    s.pages.push_back(page);
  }
  return true;
}

void Scheduler::begin(Sequence& s) {
  s.admitted = std::chrono::steady_clock::now();
  s.passed_over = 0;
  s.running = true;
  if (s.began) return;
  s.began = true;
  s.result.queue_seconds = std::chrono::duration<double>(s.admitted - s.submitted).count();
  s.result.cached_tokens = s.computed;
  s.result.prompt_tokens = s.prompt - s.computed;
  stats_.queue.add(s.result.queue_seconds);
  stats_.prompt_tokens += s.prompt;
  stats_.hit_tokens += s.computed;
  stats_.prompt_length.add(static_cast<double>(s.prompt));
}

// evictable: pages that the tree alone holds.
bool Scheduler::try_admit(std::unique_ptr<Sequence>& owner, std::int64_t evictable) {
  Sequence& s = *owner;
  PrefixTree::Match match;
  if (options_.prefix_cache) match = tree_.match(std::span(s.tokens).first(s.tokens.size() - 1));
  const std::int64_t have = match.tokens();
  if (Sequence* leader = worth_waiting_for(s, have)) {
    // The very same prompt, read for the first time: the leader's logits serve both.
    if (s.resumed || leader->resumed || leader->tokens != s.tokens) return false;
    std::size_t all = running_.size();
    for (const auto& other : running_) all += other->followers.size();
    if (all >= static_cast<std::size_t>(options_.max_batch)) return false;
    leader->followers.push_back(std::move(owner));
    return true;
  }
  // A page of growth for everybody, besides what the prompt needs.
  const std::int64_t there = match.whole_pages_in_cache();
  const std::int64_t need = pages_for(static_cast<std::int64_t>(s.tokens.size()) + 1) - there +
                            static_cast<std::int64_t>(running_.size());
  if (!running_.empty() && need > cache_.free_pages() + evictable - there) return false;
  if (options_.prefix_cache) take_match(s);
  begin(s);
  running_.push_back(std::move(owner));
  return true;
}

void Scheduler::admit() {
  if (hold_) return;
  while (!waiting_.empty() && running_.size() < static_cast<std::size_t>(options_.max_batch)) {
    // Who was passed over too often, then priority, then the longest prefix in pages, then arrival.
    using At = std::list<std::unique_ptr<Sequence>>::iterator;
    struct Candidate {
      bool late;
      int priority;
      std::int64_t have;
      At at;
    };
    std::vector<Candidate> order;
    for (auto at = waiting_.begin(); at != waiting_.end() && order.size() < kLookedAt; ++at) {
      const Sequence& s = **at;
      order.push_back({s.passed_over >= kMostPassed, s.request.priority,
                       options_.prefix_cache && s.request.session != 0
                           ? tree_.match(std::span(s.tokens).first(s.tokens.size() - 1)).tokens()
                           : 0,
                       at});
    }
    std::stable_sort(order.begin(), order.end(), [](const Candidate& a, const Candidate& b) {
      return std::tuple(b.late, b.priority, b.have) < std::tuple(a.late, a.priority, a.have);
    });
    const std::int64_t evictable = running_.empty() ? 0 : tree_.held().alone;
    auto admitted = order.begin();
    for (; admitted != order.end(); ++admitted) {
      // Nobody overtakes one that was passed over too often and lacks room.
      const bool barrier = admitted->late && worth_waiting_for(**admitted->at, 0) == nullptr;
      if (try_admit(*admitted->at, evictable)) break;
      if (barrier) return;
    }
    if (admitted == order.end()) return;
    for (auto at = waiting_.begin(); at != admitted->at; ++at) ++(*at)->passed_over;
    waiting_.erase(admitted->at);
  }
}

}  // namespace seedbed::engine
