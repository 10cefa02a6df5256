#include "tasks/diversity/near.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <thread>

#include "base/hash.h"
#include "base/rng.h"
#include "base/text.h"

namespace seedbed::tasks::diversity {
namespace {

constexpr std::size_t kGram = 5;
constexpr std::size_t kBins = 20;

bool is_punctuation(char c) {
  return (c >= '!' && c <= '/') || (c >= ':' && c <= '@') || (c >= '[' && c <= '`') ||
         (c >= '{' && c <= '~');
}
bool is_blank(char c) {
  return static_cast<unsigned char>(c) <= ' ';
}

std::vector<std::string> split_words(std::string_view text, bool masked) {
  std::vector<std::string> out;
  for (std::size_t at = 0; at < text.size();) {
    while (at < text.size() && is_blank(text[at])) ++at;
    const std::size_t begin = at;
    while (at < text.size() && !is_blank(text[at])) ++at;
    std::string_view word = text.substr(begin, at - begin);
    const bool mask = masked && (word == "#" || word == "@" || word == "\"");
    while (!mask && !word.empty() && is_punctuation(word.front())) word.remove_prefix(1);
    while (!mask && !word.empty() && is_punctuation(word.back())) word.remove_suffix(1);
    if (!word.empty()) out.push_back(lower_ascii(word));
  }
  return out;
}

// A different set of 5-grams; `texts` of them are equal. Ordered by the hash of what it holds, so
// that its number does not depend on the order of the texts.
struct Group {
  std::span<const std::uint32_t> shingles;
  std::uint64_t hash = 0;
  std::int64_t texts = 0, heldout = 0;
};

std::uint64_t hash_of(std::span<const std::uint32_t> shingles) {
  return hash64(std::string_view(reinterpret_cast<const char*>(shingles.data()),
                                 shingles.size() * sizeof(std::uint32_t)),
                5);
}

std::vector<Group> groups_of(const std::vector<NearText>& texts) {
  std::vector<Group> all;
  all.reserve(texts.size());
  for (const auto& t : texts)
    all.push_back({t.shingles, hash_of(t.shingles), 1, t.heldout ? 1 : 0});
  std::sort(all.begin(), all.end(), [](const Group& a, const Group& b) { return a.hash < b.hash; });
  std::size_t kept = 0;
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (kept > 0 && all[kept - 1].hash == all[i].hash) {
      all[kept - 1].texts += 1;
      all[kept - 1].heldout += all[i].heldout;
    } else {
      all[kept++] = all[i];
    }
  }
  all.resize(kept);
  return all;
}

struct Permutations {
  std::array<std::uint64_t, kPermutations> times{}, plus{};
  Permutations() {
    Rng rng = rng_for(1, "minhash", 0, "permutations");
    for (std::size_t k = 0; k < kPermutations; ++k) {
      times[k] = rng.next() | 1U;
      plus[k] = rng.next();
    }
  }
  [[nodiscard]] std::uint32_t least(std::size_t k, std::span<const std::uint32_t> shingles) const {
    std::uint32_t out = ~0U;
    for (const auto s : shingles)
      out = std::min(out, static_cast<std::uint32_t>((times[k] * s + plus[k]) >> 32U));
    return out;
  }
};

struct Entry {
  std::uint64_t band = 0;
  std::uint32_t further = 0,
                group = 0;  // further: brings the more alike together in a large bucket
};

class Finder {
 public:
  Finder(const std::vector<Group>& groups, const std::function<bool()>& stop)
      : groups_(groups), stop_(stop), best_(groups.size()), across_(groups.size()) {
    for (std::size_t i = 0; i < groups.size(); ++i) {
      if (groups[i].texts > 1) best_[i] = kJaccardOne;
      if (groups[i].heldout > 0 && groups[i].heldout < groups[i].texts) across_[i] = kJaccardOne;
    }
  }

