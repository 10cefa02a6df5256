#include "engine/grammar/text_dfa.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "base/text.h"

namespace seedbed::engine::grammar {
namespace {

constexpr std::uint32_t kDead = 0xffffffff;
constexpr int kMaxRounds = 32;  // of merging states; a longer automaton stays as it is

std::uint32_t next(const TextDfa::State& state, std::uint32_t c) {
  auto at = std::upper_bound(state.edges.begin(), state.edges.end(), c,
                             [](std::uint32_t x, const auto& e) { return x < e.lo; });
  if (at == state.edges.begin()) return kDead;
  --at;
  return c <= at->hi ? at->to : kDead;
}

// Appends; joins with the last edge where it goes on to the same state.
void put(std::vector<TextDfa::Edge>& edges, std::uint32_t lo, std::uint32_t hi, std::uint32_t to) {
  if (!edges.empty() && edges.back().to == to && edges.back().hi + 1 == lo)
    edges.back().hi = hi;
  else
    edges.push_back({lo, hi, to});
}

// All characters go to `to`, but for those named.
void put_others(std::vector<TextDfa::Edge>& edges,
                const std::map<std::uint32_t, std::uint32_t>& named,
                std::uint32_t to) {
  for (const auto& range : all_chars()) {
    std::uint32_t at = range.lo;
    for (auto it = named.lower_bound(range.lo); it != named.end() && it->first <= range.hi; ++it) {
      if (at < it->first && to != kDead) put(edges, at, it->first - 1, to);
      if (it->second != kDead) put(edges, it->first, it->first, it->second);
      at = it->first + 1;
    }
    if (at <= range.hi && to != kDead) put(edges, at, range.hi, to);
  }
}

// Nodes of a tree of words; ends: a word ends there.
struct WordTree {
  std::vector<std::map<std::uint32_t, std::uint32_t>> children{1};
  std::vector<bool> ends{false};

