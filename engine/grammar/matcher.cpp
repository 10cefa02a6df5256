// A mask is put together from pieces, one a frame from the top down; what pieces cannot know (which
// keys an object has already) is taken out afterwards, or asked of the configuration itself.
#include <algorithm>
#include <limits>

#include "base/check.h"
#include "engine/grammar/configuration.h"
#include "engine/grammar/grammar_data.h"
#include "engine/grammar/walk.h"

namespace seedbed::engine::grammar {
namespace {

constexpr std::size_t kMaxKept = 128;  // configurations between two tokens
constexpr std::int64_t kManyTokens = std::int64_t{1} << 40;

}  // namespace

struct Matcher::State {
  explicit State(std::shared_ptr<const Grammar> of)
      : grammar(std::move(of)),
        data(*grammar->data_),
        p(data.program),
        v(data.vocabulary->data_->tree),
        walker(p, v),
        now{begin(p)},
        bits(v.words, 0),
        one(v.words, 0) {}

  std::shared_ptr<const Grammar> grammar;
  Grammar::Data& data;
  const Program& p;
  const TokenTree& v;
  Walker walker;
  std::vector<Configuration> now;
  bool finished = false;
  std::vector<std::uint32_t> bits, one;

  // All of a token from one configuration.
  [[nodiscard]] std::vector<Configuration> run(const Configuration& c, std::int32_t id) const {
    std::vector<Configuration> at{c};
    const auto symbols = v.symbols(id);
    if (symbols.empty()) return {};
    for (const auto symbol : symbols) {
      at = advance(p, at, symbol);
      if (at.empty()) break;
    }
    return at;
  }

  std::shared_ptr<const Piece> piece(const PieceKey& key, const Leaves* from) {
    if (auto known = data.cache.find(key)) return known;
    auto made = walker.run(key, from, data.cache);
    data.cache.keep(key, made);
    return made;
  }

  static void set(std::vector<std::uint32_t>& mask, std::int32_t id) {
    mask[static_cast<std::size_t>(id) / 32] |= 1U << (static_cast<unsigned>(id) % 32);
  }
  static void join(std::vector<std::uint32_t>& mask, const Piece& piece) {
    for (std::size_t i = 0; i < piece.bits.size(); ++i) mask[i] |= piece.bits[i];
    for (const auto id : piece.ids) set(mask, id);
  }

  // What one configuration allows, where at most `budget` symbols may be missing to the end.
  void mask_of(const Configuration& c, std::int64_t budget) {
    auto longest_key = c.frame ? c.frame->longest_key : 0;
    if (c.keys)
      for (const auto& k : *c.keys) longest_key = std::max(longest_key, k.size() + 1);
    const auto slack =
        longest_key == 0 ? 0 : static_cast<std::int64_t>(longest_key) + p.key_slack + 2;
    auto& to = longest_key > 0 ? one : bits;
    if (longest_key > 0) std::fill(one.begin(), one.end(), 0);
    doubtful.clear();
    taken.clear();
    if (p.rules[p.states[c.state].rule].key) take_out_begun(c, budget);
    PieceKey key{c.state, c.need, c.room, 0, kNoBudget, c.depth, false};
    std::shared_ptr<const Leaves> leaves;
    const auto* keys = c.keys.get();
    for (const CallFrame* frame = c.frame.get();;) {
      const auto below = frame != nullptr ? frame->distance : 0;
      leaves = level(key, leaves.get(), budget - below, slack, keys, to);
      if (!leaves || frame == nullptr) break;
      key = {frame->ret, frame->need, frame->room, leaves->id, kNoBudget, frame->depth, false};
      keys = frame->keys.get();
      frame = frame->parent.get();
    }
    if (longest_key > 0) {
      for (const auto& [first, last] : taken)
        for (const auto id : std::span(v.tokens).subspan(first, last - first)) {
          auto& word = one[static_cast<std::size_t>(id) / 32];
          const auto bit = 1U << (static_cast<unsigned>(id) % 32);
          if ((word & bit) == 0) continue;
          word &= ~bit;
          doubtful.push_back(id);  // another way of reading it may do
        }
      for (std::size_t i = 0; i < bits.size(); ++i) bits[i] |= one[i];
    }
    for (const auto id : doubtful) {
      const auto word = bits[static_cast<std::size_t>(id) / 32];
      if ((word >> (static_cast<unsigned>(id) % 32) & 1U) != 0) continue;
      for (const auto& next : run(c, id))
        if (distance(p, next) <= budget) {
          set(bits, id);
          break;
        }
    }
  }

  std::shared_ptr<const Leaves> level(PieceKey key,
                                      const Leaves* from,
                                      std::int64_t budget,
                                      std::int64_t slack,
                                      const Keys* keys,
                                      std::vector<std::uint32_t>& to) {
    const auto all = budget;
    const auto need = key.need;
    key.need = std::min(key.need, v.longest + 1);
    key.room = key.room == kNone ? kNone : std::min(key.room, v.longest + 1);
    key.depth = std::min<std::uint16_t>(key.depth,
                                        static_cast<std::uint16_t>(p.max_depth + v.most_opens + 1));
    budget -= std::int64_t{need - key.need} * p.rules[p.states[key.state].rule].round;
    auto made = piece(key, from);
    bool join_it = true;
    if (made->longest + slack > budget) {
      join_it = budget >= 0;  // else only what leaves the frame may be near enough
      if (join_it) {
        key.strict = slack > 0;
        key.budget =
            static_cast<std::int32_t>(std::min(budget, std::max<std::int64_t>(made->longest, 0)));
        made = piece(key, from);
      }
    }
    if (join_it) join(to, *made);
    doubtful.insert(doubtful.end(), made->doubtful.begin(), made->doubtful.end());
    if (keys != nullptr && !keys->empty())
      for (const auto& start : made->keys) {
        const auto& after = p.states[start.to];
        const auto left = all - after.distance -
                          std::int64_t{start.need + (need - key.need)} * p.rules[after.rule].round;
        take_out(*keys, {start.node, p.rules[start.rule].start, 0, keys->size(), 0}, left);
      }
    return made->leaves;
  }