  void band(const BandPlan& plan, int number) {
    std::vector<Entry> entries(groups_.size());
    const auto first = static_cast<std::size_t>(number * plan.rows);
    const auto rows = static_cast<std::size_t>(plan.rows);
    for (std::size_t i = 0; i < groups_.size(); ++i) {
      if (i % 4096 == 0 && stop_()) return;
      std::uint64_t key = 0;
      for (std::size_t r = 0; r < rows; ++r)
        key = (key ^ permutations_.least(first + r, groups_[i].shingles)) * 0x9E3779B97F4A7C15ULL +
              (key >> 29U);
      const std::uint32_t further =
          permutations_.least((first + rows) % kPermutations, groups_[i].shingles);
      entries[i] = {key, further, static_cast<std::uint32_t>(i)};
    }
    std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
      if (a.band != b.band) return a.band < b.band;
      return a.further != b.further ? a.further < b.further : a.group < b.group;
    });
    for (std::size_t i = 0, j = 0; i < entries.size(); i = j) {
      while (j < entries.size() && entries[j].band == entries[i].band) ++j;
      if (j - i > plan.window + 1) ++cut_;
      bucket(std::span(entries).subspan(i, j - i), plan.window);
      if (i % 4096 == 0 && stop_()) return;
    }
  }

  [[nodiscard]] std::int64_t compared() const { return compared_; }
  [[nodiscard]] std::int64_t cut() const { return cut_; }
  [[nodiscard]] std::uint32_t best(std::size_t i) const { return best_[i]; }
  [[nodiscard]] std::uint32_t across(std::size_t i) const { return across_[i]; }

 private:
  static void raise(std::atomic<std::uint32_t>& at, std::uint32_t value) {
    std::uint32_t now = at.load(std::memory_order_relaxed);
    while (now < value && !at.compare_exchange_weak(now, value, std::memory_order_relaxed)) {
    }
  }
  [[nodiscard]] bool splits_differ(const Group& a, const Group& b) const {
    return (a.heldout > 0 && b.heldout < b.texts) || (b.heldout > 0 && a.heldout < a.texts);
  }
  void bucket(std::span<const Entry> entries, std::size_t window) {
    std::int64_t compared = 0;
    for (std::size_t i = 0; i < entries.size(); ++i)
      for (std::size_t j = i + 1; j < entries.size() && j - i <= window; ++j) {
        ++compared;
        pair(entries[i].group, entries[j].group);
      }
    compared_ += compared;
  }
  void pair(std::uint32_t a, std::uint32_t b) {
    const Group &x = groups_[a], &y = groups_[b];
    const bool differ = splits_differ(x, y);
    // Sizes bound the Jaccard: a pair that can raise nothing is not intersected.
    const std::size_t low = std::min(x.shingles.size(), y.shingles.size()),
                      high = std::max(x.shingles.size(), y.shingles.size());
    const auto bound =
        high == 0 ? kJaccardOne : static_cast<std::uint32_t>(low * kJaccardOne / high);
    std::uint32_t least = std::min(best_[a].load(std::memory_order_relaxed),
                                   best_[b].load(std::memory_order_relaxed));
    if (differ)
      least = std::min({least, across_[a].load(std::memory_order_relaxed),
                        across_[b].load(std::memory_order_relaxed)});
    if (bound <= least) return;
    const std::uint32_t j = jaccard(x.shingles, y.shingles);
    raise(best_[a], j);
    raise(best_[b], j);
    if (x.heldout > 0 && y.heldout < y.texts) raise(across_[a], j);
    if (y.heldout > 0 && x.heldout < x.texts) raise(across_[b], j);
  }

  const std::vector<Group>& groups_;
  const std::function<bool()>& stop_;
  Permutations permutations_;
  std::vector<std::atomic<std::uint32_t>> best_;    // nearest other text
  std::vector<std::atomic<std::uint32_t>> across_;  // of held-out texts: nearest in the other split
  std::atomic<std::int64_t> compared_{0}, cut_{0};
};

