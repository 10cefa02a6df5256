// Byte-pair merging within one piece, and the tokens by their bytes.
#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/text/tokenizer_spec.h"

namespace seedbed::engine::text {

// Memory that merging reuses; one thread at a time.
struct MergeScratch {
  std::vector<std::int32_t> ids;
  std::vector<std::uint32_t> ranks, next, previous;
  std::vector<std::uint64_t> heap;
};

// Immutable once made. The lowest rank is merged first, the leftmost of equal ones, until no pair
// of neighbours has a rank.
class Bpe {
 public:
  Bpe() = default;
  explicit Bpe(const TokenizerSpec& spec);

  // The id of a token that the piece as a whole becomes, or -1 where that is not known at once.
  // `hash` is hash_of(piece).
  [[nodiscard]] std::int32_t whole(std::string_view piece, std::uint64_t hash) const;
  // Appends the ids of a piece; O(n log n) for n bytes.
  void merge(std::string_view piece, MergeScratch& scratch, std::vector<std::int32_t>& out) const;

  // The byte-level token with these bytes, or -1.
  [[nodiscard]] std::int32_t find(std::string_view bytes) const;
  [[nodiscard]] std::string_view bytes_of(std::int32_t id) const;
  // Bytes of the longest token that a piece can be as a whole.
  [[nodiscard]] std::size_t longest() const { return longest_; }

 private:
  static constexpr std::uint32_t kNoRank = 0xffffffffU;
  static constexpr std::uint32_t kWholeBit = 0x80000000U;
  void add_tokens(const TokenizerSpec& spec);
  void add_merges(const TokenizerSpec& spec);
  void find_whole_tokens(const TokenizerSpec& spec);
  [[nodiscard]] std::size_t slot_of(std::string_view bytes, std::uint64_t hash) const;
  [[nodiscard]] std::uint32_t rank(std::int32_t left, std::int32_t right) const;
  [[nodiscard]] std::uint32_t byte_rank(char left, char right) const {
    return byte_ranks_[std::size_t{static_cast<unsigned char>(left)} << 8 |
                       static_cast<unsigned char>(right)];
  }
  void merge_short(std::string_view piece, std::vector<std::int32_t>& out) const;

  std::array<std::int32_t, 256> byte_ids_{};
  std::string arena_;                       // bytes of all tokens
  std::vector<std::uint32_t> offsets_;      // by id, and one more
  std::vector<std::uint64_t> token_slots_;  // hash tag << 32 | whole bit | id + 1; 0 is free
  std::vector<std::uint64_t> merge_slots_;  // left << 43 | right << 22 | rank + 1; 0 is free
  std::vector<std::int32_t> merged_;        // by rank
  std::vector<std::uint32_t> byte_ranks_;   // of pairs of single bytes, 256 x 256
  unsigned merge_shift_ = 63;
  std::size_t longest_ = 0;
};

}  // namespace seedbed::engine::text
