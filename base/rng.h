// Keyed random streams: the same (seed, name, index, purpose) gives the same draws on any machine,
// in any order, in any thread. Streams are keyed by hashing all four parts, never by seed + index.
// No <random>: its distributions differ between standard libraries.
#pragma once
#include <cstdint>
#include <string_view>
#include <vector>

namespace seedbed {

class Rng {
 public:
  explicit Rng(std::uint64_t key) : state_(key) {}

  std::uint64_t next();                      // SplitMix64
  std::uint64_t below(std::uint64_t bound);  // uniform in [0, bound), Lemire; bound > 0
  std::int64_t between(std::int64_t lo, std::int64_t hi);  // uniform in [lo, hi], lo <= hi
  bool chance(std::uint64_t numerator, std::uint64_t denominator);
  std::size_t weighted(const std::vector<std::int64_t>& weights);  // index; the sum must be > 0

  template <class T>
  const T& pick(const std::vector<T>& items) {
    return items[static_cast<std::size_t>(below(items.size()))];
  }

  template <class T>
  void shuffle(std::vector<T>& items) {
    for (std::size_t i = items.size(); i > 1; --i)
      std::swap(items[i - 1], items[static_cast<std::size_t>(below(i))]);
  }

  // A stream of its own for a part of the work, so that adding draws in one part never shifts
  // another.
  [[nodiscard]] Rng fork(std::string_view purpose, std::uint64_t index = 0) const;

 private:
  std::uint64_t state_;
};

Rng rng_for(std::uint64_t seed,
            std::string_view name,
            std::uint64_t index,
            std::string_view purpose);

}  // namespace seedbed
