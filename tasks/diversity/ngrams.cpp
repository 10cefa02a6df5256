#include "tasks/diversity/ngrams.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <span>
#include <unordered_map>

#include "base/hash.h"
#include "base/text.h"
#include "tasks/blob.h"

namespace seedbed::tasks::diversity {
namespace {

constexpr std::size_t kMost = 4;
constexpr std::size_t kSmall = 500;
using Words = std::vector<std::string>;
using Grams = std::map<std::uint64_t, std::int64_t>;  // hash -> times in one text

Grams grams_of(const std::vector<std::uint64_t>& words, std::size_t n) {
  Grams out;
  for (std::size_t i = 0; i + n <= words.size(); ++i)
    ++out[hash64(std::string_view(reinterpret_cast<const char*>(words.data() + i),
                                  n * sizeof(std::uint64_t)),
                 n)];
  return out;
}

std::vector<std::uint64_t> hashes_of(const Words& words) {
  std::vector<std::uint64_t> out;
  out.reserve(words.size());
  for (const auto& word : words) out.push_back(hash64(word));
  return out;
}

double distinct(std::span<const std::vector<std::uint64_t>> texts, std::size_t n) {
  std::unordered_map<std::uint64_t, bool> seen;
  std::int64_t all = 0;
  for (const auto& words : texts)
    for (const auto& [gram, count] : grams_of(words, n)) {
      seen[gram] = true;
      all += count;
    }
  return all == 0 ? 0 : static_cast<double>(seen.size()) / static_cast<double>(all);
}

// The two texts that hold a gram most often: whoever is the first is clipped at the second.
struct Most {
  std::int64_t first = 0, second = 0;
  std::size_t owner = 0;
};

double nearest_length(const std::vector<std::size_t>& sorted, std::size_t own) {
  const auto [low, high] = std::equal_range(sorted.begin(), sorted.end(), own);
  if (high - low > 1) return static_cast<double>(own);
  double best = -1;
  const auto take = [&](std::size_t length) {
    const double mine = static_cast<double>(own), other = static_cast<double>(length);
    if (best < 0 || std::abs(other - mine) < std::abs(best - mine)) best = other;
  };
  if (low != sorted.begin()) take(*(low - 1));
  if (high != sorted.end()) take(*high);
  return best;
}

double self_bleu(std::span<const std::vector<std::uint64_t>> texts) {
  if (texts.size() < 2) return 0;
  std::vector<double> log_sum(texts.size());
  for (std::size_t n = 1; n <= kMost; ++n) {
    std::unordered_map<std::uint64_t, Most> most;
    for (std::size_t i = 0; i < texts.size(); ++i)
      for (const auto& [gram, count] : grams_of(texts[i], n)) {
        auto& m = most[gram];
        if (count > m.first)
          m = {count, m.first, i};
        else
          m.second = std::max(m.second, count);
      }
    for (std::size_t i = 0; i < texts.size(); ++i) {
      std::int64_t matches = 0, all = 0;
      for (const auto& [gram, count] : grams_of(texts[i], n)) {
        const auto& m = most[gram];
        matches += std::min(count, m.owner == i ? m.second : m.first);
        all += count;
      }
      const double hits = matches == 0 ? 0.1 : static_cast<double>(matches);
      log_sum[i] += std::log(hits / static_cast<double>(std::max<std::int64_t>(all, 1)));
    }
  }
  std::vector<std::size_t> lengths;
  for (const auto& words : texts) lengths.push_back(words.size());
  std::sort(lengths.begin(), lengths.end());
  double sum = 0;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    const auto own = static_cast<double>(std::max<std::size_t>(texts[i].size(), 1));
    const double reference = nearest_length(lengths, texts[i].size());
    const double brevity = own >= reference ? 0 : 1 - reference / own;
    sum += std::min(1.0, std::exp(log_sum[i] / kMost + brevity));
  }
  return sum / static_cast<double>(texts.size());
}

}  // namespace

Result<SampleText> measure_sample(const std::vector<std::vector<std::string>>& words,
                                  const std::vector<std::string>& lines) {
  SampleText out;
  out.texts = static_cast<std::int64_t>(words.size());
  if (words.empty()) return out;
  std::vector<std::vector<std::uint64_t>> texts;
  texts.reserve(words.size());
  for (const auto& w : words) texts.push_back(hashes_of(w));
  out.distinct2 = distinct(texts, 2);
  out.distinct3 = distinct(texts, 3);
  out.self_bleu4 = self_bleu(texts);
  out.self_bleu4_of_500 = self_bleu(std::span(texts).first(std::min(kSmall, texts.size())));
  const std::string all = join(lines, "\n");
  BlobCodec codec;
  SEEDBED_TRY(const auto packed, codec.compress(all));
  out.compression = static_cast<double>(all.size()) / static_cast<double>(packed.size());
  return out;
}

}  // namespace seedbed::tasks::diversity
