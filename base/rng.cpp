#include "base/rng.h"

#include <string>

#include "base/check.h"
#include "base/hash.h"

namespace seedbed {

std::uint64_t Rng::next() {
  state_ += 0x9e3779b97f4a7c15ULL;
  std::uint64_t z = state_;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
  return z ^ (z >> 31);
}

std::uint64_t Rng::below(std::uint64_t bound) {
  SEEDBED_CHECK(bound > 0);
  __extension__ using Wide = unsigned __int128;
  Wide product = static_cast<Wide>(next()) * bound;
  auto low = static_cast<std::uint64_t>(product);
  if (low < bound) {
    const std::uint64_t threshold = -bound % bound;
    while (low < threshold) {
      product = static_cast<Wide>(next()) * bound;
      low = static_cast<std::uint64_t>(product);
    }
  }
  return static_cast<std::uint64_t>(product >> 64);
}

std::int64_t Rng::between(std::int64_t lo, std::int64_t hi) {
  SEEDBED_CHECK(lo <= hi, lo, hi);
  // Unsigned, where wrapping round is defined: the distance of two int64 needs 64 bits, and of all
  // of them 65.
  const auto count = static_cast<std::uint64_t>(hi) - static_cast<std::uint64_t>(lo) + 1;
  const auto offset = count == 0 ? next() : below(count);
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(lo) + offset);
}

bool Rng::chance(std::uint64_t numerator, std::uint64_t denominator) {
  return below(denominator) < numerator;
}

std::size_t Rng::weighted(const std::vector<std::int64_t>& weights) {
  std::int64_t sum = 0;
  for (const auto w : weights) sum += w;
  auto at = static_cast<std::int64_t>(below(static_cast<std::uint64_t>(sum)));
  for (std::size_t i = 0; i < weights.size(); ++i) {
    at -= weights[i];
    if (at < 0) return i;
  }
  return weights.size() - 1;
}

Rng Rng::fork(std::string_view purpose, std::uint64_t index) const {
  return rng_for(state_, "fork", index, purpose);
}

Rng rng_for(std::uint64_t seed,
            std::string_view name,
            std::uint64_t index,
            std::string_view purpose) {
  std::string key;
  key.append(std::to_string(seed)).append("\x1f").append(name).append("\x1f");
  key.append(std::to_string(index)).append("\x1f").append(purpose);
  return Rng(hash64(key));
}

}  // namespace seedbed
