// Short pieces and their ids, as seen lately: a fixed table, one cache line an entry, the newer
// piece replaces the older one in its place.
#pragma once
#include <array>
#include <cstdint>
#include <memory>

#include "engine/text/span_key.h"

namespace seedbed::engine::text {

class WordCache {
 public:
  static constexpr std::size_t kMaxIds = 7;
  struct alignas(64) Entry {
    SpanKey key;  // all zero: free (no piece is empty)
    std::array<std::int32_t, kMaxIds> ids{};
    std::uint32_t count = 0;
  };
  static_assert(sizeof(Entry) == 64);

  // The place of a hash: holds the piece if its key is equal, else may be overwritten.
  Entry& at(std::uint64_t hash) { return entries_[hash >> (64 - kBits)]; }

 private:
  static constexpr unsigned kBits = 15;  // 2 MiB
  std::unique_ptr<Entry[]> entries_ = std::make_unique<Entry[]>(std::size_t{1} << kBits);
};

}  // namespace seedbed::engine::text
