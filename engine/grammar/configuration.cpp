#include "engine/grammar/configuration.h"

#include <algorithm>
#include <functional>
#include <unordered_set>

namespace seedbed::engine::grammar {
namespace {

constexpr int kMaxNesting = 200;

std::uint64_t mix(std::uint64_t h, std::uint64_t x) {
  h = (h ^ x) * 0x9e3779b97f4a7c15ULL;
  return h ^ h >> 29;
}
std::uint64_t hash_of(const KeysPtr& keys) {
  std::uint64_t h = 7;
  if (keys)
    for (const auto& k : *keys) h = mix(h, std::hash<std::string>()(k));
  return h;
}
bool same_keys(const KeysPtr& a, const KeysPtr& b) {
  const bool no_a = !a || a->empty(), no_b = !b || b->empty();
  return a == b || (no_a && no_b) || (!no_a && !no_b && *a == *b);
}
bool same_frames(const CallFrame* a, const CallFrame* b) {
  while (a != b) {
    if (a == nullptr || b == nullptr || a->hash != b->hash || a->ret != b->ret ||
        a->need != b->need || a->room != b->room || a->depth != b->depth ||
        !same_keys(a->keys, b->keys))
      return false;
    a = a->parent.get();
    b = b->parent.get();
  }
  return true;
}

std::int64_t own_distance(const Program& p, std::uint32_t state, std::uint32_t need) {
  const auto& s = p.states[state];
  return std::int64_t{s.distance} + std::int64_t{need} * p.rules[s.rule].round;
}

class Stepper {
 public:
  Stepper(const Program& p, Symbol symbol) : p_(p), symbol_(symbol) {}

  void step(const Configuration& c, int nesting) {
    if (nesting > kMaxNesting) return;
    const auto& s = p_.states[c.state];
    for (const auto& e : p_.edges_of(s))
      if (e.lo <= symbol_ && symbol_ <= e.hi) take(c, e);
    for (const auto& e : p_.calls_of(s)) call(c, e, nesting);
    if (!s.final || !c.frame || !p_.rules[s.rule].follow[symbol_]) return;
    Configuration next;
    if (back(c, next)) step(next, nesting + 1);
  }

  std::vector<Configuration> out;

 private:
  // After the end of a rule. False: its key is not new.
  bool back(const Configuration& c, Configuration& next) const {
    const auto& f = *c.frame;
    next = {f.ret, f.need, f.room, f.depth, f.parent, f.keys, nullptr};
    if (!p_.rules[p_.states[c.state].rule].key) return true;
    auto key = c.key ? *c.key : std::string();
    if (!key.empty()) key.pop_back();  // the closing quote
    auto keys = f.keys ? *f.keys : Keys();
    const auto at = std::lower_bound(keys.begin(), keys.end(), key);
    if (at != keys.end() && *at == key) return false;
    keys.insert(at, std::move(key));
    next.keys = std::make_shared<const Keys>(std::move(keys));
    return true;
  }

  void take(const Configuration& c, const Edge& e) {
    if (p_.states[e.to].depth > c.depth) return;
    if ((e.flags & kNeedsEnough) != 0 && c.need > 0) return;
    if ((e.flags & kCounts) != 0 && c.room == 0) return;
    Configuration next = c;
    next.state = e.to;
    if ((e.flags & kCounts) != 0) {
      if (c.room != kNone) --next.room;
      if (c.need > 0) --next.need;
    }
    if (p_.rules[p_.states[c.state].rule].key) {
      auto key = c.key ? *c.key : std::string();
      key.push_back(static_cast<char>(symbol_));
      next.key = std::make_shared<const std::string>(std::move(key));
      if (distance(p_, next) >= kFar) return;  // every key that begins so is used
    }
    if (out.size() >= kMaxSideBySide) return;
    if (!out.empty()) {
      if (seen_.empty()) seen_.insert(out[0].hash());
      if (!seen_.insert(next.hash()).second &&
          std::any_of(out.begin(), out.end(), [&](const auto& o) { return same(o, next); }))
        return;
    }
    out.push_back(std::move(next));
  }

  void call(const Configuration& c, const CallEdge& e, int nesting) {
    const auto& rule = p_.rules[e.rule];
    if (!rule.first[symbol_] && !p_.states[rule.start].final) return;
    if (rule.depth > c.depth || p_.states[e.to].depth > c.depth) return;
    Configuration inner{rule.start, rule.min, rule.max, c.depth, c.frame, nullptr, nullptr};
    if (rule.container) --inner.depth;
    if (rule.key || !p_.only_ends(e.to)) {
      auto f = std::make_shared<CallFrame>();
      f->parent = c.frame;
      f->ret = e.to;
      f->need = c.need;
      f->room = c.room;
      f->depth = c.depth;
      f->keys = c.keys;
      f->distance = own_distance(p_, e.to, c.need) + c.below();
      f->longest_key = c.frame ? c.frame->longest_key : 0;
      if (c.keys)
        for (const auto& k : *c.keys) f->longest_key = std::max(f->longest_key, k.size() + 1);
      f->hash = mix(mix(mix(c.frame ? c.frame->hash : 3, e.to), c.need), hash_of(c.keys) ^ c.room);
      inner.frame = std::move(f);
    }
    step(inner, nesting + 1);
  }

