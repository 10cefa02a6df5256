// Near-duplicate texts: the share that have a neighbour whose word 5-grams overlap. Neighbours are
// looked for by MinHash (128 permutations in bands) and then compared exactly on their sets of
// 5-grams, so an estimate never decides: what is reported is true of the pairs that were compared,
// and a lower bound where a pair was missed.
#pragma once
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace seedbed::tasks::diversity {

// Words of a text: split at blanks, ASCII punctuation at their ends taken off, ASCII lower case.
std::vector<std::string> words_of(std::string_view text);
// Words of a masked text (tasks/selection.h): the same, with the masks # @ " kept as words.
std::vector<std::string> masked_words_of(std::string_view masked);

// The 32-bit hashes of the different 5-grams, sorted; of a shorter text the one gram that it is.
std::vector<std::uint32_t> shingles_of(const std::vector<std::string>& words);

// |A and B| / |A or B| of sorted sets, in 1/60000 rounded down, so that 0.5 and 0.8 are exact.
inline constexpr std::uint32_t kJaccardOne = 60'000;
std::uint32_t jaccard(std::span<const std::uint32_t> a, std::span<const std::uint32_t> b);

struct NearText {
  std::span<const std::uint32_t> shingles;
  bool heldout = false;
};

struct NearDuplicates {
  std::int64_t texts = 0;
  std::int64_t distinct = 0;                // different sets of 5-grams
  std::int64_t near80 = 0, near50 = 0;      // texts with another text at Jaccard >= 0.8, >= 0.5
  std::int64_t heldout = 0;                 // texts of the held-out split
  std::int64_t leaked80 = 0, leaked50 = 0;  // of them with a neighbour in the other split
  std::int64_t compared = 0;                // pairs compared exactly
  std::int64_t cut_buckets = 0;  // buckets with more texts than were compared with each other
  double mean = 0;               // of the nearest neighbour's Jaccard (0 where none was found)
  std::vector<std::int64_t> histogram;  // nearest neighbour's Jaccard in 20 bins; the last holds 1
};

struct BandPlan {
  int bands = 0, rows = 0;  // bands * rows <= 128
  std::size_t window = 0;   // in a bucket each text is compared with so many that follow it
};
inline constexpr int kPermutations = 128;
// Finds a pair at 0.8 with probability > 0.99 by the first alone, one at 0.5 by the second.
inline constexpr BandPlan kBandPlans[] = {{21, 6, 256}, {42, 3, 96}};
// That a pair of this Jaccard shares a bucket.
double chance_of_meeting(const BandPlan& plan, double jaccard);

// The result is a function of the set of texts: their order and the number of threads do not
// matter. `progress` is called from any thread. Error{interrupted} where `stop` says so.
Result<NearDuplicates> near_duplicates(
    const std::vector<NearText>& texts,
    int threads,
    const std::function<void(std::int64_t, std::int64_t)>& progress,
    const std::function<bool()>& stop);

}  // namespace seedbed::tasks::diversity
