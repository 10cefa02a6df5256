#include "engine/text/bpe.h"

#include <algorithm>
#include <bit>
#include <functional>

#include "engine/text/span_key.h"

namespace seedbed::engine::text {
namespace {

constexpr std::size_t kShort = 32;  // up to here scanning all ranks beats a heap

constexpr std::uint64_t pair_key(std::int32_t left, std::int32_t right) {
  return static_cast<std::uint64_t>(left) << 21 | static_cast<std::uint64_t>(right);
}
constexpr std::uint64_t mixed(std::uint64_t key) {
  return key * 0x9e3779b97f4a7c15U;
}

}  // namespace

Bpe::Bpe(const TokenizerSpec& spec) : byte_ids_(spec.byte_ids) {
  add_tokens(spec);
  add_merges(spec);
  find_whole_tokens(spec);
}

void Bpe::add_tokens(const TokenizerSpec& spec) {
  const auto slots = std::bit_ceil(spec.tokens.size() * 2 + 2);
  token_slots_.assign(slots, 0);
  for (const auto& token : spec.tokens) {
    offsets_.push_back(static_cast<std::uint32_t>(arena_.size()));
    arena_ += token.bytes;
  }
  offsets_.push_back(static_cast<std::uint32_t>(arena_.size()));
  for (std::size_t id = 0; id < spec.tokens.size(); ++id) {
    const auto& token = spec.tokens[id];
    if (!token.present || !token.byte_level || token.bytes.empty()) continue;
    longest_ = std::max(longest_, token.bytes.size());
    const auto hash = hash_of(token.bytes);
    token_slots_[slot_of(token.bytes, hash)] = hash >> 32 << 32 | (id + 1);
  }
}

// The slot that holds these bytes, or the free one where they would go.
std::size_t Bpe::slot_of(std::string_view bytes, std::uint64_t hash) const {
  const auto mask = token_slots_.size() - 1;
  for (std::size_t i = hash & mask;; i = (i + 1) & mask) {
    const auto slot = token_slots_[i];
    if (slot == 0) return i;
    if (slot >> 32 == hash >> 32 &&
        bytes_of(static_cast<std::int32_t>((slot & ~std::uint64_t{kWholeBit} & 0xffffffffU) - 1)) ==
            bytes)
      return i;
  }
}

void Bpe::add_merges(const TokenizerSpec& spec) {
  const auto slots = std::bit_ceil(spec.merges.size() * 2 + 2);
  merge_shift_ = 64U - static_cast<unsigned>(std::countr_zero(slots));
  merge_slots_.assign(slots, 0);
  for (std::size_t r = 0; r < spec.merges.size(); ++r) {
    const auto& merge = spec.merges[r];
    const auto key = pair_key(merge.left, merge.right);
    auto i = mixed(key) >> merge_shift_;
    while (merge_slots_[i] != 0 && merge_slots_[i] >> 22 != key) i = (i + 1) & (slots - 1);
    merge_slots_[i] = key << 22 | (r + 1);
    merged_.push_back(merge.merged);
  }
  for (const auto left : byte_ids_)
    for (const auto right : byte_ids_) byte_ranks_.push_back(rank(left, right));
}

std::uint32_t Bpe::rank(std::int32_t left, std::int32_t right) const {
  const auto key = pair_key(left, right);
  const auto mask = merge_slots_.size() - 1;
  for (auto i = mixed(key) >> merge_shift_;; i = (i + 1) & mask) {
    const auto slot = merge_slots_[i];
    if (slot >> 22 == key && slot != 0) return static_cast<std::uint32_t>(slot & 0x3fffffU) - 1;
    if (slot == 0) return kNoRank;
  }
}

// A token that its own merges make again stands for its bytes without merging.
void Bpe::find_whole_tokens(const TokenizerSpec& spec) {
  std::vector<bool> special(spec.tokens.size(), false);
  for (const auto& token : spec.added)
    if (token.special) special[static_cast<std::size_t>(token.id)] = true;
  MergeScratch scratch;
  std::vector<std::int32_t> ids;
  for (auto& slot : token_slots_) {
    if (slot == 0) continue;
    const auto id = static_cast<std::int32_t>((slot & 0xffffffffU) - 1);
    ids.clear();
    bool whole = spec.ignore_merges && !special[static_cast<std::size_t>(id)];
    if (!whole) {
      merge(bytes_of(id), scratch, ids);
      whole = ids.size() == 1 && ids[0] == id;
    }
    if (whole) slot |= kWholeBit;
  }
}

std::int32_t Bpe::whole(std::string_view piece, std::uint64_t hash) const {
  if (piece.size() > longest_) return -1;
  const auto slot = token_slots_[slot_of(piece, hash)];
  return (slot & kWholeBit) == 0 ? -1 : static_cast<std::int32_t>(slot & 0x7fffffffU) - 1;
}

std::int32_t Bpe::find(std::string_view bytes) const {
  if (bytes.empty()) return -1;
  return static_cast<std::int32_t>(token_slots_[slot_of(bytes, hash_of(bytes))] & 0x7fffffffU) - 1;
}

std::string_view Bpe::bytes_of(std::int32_t id) const {
  const auto i = static_cast<std::size_t>(id);
  return std::string_view(arena_).substr(offsets_[i], offsets_[i + 1] - offsets_[i]);
}

void Bpe::merge_short(std::string_view piece, std::vector<std::int32_t>& out) const {
  std::array<std::int32_t, kShort> ids{};
  std::array<std::uint32_t, kShort> ranks{};  // of the pair that begins here
  std::size_t n = piece.size();
  for (std::size_t i = 0; i < n; ++i) ids[i] = byte_ids_[static_cast<unsigned char>(piece[i])];
  for (std::size_t i = 0; i + 1 < n; ++i) ranks[i] = byte_rank(piece[i], piece[i + 1]);
  while (n > 1) {
    std::size_t best = 0;
    for (std::size_t i = 1; i + 1 < n; ++i)
      if (ranks[i] < ranks[best]) best = i;
    if (ranks[best] == kNoRank) break;
    ids[best] = merged_[ranks[best]];
    for (std::size_t i = best + 1; i + 1 < n; ++i) {
      ids[i] = ids[i + 1];
      ranks[i] = ranks[i + 1];
    }
    --n;
    if (best + 1 < n) ranks[best] = rank(ids[best], ids[best + 1]);
    if (best > 0) ranks[best - 1] = rank(ids[best - 1], ids[best]);
  }
  out.insert(out.end(), ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(n));
}

void Bpe::merge(std::string_view piece, MergeScratch& s, std::vector<std::int32_t>& out) const {
  constexpr std::size_t kMost = 1U << 30;  // positions are 32 bits; nobody writes such a word
  while (piece.size() > kMost) {
    merge(piece.substr(0, kMost), s, out);
    piece.remove_prefix(kMost);
  }
  if (piece.size() <= kShort) return merge_short(piece, out);
  const auto n = static_cast<std::uint32_t>(piece.size());
  s.ids.resize(n);
  s.ranks.assign(n, kNoRank);
  s.next.resize(n);
  s.previous.resize(n);
  s.heap.clear();
  for (std::uint32_t i = 0; i < n; ++i) {
    s.ids[i] = byte_ids_[static_cast<unsigned char>(piece[i])];
    s.next[i] = i + 1;
    s.previous[i] = i - 1;  // of the first: wraps, never read
  }
  const auto entry = [&](std::uint32_t i) { return std::uint64_t{s.ranks[i]} << 32 | i; };
  for (std::uint32_t i = 0; i + 1 < n; ++i)
    if ((s.ranks[i] = byte_rank(piece[i], piece[i + 1])) != kNoRank) s.heap.push_back(entry(i));
  std::make_heap(s.heap.begin(), s.heap.end(), std::greater<>());
  while (!s.heap.empty()) {
    std::pop_heap(s.heap.begin(), s.heap.end(), std::greater<>());
    const auto top = s.heap.back();
    s.heap.pop_back();
    const auto i = static_cast<std::uint32_t>(top);
    if (s.ranks[i] != top >> 32) continue;  // one of the two has been merged since
    const auto right = s.next[i];
    s.ids[i] = merged_[s.ranks[i]];
    s.next[i] = s.next[right];
    s.ranks[right] = s.ranks[i] = kNoRank;
    const auto push = [&](std::uint32_t at) {
      s.ranks[at] = rank(s.ids[at], s.ids[s.next[at]]);
      if (s.ranks[at] == kNoRank) return;
      s.heap.push_back(entry(at));
      std::push_heap(s.heap.begin(), s.heap.end(), std::greater<>());
    };
    if (s.next[i] < n) {
      s.previous[s.next[i]] = i;
      push(i);
    }
    if (i > 0) push(s.previous[i]);
  }
  for (std::uint32_t i = 0; i < n; i = s.next[i]) out.push_back(s.ids[i]);
}

}  // namespace seedbed::engine::text
