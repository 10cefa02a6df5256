#include "engine/text/bpe.h"

#include <map>

#include "engine/text/bpe_train.h"
#include "engine/text/span_key.h"
#include "tests/engine_text/kit.h"

namespace seedbed::engine::text {
namespace {

// The definition: look for the lowest rank, the leftmost of it, merge, begin anew.
std::vector<std::int32_t> slow_merge(const TokenizerSpec& spec, const std::string& piece) {
  std::map<std::pair<std::int32_t, std::int32_t>, std::size_t> ranks;
  for (std::size_t r = 0; r < spec.merges.size(); ++r)
    ranks[{spec.merges[r].left, spec.merges[r].right}] = r;
  std::vector<std::int32_t> ids;
  for (const char c : piece) ids.push_back(spec.byte_ids[static_cast<unsigned char>(c)]);
  while (true) {
    std::size_t best = ids.size(), rank = spec.merges.size();
    for (std::size_t i = 0; i + 1 < ids.size(); ++i) {
      const auto it = ranks.find({ids[i], ids[i + 1]});
      if (it != ranks.end() && it->second < rank) {
        best = i;
        rank = it->second;
      }
    }
    if (best == ids.size()) return ids;
    ids[best] = spec.merges[rank].merged;
    ids.erase(ids.begin() + static_cast<std::ptrdiff_t>(best) + 1);
  }
}

// Two letters and many merges in no sensible order: tokens that their own merges do not make.
TokenizerSpec wild_spec(Rng& rng) {
  TokenizerSpec spec;
  for (unsigned b = 0; b < 256; ++b) {
    spec.byte_ids[b] = static_cast<std::int32_t>(b);
    spec.tokens.push_back({std::string(1, static_cast<char>(b)), true, true});
  }
  std::map<std::string, std::int32_t> known = {{"a", 'a'}, {"b", 'b'}};
  for (int i = 0; i < 40; ++i) {
    auto left = known.begin(), right = known.begin();
    std::advance(left, static_cast<std::ptrdiff_t>(rng.below(known.size())));
    std::advance(right, static_cast<std::ptrdiff_t>(rng.below(known.size())));
    const auto bytes = left->first + right->first;
    const Merge merge{
        left->second, right->second,
        known.contains(bytes) ? known[bytes] : static_cast<std::int32_t>(spec.tokens.size())};
    if (!known.contains(bytes)) spec.tokens.push_back({bytes, true, true});
    known[bytes] = merge.merged;
    spec.merges.push_back(merge);
  }
  rng.shuffle(spec.merges);
  return spec;
}

TEST(Bpe, MergesAsTheDefinitionSaysShortAndLong) {
  auto rng = rng_for(3, "bpe", 0, "wild");
  for (int round = 0; round < 60; ++round) {
    const auto spec = wild_spec(rng);
    const Bpe bpe(spec);
    MergeScratch scratch;
    for (int i = 0; i < 60; ++i) {
      std::string piece;
      for (auto n = 1 + rng.below(120); n > 0; --n) piece += "ab"[rng.below(2)];
      std::vector<std::int32_t> ids;
      bpe.merge(piece, scratch, ids);
      const auto wanted = slow_merge(spec, piece);
      ASSERT_EQ(ids, wanted) << piece;
      const auto whole = bpe.whole(piece, hash_of(std::string_view(piece)));
      if (whole >= 0) {
        ASSERT_EQ(wanted, std::vector<std::int32_t>{whole}) << piece;
      }
      if (wanted.size() == 1) {
        ASSERT_EQ(whole, wanted[0]) << piece;
      }
    }
  }
}

TEST(Bpe, OfTwoEqualPairsTheLastRankCounts) {
  TokenizerSpec spec;
  for (unsigned b = 0; b < 256; ++b) {
    spec.byte_ids[b] = static_cast<std::int32_t>(b);
    spec.tokens.push_back({std::string(1, static_cast<char>(b)), true, true});
  }
  spec.tokens.push_back({"ab", true, true});
  spec.tokens.push_back({"bc", true, true});
  spec.merges = {{'a', 'b', 256}, {'b', 'c', 257}, {'a', 'b', 256}};
  MergeScratch scratch;
  std::vector<std::int32_t> ids;
  Bpe(spec).merge("abc", scratch, ids);
  EXPECT_EQ(ids, (std::vector<std::int32_t>{'a', 257}));
}

TEST(Bpe, KeysOfSpansTellLengthsAndZerosApart) {
  const std::string zeros(40, '\0'), text = "abcdefghijklmnopqrstuvwxyz0123456789abcd";
  const auto key = [](const std::string& s, std::size_t n) {
    return span_key(s.data(), n, s.data() + s.size());
  };
  for (std::size_t n = 1; n <= kMaxKeyBytes; ++n) {
    EXPECT_FALSE(key(zeros, n) == key(zeros, n - 1));
    const auto alone = text.substr(0, n);  // nothing may be read behind it
    EXPECT_TRUE(key(text, n) == key(alone, n)) << n;
    EXPECT_EQ(hash_of(key(text, n)), hash_of(std::string_view(alone)));
  }
}

}  // namespace
}  // namespace seedbed::engine::text