NearDuplicates sum(const std::vector<Group>& groups, const Finder& finder) {
  NearDuplicates out;
  out.distinct = static_cast<std::int64_t>(groups.size());
  out.histogram.assign(kBins, 0);
  std::int64_t total = 0;
  for (std::size_t i = 0; i < groups.size(); ++i) {
    const auto best = finder.best(i);
    out.texts += groups[i].texts;
    out.heldout += groups[i].heldout;
    if (best >= kJaccardOne / 10 * 8) out.near80 += groups[i].texts;
    if (best >= kJaccardOne / 2) out.near50 += groups[i].texts;
    if (finder.across(i) >= kJaccardOne / 10 * 8) out.leaked80 += groups[i].heldout;
    if (finder.across(i) >= kJaccardOne / 2) out.leaked50 += groups[i].heldout;
    total += groups[i].texts * best;
    out.histogram[std::min(kBins - 1, best * kBins / kJaccardOne)] += groups[i].texts;
  }
  if (out.texts > 0)
    out.mean = static_cast<double>(total) / static_cast<double>(kJaccardOne) /
               static_cast<double>(out.texts);
  out.compared = finder.compared();
  out.cut_buckets = finder.cut();
  return out;
}

}  // namespace

std::vector<std::string> words_of(std::string_view text) {
  return split_words(text, false);
}
std::vector<std::string> masked_words_of(std::string_view masked) {
  return split_words(masked, true);
}

std::vector<std::uint32_t> shingles_of(const std::vector<std::string>& words) {
  const std::string all = join(words, " ");
  std::vector<std::size_t> begins, ends;
  for (std::size_t at = 0; const auto& word : words) {
    begins.push_back(at);
    ends.push_back(at + word.size());
    at += word.size() + 1;
  }
  std::vector<std::uint32_t> out;
  out.reserve(words.size());
  const std::size_t gram = std::min(kGram, words.size());
  for (std::size_t i = 0; gram > 0 && i + gram <= words.size(); ++i)
    out.push_back(static_cast<std::uint32_t>(
        hash64(std::string_view(all).substr(begins[i], ends[i + gram - 1] - begins[i]), 9)));
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

std::uint32_t jaccard(std::span<const std::uint32_t> a, std::span<const std::uint32_t> b) {
  std::size_t i = 0, j = 0, both = 0;
  while (i < a.size() && j < b.size()) {
    const std::uint32_t x = a[i], y = b[j];
    both += x == y ? 1 : 0;
    i += x <= y ? 1 : 0;
    j += y <= x ? 1 : 0;
  }
  const std::size_t either = a.size() + b.size() - both;
  return either == 0 ? kJaccardOne : static_cast<std::uint32_t>(both * kJaccardOne / either);
}

double chance_of_meeting(const BandPlan& plan, double jaccard) {
  return 1 - std::pow(1 - std::pow(jaccard, plan.rows), plan.bands);
}

Result<NearDuplicates> near_duplicates(
    const std::vector<NearText>& texts,
    int threads,
    const std::function<void(std::int64_t, std::int64_t)>& progress,
    const std::function<bool()>& stop) {
  const auto groups = groups_of(texts);
  Finder finder(groups, stop);
  std::vector<std::pair<const BandPlan*, int>> work;
  for (const auto& plan : kBandPlans)
    for (int band = 0; band < plan.bands; ++band) work.emplace_back(&plan, band);
  std::atomic<std::size_t> next{0}, done{0};
  const auto lane = [&] {
    for (std::size_t i = next++; i < work.size() && !stop(); i = next++) {
      finder.band(*work[i].first, work[i].second);
      progress(static_cast<std::int64_t>(++done), static_cast<std::int64_t>(work.size()));
    }
  };
  std::vector<std::thread> others;
  for (int t = 1; t < threads; ++t) others.emplace_back(lane);
  lane();
  for (auto& t : others) t.join();
  if (stop()) return Error{Where::interrupted, "stopped while looking for near-duplicates"};
  return sum(groups, finder);
}

}  // namespace seedbed::tasks::diversity
