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
  static void clear(std::vector<std::uint32_t>& mask, std::span<const std::int32_t> ids) {
    for (const auto id : ids)
      mask[static_cast<std::size_t>(id) / 32] &= ~(1U << (static_cast<unsigned>(id) % 32));
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
    const bool in_key =
        p.rules[p.states[c.state].rule].key && c.frame && c.frame->keys && !c.frame->keys->empty();
    auto& to = in_key ? one : bits;
    if (in_key) std::fill(one.begin(), one.end(), 0);
    doubtful.clear();
    PieceKey key{c.state, c.need, c.room, 0, kNoBudget, c.depth, false};
    std::shared_ptr<const Leaves> leaves;
    for (const CallFrame* frame = c.frame.get();;) {
      const auto below = frame != nullptr ? frame->distance : 0;
      leaves = level(key, leaves.get(), budget - below, slack, to);
      if (!leaves || frame == nullptr) break;
      key = {frame->ret, frame->need, frame->room, leaves->id, kNoBudget, frame->depth, false};
      frame = frame->parent.get();
    }
    if (in_key) {
      take_out_keys(c, budget);
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
                                      std::vector<std::uint32_t>& to) {
    const auto need = key.need;
    key.need = std::min(key.need, v.longest + 1);
    key.room = key.room == kNone ? kNone : std::min(key.room, v.longest + 1);
    key.depth = std::min<std::uint16_t>(key.depth,
                                        static_cast<std::uint16_t>(p.max_depth + v.most_opens + 1));
    budget -= std::int64_t{need - key.need} * p.rules[p.states[key.state].rule].round;
    auto made = piece(key, from);
    if (made->longest + slack > budget) {
      if (budget < 0) {  // only what leaves the frame may be near enough
        doubtful.insert(doubtful.end(), made->doubtful.begin(), made->doubtful.end());
        return made->leaves;
      }
      key.strict = slack > 0;
      key.budget =
          static_cast<std::int32_t>(std::min(budget, std::max<std::int64_t>(made->longest, 0)));
      made = piece(key, from);
    }
    join(to, *made);
    doubtful.insert(doubtful.end(), made->doubtful.begin(), made->doubtful.end());
    return made->leaves;
  }

  // The key that is being written must not become one that its object has.
  void take_out_keys(const Configuration& c, std::int64_t budget) {
    const auto& keys = *c.frame->keys;
    std::size_t first = 0, last = keys.size(), at = 0;
    if (c.key)
      for (const char byte : *c.key)
        std::tie(first, last) = narrowed(keys, first, last, at++, static_cast<unsigned char>(byte));
    take_out(c, 0, c.state, first, last, at, budget - c.below());
  }

  void take_out(const Configuration& c,
                std::uint32_t node,
                std::uint32_t state,
                std::size_t first,
                std::size_t last,
                std::size_t at,
                std::int64_t budget) {
    if (first == last) return;
    const auto& keys = *c.frame->keys;
    const bool used = keys[first].size() == at;
    if (used)
      if (const auto quote = v.child(node, '"'); quote != kNone) clear(one, v.below(quote));
    for (auto i = first + (used ? 1 : 0); i < last;) {
      const auto byte = static_cast<unsigned char>(keys[i][at]);
      const auto [lo, hi] = narrowed(keys, i, last, at, byte);
      i = hi;
      const auto next = v.child(node, byte);
      if (next == kNone) continue;
      std::uint32_t to = kNone;
      for (const auto& e : p.edges_of(p.states[state]))
        if (e.lo <= byte && byte <= e.hi) to = e.to;
      if (to == kNone) continue;
      const auto far = key_distance(p, to, keys, lo, hi, at + 1);
      if (far >= kFar) {
        clear(one, v.below(next));
        continue;
      }
      if (far > budget) clear(one, v.at(next));
      take_out(c, next, to, lo, hi, at + 1, budget);
    }
  }

  std::vector<std::int32_t> doubtful;
};

Matcher::Matcher(std::shared_ptr<const Grammar> grammar)
    : state_(std::make_unique<State>(std::move(grammar))) {}
Matcher::~Matcher() = default;

const std::uint32_t* Matcher::mask(std::int64_t tokens_left) {
  auto& s = *state_;
  std::fill(s.bits.begin(), s.bits.end(), 0);
  if (s.finished) return s.bits.data();
  const auto budget = std::min(tokens_left, kManyTokens) - 2;  // without this token and the end
  for (const auto& c : s.now) s.mask_of(c, budget);
  if (tokens_left >= 1 &&
      std::any_of(s.now.begin(), s.now.end(), [&](const auto& c) { return complete(s.p, c); }))
    for (const auto id : s.v.table.end_ids)
      if (id >= 0 && static_cast<std::size_t>(id) < s.v.table.bytes.size()) State::set(s.bits, id);
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