  explicit WordTree(const std::vector<std::string>& words) {
    for (const auto& word : words) {
      std::uint32_t at = 0;
      for (const auto c : characters(word)) {
        const auto [it, fresh] =
            children[at].emplace(c, static_cast<std::uint32_t>(children.size()));
        at = it->second;
        if (fresh) {
          children.emplace_back();
          ends.push_back(false);
        }
      }
      ends[at] = true;
    }
  }
};

// Distances to acceptance; kDead: none.
std::vector<std::uint32_t> distances(const TextDfa& a) {
  std::vector<std::vector<std::uint32_t>> back(a.states.size());
  std::vector<std::uint32_t> out(a.states.size(), kDead), queue;
  for (std::uint32_t s = 0; s < a.states.size(); ++s) {
    for (const auto& e : a.states[s].edges) back[e.to].push_back(s);
    if (a.states[s].accept) {
      out[s] = 0;
      queue.push_back(s);
    }
  }
  for (std::size_t i = 0; i < queue.size(); ++i)
    for (const auto from : back[queue[i]])
      if (out[from] == kDead) {
        out[from] = out[queue[i]] + 1;
        queue.push_back(from);
      }
  return out;
}

TextDfa trimmed(const TextDfa& a) {
  const auto distance = distances(a);
  TextDfa out;
  if (a.states.empty() || distance[0] == kDead) return out;
  std::vector<std::uint32_t> name(a.states.size(), kDead), order{0};
  name[0] = 0;
  for (std::size_t i = 0; i < order.size(); ++i)
    for (const auto& e : a.states[order[i]].edges)
      if (distance[e.to] != kDead && name[e.to] == kDead) {
        name[e.to] = static_cast<std::uint32_t>(order.size());
        order.push_back(e.to);
      }
  for (const auto s : order) {
    auto& state = out.states.emplace_back();
    state.accept = a.states[s].accept;
    for (const auto& e : a.states[s].edges)
      if (distance[e.to] != kDead) put(state.edges, e.lo, e.hi, name[e.to]);
  }
  return out;
}

std::uint64_t add(std::uint64_t a, std::uint64_t b, std::uint64_t bound) {
  return a >= bound || b >= bound || a + b >= bound ? bound : a + b;
}
std::uint64_t times(std::uint64_t a, std::uint64_t b, std::uint64_t bound) {
  return a == 0 || b == 0 ? 0 : (a >= bound || b >= bound || a > bound / b ? bound : a * b);
}

}  // namespace

CharSet all_chars() {
  return {{0, 0xd7ff}, {0xe000, kLastChar}};
}

CharSet normal_set(CharSet ranges) {
  std::sort(ranges.begin(), ranges.end(), [](const auto& a, const auto& b) { return a.lo < b.lo; });
  CharSet out;
  for (const auto& r : ranges) {
    if (r.lo > r.hi) continue;
    if (!out.empty() && r.lo <= out.back().hi + 1)
      out.back().hi = std::max(out.back().hi, r.hi);
    else
      out.push_back(r);
  }
  return out;
}

CharSet complement(const CharSet& set) {
  CharSet out;
  std::uint32_t at = 0;
  auto with = set;
  with.push_back({0xd800, 0xdfff});
  for (const auto& r : normal_set(std::move(with))) {
    if (at < r.lo) out.push_back({at, r.lo - 1});
    at = r.hi + 1;
  }
  if (at <= kLastChar) out.push_back({at, kLastChar});
  return out;
}

bool contains(const CharSet& set, std::uint32_t c) {
  return std::any_of(set.begin(), set.end(), [c](const auto& r) { return r.lo <= c && c <= r.hi; });
}

std::vector<std::uint32_t> characters(std::string_view text) {
  std::vector<std::uint32_t> out;
  while (!text.empty()) {
    const auto length = std::max<std::size_t>(utf8_length(text), 1);
    auto c = static_cast<std::uint32_t>(static_cast<unsigned char>(text[0]));
    if (length > 1) c &= 0x7fU >> length;
    for (std::size_t i = 1; i < length; ++i)
      c = c << 6 | (static_cast<std::uint32_t>(static_cast<unsigned char>(text[i])) & 0x3f);
    out.push_back(c);
    text.remove_prefix(length);
  }
  return out;
}

TextDfa any_text() {
  return text_of_length(0, std::nullopt);
}

TextDfa text_of_length(std::size_t min, std::optional<std::size_t> max) {
  TextDfa out;
  const auto last = max.value_or(min);
  for (std::size_t i = 0; i <= last; ++i) {
    auto& state = out.states.emplace_back();
    state.accept = i >= min;
    const auto to = static_cast<std::uint32_t>(i < last ? i + 1 : i);
    if (i < last || !max)
      for (const auto& r : all_chars()) state.edges.push_back({r.lo, r.hi, to});
  }
  return out;
}

TextDfa text_among(const std::vector<std::string>& words) {
  const WordTree tree(words);
  TextDfa out;
  for (std::size_t i = 0; i < tree.children.size(); ++i) {
    auto& state = out.states.emplace_back();
    state.accept = tree.ends[i];
    for (const auto& [c, to] : tree.children[i]) state.edges.push_back({c, c, to});
  }
  return words.empty() ? TextDfa{} : out;
}

TextDfa not_among(const std::vector<std::string>& words) {
  const WordTree tree(words);
  const auto rest = static_cast<std::uint32_t>(tree.children.size());
  TextDfa out;
  for (std::size_t i = 0; i < tree.children.size(); ++i) {
    auto& state = out.states.emplace_back();
    state.accept = !tree.ends[i];
    put_others(state.edges, tree.children[i], rest);
  }
  auto& state = out.states.emplace_back();
  state.accept = true;
  put_others(state.edges, {}, rest);
  return out;
}

TextDfa text_without(const std::vector<std::string>& words) {
  WordTree tree(words);
  const auto count = tree.children.size();
  std::vector<std::uint32_t> fail(count, 0), order{0};
  for (std::size_t i = 0; i < order.size(); ++i)
    for (const auto& [c, to] : tree.children[order[i]]) {
      order.push_back(to);
      std::uint32_t at = order[i];
      while (at != 0) {
        at = fail[at];
        if (const auto it = tree.children[at].find(c); it != tree.children[at].end()) {
          fail[to] = it->second;
          break;
        }
      }
      if (tree.ends[fail[to]]) tree.ends[to] = true;
    }
  TextDfa out;
  out.states.resize(count);
  for (const auto s : order) {
    std::map<std::uint32_t, std::uint32_t> named;
    for (std::uint32_t at = s;; at = fail[at]) {  // the longest match counts: it comes first
      for (const auto& [c, to] : tree.children[at]) named.emplace(c, tree.ends[to] ? kDead : to);
      if (at == 0) break;
    }
    out.states[s].accept = true;
    put_others(out.states[s].edges, named, 0);
  }
  return out;
}

std::optional<TextDfa> both(const TextDfa& a, const TextDfa& b) {
  TextDfa out;
  if (a.states.empty() || b.states.empty()) return out;
  std::map<std::pair<std::uint32_t, std::uint32_t>, std::uint32_t> names{{{0, 0}, 0}};
  std::vector<std::pair<std::uint32_t, std::uint32_t>> order{{0, 0}};
  for (std::size_t i = 0; i < order.size(); ++i) {
    if (order.size() > kMaxTextStates) return std::nullopt;
    const auto& x = a.states[order[i].first];
    const auto& y = b.states[order[i].second];
    TextDfa::State state;
    state.accept = x.accept && y.accept;
    for (std::size_t p = 0, q = 0; p < x.edges.size() && q < y.edges.size();) {
      const auto &e = x.edges[p], &f = y.edges[q];
      const auto lo = std::max(e.lo, f.lo), hi = std::min(e.hi, f.hi);
      if (lo <= hi) {
        const auto [it, fresh] =
            names.emplace(std::pair{e.to, f.to}, static_cast<std::uint32_t>(order.size()));
        if (fresh) order.emplace_back(e.to, f.to);
        put(state.edges, lo, hi, it->second);
      }
      (e.hi < f.hi ? p : q) += 1;
    }
    out.states.push_back(std::move(state));
  }
  return trimmed(out);
}

TextDfa neither(const TextDfa& a) {
  TextDfa out;
  const auto sink = static_cast<std::uint32_t>(a.states.size());
  for (std::size_t s = 0; s <= a.states.size(); ++s) {
    auto& state = out.states.emplace_back();
    const bool known = s < a.states.size();
    state.accept = !known || !a.states[s].accept;
    std::size_t i = 0;
    for (const auto& range : all_chars()) {
      std::uint32_t at = range.lo;
      for (; known && i < a.states[s].edges.size() && a.states[s].edges[i].lo <= range.hi; ++i) {
        const auto& e = a.states[s].edges[i];
        if (at < e.lo) put(state.edges, at, e.lo - 1, sink);
        put(state.edges, e.lo, e.hi, e.to);
        at = e.hi + 1;
      }
      if (at <= range.hi) put(state.edges, at, range.hi, sink);
    }
  }
  return out;
}

TextDfa minimal(const TextDfa& a) {
  const auto t = trimmed(a);
  // Classes are refined until none splits; each round costs the edges once.
  std::vector<std::uint32_t> group(t.states.size());
  for (std::size_t s = 0; s < t.states.size(); ++s) group[s] = t.states[s].accept ? 1 : 0;
  std::size_t count = 0;
  for (int round = 0;; ++round) {
    if (round == kMaxRounds) return t;
    using Key = std::pair<std::uint32_t, std::vector<std::uint32_t>>;
    std::map<Key, std::uint32_t> names;
    std::vector<std::uint32_t> finer(t.states.size());
    for (std::size_t s = 0; s < t.states.size(); ++s) {
      Key key{group[s], {}};
      for (const auto& e : t.states[s].edges) {
        const auto n = key.second.size();
        if (n > 0 && key.second[n - 1] == group[e.to] && key.second[n - 2] + 1 == e.lo) {
          key.second[n - 2] = e.hi;
          continue;
        }
        key.second.insert(key.second.end(), {e.lo, e.hi, group[e.to]});
      }
      finer[s] =
          names.emplace(std::move(key), static_cast<std::uint32_t>(names.size())).first->second;
    }
    group = std::move(finer);
    if (names.size() == count) break;
    count = names.size();
  }
  TextDfa out;
  for (std::size_t s = 0; s < t.states.size(); ++s) {
    if (group[s] < out.states.size()) continue;  // named in the order of their first member
    auto& state = out.states.emplace_back();
    state.accept = t.states[s].accept;
    for (const auto& e : t.states[s].edges) put(state.edges, e.lo, e.hi, group[e.to]);
  }
  return out;
}

bool accepts(const TextDfa& a, std::string_view text) {
  if (a.states.empty()) return false;
  std::uint32_t at = 0;
  for (const auto c : characters(text)) {
    at = next(a.states[at], c);
    if (at == kDead) return false;
  }
  return a.states[at].accept;
}

std::uint64_t count_texts(const TextDfa& dfa, std::uint64_t bound) {
  const auto a = trimmed(dfa);
  const auto count = a.states.size();
  std::vector<std::size_t> waiting(count, 0);  // edges whose target is not counted yet
  std::vector<std::vector<std::uint32_t>> back(count);
  std::vector<std::uint64_t> texts(count, 0);
  std::vector<std::uint32_t> ready;
  for (std::uint32_t s = 0; s < count; ++s) {
    waiting[s] = a.states[s].edges.size();
    for (const auto& e : a.states[s].edges) back[e.to].push_back(s);
    if (waiting[s] == 0) ready.push_back(s);
  }
  std::size_t done = 0;
  for (; done < ready.size(); ++done) {
    const auto s = ready[done];
    texts[s] = a.states[s].accept ? 1 : 0;
    for (const auto& e : a.states[s].edges)
      texts[s] = add(texts[s], times(e.hi - e.lo + 1, texts[e.to], bound), bound);
    for (const auto from : back[s])
      if (--waiting[from] == 0) ready.push_back(from);
  }
  return done < count ? bound : (count == 0 ? 0 : texts[0]);  // a circle: without end
}

std::uint64_t count_shortest(const TextDfa& a, std::uint64_t bound) {
  const auto distance = distances(a);
  if (a.states.empty() || distance[0] == kDead) return 0;
  std::vector<std::uint32_t> order(a.states.size());
  for (std::uint32_t s = 0; s < order.size(); ++s) order[s] = s;
  std::sort(order.begin(), order.end(), [&](auto x, auto y) { return distance[x] < distance[y]; });
  std::vector<std::uint64_t> texts(a.states.size(), 0);
  for (const auto s : order) {
    if (distance[s] == kDead) break;
    texts[s] = a.states[s].accept ? 1 : 0;
    if (texts[s] == 1) continue;
    for (const auto& e : a.states[s].edges)
      if (distance[e.to] + 1 == distance[s])
        texts[s] = add(texts[s], times(e.hi - e.lo + 1, texts[e.to], bound), bound);
  }
  return texts[0];
}

}  // namespace seedbed::engine::grammar
