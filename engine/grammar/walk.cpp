#include "engine/grammar/walk.h"

#include <algorithm>
#include <bit>

namespace seedbed::engine::grammar {
namespace {

constexpr std::size_t kMaxLocals = 256;  // side by side; where there are more, tokens are doubtful
constexpr int kMaxNesting = 200;         // of calls and ends between two symbols
constexpr std::size_t kMaxCacheBytes = 64U << 20;

std::uint64_t mix(std::uint64_t h, std::uint64_t x) {
  h = (h ^ x) * 0x9e3779b97f4a7c15ULL;
  return h ^ h >> 29;
}

std::size_t size_of(const Piece& piece) {
  return sizeof piece + 128 + 16 * piece.keys.size() +
         4 * (piece.bits.size() + piece.ids.size() + piece.doubtful.size());
}

}  // namespace

std::size_t PieceCache::Hash::operator()(const PieceKey& key) const {
  auto h = mix(key.state, std::uint64_t{key.need} << 32 | key.room);
  h = mix(h, std::uint64_t{key.list} << 32 | static_cast<std::uint32_t>(key.budget));
  return mix(h, std::uint64_t{key.depth} << 1 | (key.strict ? 1U : 0U));
}

std::shared_ptr<const Piece> PieceCache::find(const PieceKey& key) {
  const std::scoped_lock lock(mutex_);
  const auto it = pieces_.find(key);
  return it == pieces_.end() ? nullptr : it->second;
}

// What is in use stays with those who use it.
void PieceCache::make_room() {
  if (bytes_ <= kMaxCacheBytes) return;
  pieces_.clear();
  lists_.clear();
  bytes_ = 0;
}

void PieceCache::keep(const PieceKey& key, std::shared_ptr<const Piece> piece) {
  const std::scoped_lock lock(mutex_);
  make_room();
  const auto size = size_of(*piece);
  if (pieces_.emplace(key, std::move(piece)).second) bytes_ += size;
}

std::shared_ptr<const Leaves> PieceCache::leaves(std::vector<std::uint32_t> sure,
                                                 std::vector<std::uint32_t> doubtful) {
  if (sure.empty() && doubtful.empty()) return nullptr;
  std::uint64_t hash = sure.size();
  for (const auto* list : {&sure, &doubtful})
    for (const auto n : *list) hash = mix(hash, n);
  const std::scoped_lock lock(mutex_);
  const auto [begin, end] = lists_.equal_range(hash);
  for (auto it = begin; it != end; ++it)
    if (it->second->sure == sure && it->second->doubtful == doubtful) return it->second;
  auto made = std::make_shared<Leaves>();
  made->id = next_list_++;
  made->sure = std::move(sure);
  made->doubtful = std::move(doubtful);
  bytes_ += 128 + 4 * (made->sure.size() + made->doubtful.size());
  lists_.emplace(hash, made);
  return made;
}

std::size_t PieceCache::bytes() {
  const std::scoped_lock lock(mutex_);
  return bytes_;
}

std::shared_ptr<const Piece> Walker::run(const PieceKey& key,
                                         const Leaves* from,
                                         PieceCache& cache) {
  key_ = key;
  sure_.clear();
  doubtful_nodes_.clear();
  bits_.assign(v_.words, 0);
  doubtful_.clear();
  keys_.clear();
  longest_ = -1;
  levels_.resize(v_.longest + 2);
  const Local start{key.state, key.need, key.room, -1, key.depth, 0, false};
  sure_start_ = true;
  if (from == nullptr) {
    subtree(0, start);
  } else {
    for (const auto node : from->sure) subtree(node, start);
    sure_start_ = false;
    for (const auto node : from->doubtful) subtree(node, start);
  }
  const auto once = [](auto& list) {
    std::sort(list.begin(), list.end());
    list.erase(std::unique(list.begin(), list.end()), list.end());
  };
  once(doubtful_);
  once(keys_);
  once(sure_);
  once(doubtful_nodes_);
  const auto allowed = [this](std::int32_t id) {
    return (bits_[static_cast<std::size_t>(id) / 32] >> (static_cast<unsigned>(id) % 32) & 1U) != 0;
  };
  auto piece = std::make_shared<Piece>();
  for (const auto id : doubtful_)
    if (!allowed(id)) piece->doubtful.push_back(id);
  std::size_t count = 0;
  for (const auto word : bits_) count += static_cast<std::size_t>(std::popcount(word));
  if (count >= v_.words) {
    piece->bits = bits_;
  } else {
    for (std::size_t i = 0; i < bits_.size(); ++i)
      for (auto word = bits_[i]; word != 0; word &= word - 1)
        piece->ids.push_back(static_cast<std::int32_t>(i * 32) + std::countr_zero(word));
  }
  piece->longest = longest_;
  piece->keys = keys_;
  piece->leaves = cache.leaves(sure_, doubtful_nodes_);
  return piece;
}

void Walker::subtree(std::uint32_t top, const Local& start) {
  locals_.assign(1, start);
  frames_.clear();
  levels_[v_.nodes[top].depth] = {0, 1, 0, top, false, false, false};
  children(top);
}

// What levels_ holds for deeper nodes is gone when the next child is looked at.
void Walker::children(std::uint32_t top) {
  const auto depth = v_.nodes[top].depth;
  const auto level = levels_[depth];
  if (level.end - level.begin == 1 && p_.states[locals_[level.begin].state].text)
    return text(top, Local(locals_[level.begin]), level.overflown);
  const auto end = v_.nodes[top].skip;
  for (auto i = top + 1; i < end; i = v_.nodes[i].skip) {
    locals_.resize(level.end);
    frames_.resize(level.frames);
    out_begin_ = level.end;
    full_ = level.overflown;
    depth_ = depth;
    for (auto c = level.begin; c < level.end; ++c) {
      const Local local = locals_[c];
      step(local, v_.nodes[i].symbol, 0);
    }
    if (locals_.size() != level.end)
      enter(i, level.end, full_);
    else if (full_)
      for (const auto id : v_.below(i)) doubtful_.push_back(id);
  }
}

void Walker::enter(std::uint32_t node, std::size_t begin, bool overflown) {
  auto& level = levels_[v_.nodes[node].depth];
  level = {begin, locals_.size(), frames_.size(), node, overflown, false, false};
  if (v_.nodes[node].token_begin != v_.nodes[node].token_end)
    tokens_at(node, std::span(locals_).subspan(begin), overflown);
  if (node + 1 < v_.nodes[node].skip) children(node);
}

// Most of a tree is text: one state, whose table says it all.
void Walker::text(std::uint32_t top, const Local& c, bool overflown) {
  const auto& table = p_.tables[p_.states[c.state].table];
  const auto locals = locals_.size(), frames = frames_.size();
  const auto end = v_.nodes[top].skip;
  for (auto i = top + 1; i < end;) {
    const auto& node = v_.nodes[i];
    const auto to = table[node.symbol];
    const auto next = to == kNone ? std::optional<Local>() : taken(c, to & kTableState, to >> 30);
    if (next && p_.states[next->state].text) {
      if (node.token_begin != node.token_end) tokens_at(i, {&*next, 1}, overflown);
      if (i + 1 < node.skip) text(i, *next, overflown);
    } else if (next) {
      locals_.push_back(*next);
      enter(i, locals, overflown);
      locals_.erase(locals_.begin() + static_cast<std::ptrdiff_t>(locals), locals_.end());
      frames_.resize(frames);
    }
    i = node.skip;
  }
}

std::uint64_t Walker::distance(const Local& c) const {
  const auto& s = p_.states[c.state];
  return std::uint64_t{s.distance} + std::uint64_t{c.need} * p_.rules[s.rule].round +
         (c.frame < 0 ? 0 : frames_[static_cast<std::size_t>(c.frame)].distance);
}

void Walker::tokens_at(std::uint32_t node, std::span<const Local> locals, bool overflown) {
  std::int64_t best = -1;
  bool doubt = overflown;
  const auto budget = static_cast<std::uint64_t>(key_.budget);
  for (const auto& c : locals) {
    const bool sure =
        sure_start_ && c.touch < 3 && !(key_.strict && !c.fresh && p_.states[c.state].before_key);
    if (!sure) {
      doubt = true;
      continue;
    }
    const auto far = distance(c);
    if (far > budget && key_.budget != kNoBudget) continue;
    const auto d = static_cast<std::int64_t>(far);
    if (best < 0 || d < best) best = d;
  }
  for (const auto id : v_.at(node)) {
    if (best >= 0)
      bits_[static_cast<std::size_t>(id) / 32] |= 1U << (static_cast<unsigned>(id) % 32);
    else if (doubt)
      doubtful_.push_back(id);
  }
  longest_ = std::max(longest_, best);
}

void Walker::step(const Local& c, Symbol symbol, int nesting) {
  if (nesting > kMaxNesting) return;
  const auto& s = p_.states[c.state];
  if (s.table != kNone) {
    const auto to = p_.tables[s.table][symbol];
    if (to != kNone) take(c, to & kTableState, to >> 30);
  } else {
    for (const auto& e : p_.edges_of(s))
      if (e.lo <= symbol && symbol <= e.hi) take(c, e.to, e.flags);
  }
  for (const auto& edge : p_.calls_of(s)) call(c, edge, symbol, nesting);
  if (!s.final || !p_.rules[s.rule].follow[symbol]) return;
  if (c.frame < 0) return leave(c);
  const auto f = frames_[static_cast<std::size_t>(c.frame)];
  step({f.ret, f.need, f.room, f.parent, f.depth, c.touch, f.fresh}, symbol, nesting + 1);
}

void Walker::leave(const Local& c) {
  auto& level = levels_[depth_];
  const bool doubt = c.touch == 3 || !sure_start_;
  auto& done = doubt ? level.left_doubtful : level.left;
  if (done) return;
  done = true;
  (doubt ? doubtful_nodes_ : sure_).push_back(level.node);
}

std::optional<Walker::Local> Walker::taken(const Local& c,
                                           std::uint32_t target,
                                           unsigned flags) const {
  if (p_.states[target].depth > c.depth) return std::nullopt;
  auto next = c;
  next.state = target;
  if ((flags & kNeedsEnough) != 0 && c.need > 0) return std::nullopt;
  if ((flags & kCounts) != 0) {
    if (c.room == 0) return std::nullopt;
    if (c.room != kNone) --next.room;
    if (c.need > 0) --next.need;
  }
  return next;
}

void Walker::take(const Local& c, std::uint32_t target, unsigned flags) {
  const auto made = taken(c, target, flags);
  if (!made) return;
  const auto& next = *made;
  const auto count = locals_.size() - out_begin_;
  if (count > 0 && known(next)) return;
  if (count >= kMaxLocals) {
    full_ = true;
    return;
  }
  locals_.push_back(next);
}

bool Walker::same(std::int32_t a, std::int32_t b) const {
  while (a != b) {
    if (a < 0 || b < 0) return false;
    const auto &x = frames_[static_cast<std::size_t>(a)], &y = frames_[static_cast<std::size_t>(b)];
    if (x.ret != y.ret || x.need != y.need || x.room != y.room || x.depth != y.depth ||
        x.fresh != y.fresh)
      return false;
    a = x.parent;
    b = y.parent;
  }
  return true;
}

bool Walker::known(const Local& c) const {
  for (auto i = out_begin_; i < locals_.size(); ++i) {
    const auto& o = locals_[i];
    if (o.state == c.state && o.need == c.need && o.room == c.room && o.depth == c.depth &&
        o.touch == c.touch && o.fresh == c.fresh && same(o.frame, c.frame))
      return true;
  }
  return false;
}

void Walker::call(const Local& c, const CallEdge& edge, Symbol symbol, int nesting) {
  const auto& rule = p_.rules[edge.rule];
  if (!rule.first[symbol] && !p_.states[rule.start].final) return;
  if (rule.depth > c.depth || p_.states[edge.to].depth > c.depth) return;
  Local inner{rule.start, rule.min, rule.max, c.frame, c.depth, c.touch, true};
  if (rule.container) --inner.depth;
  if (rule.key) {
    inner.touch = c.touch != 0 ? 3 : c.fresh ? 1 : 2;
    if (inner.touch == 2) keys_.push_back({levels_[depth_].node, edge.rule, edge.to, c.need});
  }
  if (rule.key || !p_.only_ends(edge.to)) {
    const auto& back = p_.states[edge.to];
    const auto below = c.frame < 0 ? 0U : frames_[static_cast<std::size_t>(c.frame)].distance;
    const auto far =
        std::uint64_t{back.distance} + std::uint64_t{c.need} * p_.rules[back.rule].round + below;
    inner.frame = static_cast<std::int32_t>(frames_.size());
    frames_.push_back({edge.to, c.need, c.room, c.frame, c.depth, c.fresh,
                       static_cast<std::uint32_t>(std::min<std::uint64_t>(far, kFar))});
  }
  step(inner, symbol, nesting + 1);
}

}  // namespace seedbed::engine::grammar
