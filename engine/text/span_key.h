// Short byte spans as fixed keys: compared and hashed without loops.
#pragma once
#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "base/hash.h"

namespace seedbed::engine::text {

static_assert(std::endian::native == std::endian::little, "the last byte of a key is its length");

inline constexpr std::size_t kMaxKeyBytes = 31;

// Up to 31 bytes, padded with zeros; the 32nd byte is the length.
struct SpanKey {
  std::array<std::uint64_t, 4> words{};
  friend bool operator==(const SpanKey& a, const SpanKey& b) {
    return ((a.words[0] ^ b.words[0]) | (a.words[1] ^ b.words[1]) | (a.words[2] ^ b.words[2]) |
            (a.words[3] ^ b.words[3])) == 0;
  }
};

namespace detail {
struct Masks {
  std::array<std::array<std::uint64_t, 4>, kMaxKeyBytes + 1> of{};
  constexpr Masks() {
    for (std::size_t n = 0; n <= kMaxKeyBytes; ++n)
      for (std::size_t i = 0; i < n; ++i) of[n][i / 8] |= 0xffULL << (i % 8 * 8);
  }
};
inline constexpr Masks kMasks;
}  // namespace detail

// `size` <= kMaxKeyBytes; bytes up to `readable_end` may be read.
inline SpanKey span_key(const char* p, std::size_t size, const char* readable_end) {
  SpanKey key;
  if (readable_end - p >= 32) {
    std::memcpy(key.words.data(), p, 32);
    for (std::size_t i = 0; i < 4; ++i) key.words[i] &= detail::kMasks.of[size][i];
  } else {
    std::memcpy(key.words.data(), p, size);
  }
  key.words[3] |= static_cast<std::uint64_t>(size) << 56;
  return key;
}

inline std::uint64_t hash_of(const SpanKey& key) {
  std::uint64_t h = key.words[0] * 0x9e3779b97f4a7c15U + key.words[1] * 0xc2b2ae3d27d4eb4fU +
                    key.words[2] * 0x165667b19e3779f9U + key.words[3] * 0xd6e8feb86659fd93U;
  h ^= h >> 32;
  return h * 0x9fb21c651e98df25U;
}

// The same hash whichever way the bytes came; longer spans are hashed as text.
inline std::uint64_t hash_of(std::string_view bytes) {
  if (bytes.size() > kMaxKeyBytes) return hash64(bytes);
  return hash_of(span_key(bytes.data(), bytes.size(), bytes.data() + bytes.size()));
}

}  // namespace seedbed::engine::text