  // A key must not become one that its object has: those [first, last) of its keys agree with what
  // is written, in their first `at` bytes.
  struct KeyAt {
    std::uint32_t node, state;
    std::size_t first, last, at;
  };

  void take_out_begun(const Configuration& c, std::int64_t budget) {
    if (!c.frame || !c.frame->keys) return;
    const auto& keys = *c.frame->keys;
    KeyAt begun{0, c.state, 0, keys.size(), 0};
    if (c.key)
      for (const char byte : *c.key)
        std::tie(begun.first, begun.last) =
            narrowed(keys, begun.first, begun.last, begun.at++, static_cast<unsigned char>(byte));
    take_out(keys, begun, budget - c.below());
  }

  void take(std::span<const std::int32_t> ids) {
    const auto first = static_cast<std::size_t>(ids.data() - v.tokens.data());
    if (!ids.empty()) taken.emplace_back(first, first + ids.size());
  }

  void take_out(const Keys& keys, const KeyAt& k, std::int64_t budget) {
    if (k.first == k.last) return;
    const bool used = keys[k.first].size() == k.at;
    if (used)
      if (const auto quote = v.child(k.node, '"'); quote != kNone) take(v.below(quote));
    for (auto i = k.first + (used ? 1 : 0); i < k.last;) {
      const auto byte = static_cast<unsigned char>(keys[i][k.at]);
      const auto [lo, hi] = narrowed(keys, i, k.last, k.at, byte);
      i = hi;
      const auto next = v.child(k.node, byte);
      if (next == kNone) continue;
      std::uint32_t to = kNone;
      for (const auto& e : p.edges_of(p.states[k.state]))
        if (e.lo <= byte && byte <= e.hi) to = e.to;
      if (to == kNone) continue;
      const auto far = key_distance(p, to, keys, lo, hi, k.at + 1);
      if (far >= kFar) {
        take(v.below(next));
        continue;
      }
      if (far > budget) take(v.at(next));
      take_out(keys, {next, to, lo, hi, k.at + 1}, budget);
    }
  }

  std::vector<std::pair<std::size_t, std::size_t>> taken;  // of v.tokens
  std::vector<std::int32_t> doubtful;
};

Matcher::Matcher(std::shared_ptr<const Grammar> grammar)
    : state_(std::make_unique<State>(std::move(grammar))) {}
Matcher::~Matcher() = default;

const std::uint32_t* Matcher::mask(std::int64_t tokens_left) {
  auto& s = *state_;
  std::fill(s.bits.begin(), s.bits.end(), 0);
  if (s.finished) return s.bits.data();
  auto budget = std::min(tokens_left, kManyTokens) - 2;  // without this token and the end
  const auto in_time = [&](const auto& c) { return distance(s.p, c) <= budget + 1; };
  if (std::none_of(s.now.begin(), s.now.end(), in_time)) budget = kManyTokens;
  for (const auto& c : s.now) s.mask_of(c, budget);
  if (tokens_left >= 1 &&
      std::any_of(s.now.begin(), s.now.end(), [&](const auto& c) { return complete(s.p, c); }))
    for (const auto id : s.v.table.end_ids)
      if (id >= 0 && static_cast<std::size_t>(id) < s.v.table.bytes.size()) State::set(s.bits, id);
  // Fewer tokens than the shortest way has symbols: many symbols a token may still make it.
  if (std::all_of(s.bits.begin(), s.bits.end(), [](std::uint32_t word) { return word == 0; }))
    for (const auto& c : s.now) s.mask_of(c, kManyTokens);
  return s.bits.data();
}

bool Matcher::accept(std::int32_t id) {
  auto& s = *state_;
  if (s.finished) return false;
  if (s.v.is_end(id)) {
    s.finished =
        std::any_of(s.now.begin(), s.now.end(), [&](const auto& c) { return complete(s.p, c); });
    return s.finished;
  }
  std::vector<Configuration> next;
  for (const auto& c : s.now)
    for (auto& n : s.run(c, id))
      if (std::none_of(next.begin(), next.end(), [&](const auto& o) { return same(o, n); }))
        next.push_back(std::move(n));
  if (next.empty()) return false;
  if (next.size() > kMaxKept) {  // those stay that end soonest
    std::stable_sort(next.begin(), next.end(), [&](const auto& a, const auto& b) {
      return distance(s.p, a) < distance(s.p, b);
    });
    next.resize(kMaxKept);
  }
  s.now = std::move(next);
  return true;
}

bool Matcher::finished() const {
  return state_->finished;
}

}  // namespace seedbed::engine::grammar