  const Program& p_;
  Symbol symbol_;
  std::unordered_set<std::uint64_t> seen_;
};

}  // namespace

std::uint64_t Configuration::hash() const {
  auto h = mix(mix(mix(frame ? frame->hash : 3, state), need), room);
  h = mix(h, hash_of(keys));
  return key ? mix(h, std::hash<std::string>()(*key)) : h;
}

bool same(const Configuration& a, const Configuration& b) {
  return a.state == b.state && a.need == b.need && a.room == b.room && a.depth == b.depth &&
         same_keys(a.keys, b.keys) && (a.key ? *a.key : "") == (b.key ? *b.key : "") &&
         same_frames(a.frame.get(), b.frame.get());
}

Configuration begin(const Program& p) {
  const auto& rule = p.rules[p.root];
  Configuration out{rule.start, rule.min, rule.max, kMaxDepth, nullptr, nullptr, nullptr};
  if (rule.container) --out.depth;
  return out;
}

std::vector<Configuration> advance(const Program& program,
                                   const std::vector<Configuration>& from,
                                   Symbol symbol) {
  Stepper stepper(program, symbol);
  for (const auto& c : from) stepper.step(c, 0);
  return std::move(stepper.out);
}

std::pair<std::size_t, std::size_t> narrowed(
    const Keys& keys, std::size_t begin, std::size_t end, std::size_t at, unsigned char c) {
  const auto byte = [&](const std::string& k) {
    return at < k.size() ? static_cast<int>(static_cast<unsigned char>(k[at])) : -1;
  };
  const auto first = keys.begin() + static_cast<std::ptrdiff_t>(begin);
  const auto last = keys.begin() + static_cast<std::ptrdiff_t>(end);
  const auto lo = std::lower_bound(first, last, int{c},
                                   [&](const std::string& k, int x) { return byte(k) < x; });
  const auto hi =
      std::upper_bound(lo, last, int{c}, [&](int x, const std::string& k) { return x < byte(k); });
  return {static_cast<std::size_t>(lo - keys.begin()), static_cast<std::size_t>(hi - keys.begin())};
}

std::int64_t key_distance(const Program& p,
                          std::uint32_t state,
                          const Keys& keys,
                          std::size_t begin,
                          std::size_t end,
                          std::size_t at) {
  const auto& s = p.states[state];
  if (begin == end || s.final) return s.distance;
  const bool used = keys[begin].size() == at;  // it is the lowest of those that agree
  std::int64_t best = kFar;
  for (const auto& e : p.edges_of(s)) {
    if (p.states[e.to].final && used) continue;  // the closing quote of a used key
    const auto next = std::int64_t{p.states[e.to].distance} + 1;
    bool free = false;  // a byte of the edge that no used key goes on with
    for (unsigned c = e.lo; c <= e.hi && next < best; ++c) {
      const auto [lo, hi] = narrowed(keys, begin, end, at, static_cast<unsigned char>(c));
      if (lo == hi) {
        free = true;
        break;
      }
      best = std::min(best, 1 + key_distance(p, e.to, keys, lo, hi, at + 1));
    }
    if (free) best = std::min(best, next);
  }
  return std::min<std::int64_t>(best, kFar);
}

namespace {

// Of a state before a key, without the counts that are still needed.
std::int64_t way_over_key(const Program& p, std::uint32_t state, const Keys& keys) {
  const auto& s = p.states[state];
  if (!s.before_key) return s.distance;
  std::int64_t best = kFar;
  for (const auto& e : p.edges_of(s)) best = std::min(best, 1 + way_over_key(p, e.to, keys));
  for (const auto& e : p.calls_of(s)) {
    const auto& rule = p.rules[e.rule];
    const auto inside = rule.key ? key_distance(p, rule.start, keys, 0, keys.size(), 0)
                                 : own_distance(p, rule.start, rule.min);
    best = std::min(best, inside + p.states[e.to].distance);
  }
  return best;
}

}  // namespace

std::int64_t distance(const Program& p, const Configuration& c) {
  const auto& s = p.states[c.state];
  if (p.rules[s.rule].key && c.frame && c.frame->keys && !c.frame->keys->empty()) {
    const auto& keys = *c.frame->keys;
    std::size_t begin = 0, end = keys.size(), at = 0;
    if (c.key && !s.final)
      for (const char byte : *c.key)
        std::tie(begin, end) = narrowed(keys, begin, end, at++, static_cast<unsigned char>(byte));
    if (s.final) {
      const auto text = std::string_view(*c.key).substr(0, c.key->size() - 1);
      return std::binary_search(keys.begin(), keys.end(), text, std::less<>()) ? kFar : c.below();
    }
    const auto own = key_distance(p, c.state, keys, begin, end, at);
    return own >= kFar ? kFar : own + c.below();
  }
  if (!s.before_key || !c.keys || c.keys->empty())
    return own_distance(p, c.state, c.need) + c.below();
  const auto own = way_over_key(p, c.state, *c.keys);
  return own >= kFar ? kFar : own + std::int64_t{c.need} * p.rules[s.rule].round + c.below();
}

bool complete(const Program& p, const Configuration& c) {
  if (!p.states[c.state].final) return false;
  for (const auto* f = c.frame.get(); f != nullptr; f = f->parent.get())
    if (!p.states[f->ret].final) return false;
  return true;
}

}  // namespace seedbed::engine::grammar
