// Measures of diversity on sets whose numbers are known by hand, and what must not change them.
#include <cmath>

#include "tests/tasks/diversity_fixture.h"

namespace seedbed::tasks::diversity {
namespace {

NearDuplicates near(const std::vector<std::string>& prompts, int threads = 1) {
  std::vector<std::vector<std::uint32_t>> grams;
  for (const auto& p : prompts) grams.push_back(shingles_of(words_of(p)));
  std::vector<NearText> texts;
  for (std::size_t i = 0; i < grams.size(); ++i) texts.push_back({grams[i], i % 4 == 3});
  auto out = near_duplicates(
      texts, threads, [](std::int64_t, std::int64_t) {}, [] { return false; });
  EXPECT_TRUE(out.ok());
  return out.ok() ? *out : NearDuplicates{};
}

std::vector<std::string> strange(int from, int to) {
  std::vector<std::string> out;
  for (int i = from; i < to; ++i) out.push_back(strange_prompt(i));
  return out;
}

TEST(DiversityNear, TextsThatShareNothingHaveNoNeighbour) {
  const auto found = near(strange(0, 200));
  EXPECT_EQ(found.texts, 200);
  EXPECT_EQ(found.distinct, 200);
  EXPECT_EQ(found.near50, 0);
  EXPECT_EQ(found.near80, 0);
  EXPECT_EQ(found.leaked50, 0);
  EXPECT_EQ(found.mean, 0);
}

TEST(DiversityNear, ATextGivenTwiceHasANeighbour) {
  auto prompts = strange(0, 200);
  prompts.push_back(prompts[7]);  // number 200 is of the train split, as is 7's copy's other
  const auto found = near(prompts);
  EXPECT_EQ(found.near80, 2);
  EXPECT_EQ(found.near50, 2);
  EXPECT_EQ(found.distinct, 200);
  EXPECT_EQ(found.leaked80, 1) << "7 is held out, its copy is not";
  EXPECT_EQ(found.histogram.back(), 2);
}

// 12 words have 8 5-grams; a last word changed leaves 7 of 9 = 0.78, two more words add 2 of 10.
TEST(DiversityNear, TheJaccardIsExact) {
  auto prompts = strange(0, 50);
  std::string changed = prompts[5];
  changed.replace(changed.rfind(' '), std::string::npos, " other.");
  prompts.push_back(changed);
  prompts.push_back(prompts[9] + " Two more.");  // 8 of 10
  const auto found = near(prompts);
  EXPECT_EQ(found.near80, 2);
  EXPECT_EQ(found.near50, 4);
  const auto a = shingles_of(words_of(prompts[5])), b = shingles_of(words_of(changed));
  EXPECT_EQ(jaccard(a, b), 7 * kJaccardOne / 9);
  EXPECT_EQ(jaccard(a, a), kJaccardOne);
}

// Against comparing every pair, on texts that overlap in many ways.
TEST(DiversityNear, FindsWhatComparingAllPairsFinds) {
  Rng rng = rng_for(3, "near", 0, "test");
  std::vector<std::string> prompts;
  for (int i = 0; i < 400; ++i) {
    std::string text;
    const auto base = static_cast<int>(rng.below(60));
    for (int w = 0; w < 30; ++w)
      text += "w" +
              std::to_string(rng.chance(1, 25)
                                 ? 9000 + rng.below(99)
                                 : 100U * static_cast<unsigned>(base) + static_cast<unsigned>(w)) +
              " ";
    prompts.push_back(text);
  }
  std::vector<std::vector<std::uint32_t>> grams;
  for (const auto& p : prompts) grams.push_back(shingles_of(words_of(p)));
  std::int64_t near80 = 0, near50 = 0;
  for (std::size_t i = 0; i < grams.size(); ++i) {
    std::uint32_t best = 0;
    for (std::size_t j = 0; j < grams.size(); ++j)
      if (i != j) best = std::max(best, jaccard(grams[i], grams[j]));
    near80 += best >= kJaccardOne / 10 * 8 ? 1 : 0;
    near50 += best >= kJaccardOne / 2 ? 1 : 0;
  }
  ASSERT_GT(near50, 100);
  ASSERT_LT(near80, near50);
  const auto found = near(prompts, 3);
  EXPECT_EQ(found.near80, near80);
  EXPECT_NEAR(static_cast<double>(found.near50), static_cast<double>(near50), 2);
  EXPECT_LE(found.near50, near50) << "a neighbour that is none";
}

TEST(DiversityNear, WordsLoseTheirSignsAndMasksStay) {
  EXPECT_EQ(words_of("  \"Hello,\" said O'Neill (at 14:30)."),
            (std::vector<std::string>{"hello", "said", "o'neill", "at", "14:30"}));
  EXPECT_EQ(masked_words_of("tell @ that # , \" ."),
            (std::vector<std::string>{"tell", "@", "that", "#", "\""}));
  EXPECT_TRUE(shingles_of({}).empty());
  EXPECT_EQ(shingles_of({"a", "b"}).size(), 1U);
  EXPECT_EQ(shingles_of({"a", "b", "c", "d", "e", "f"}).size(), 2U);
}

TEST(DiversityRichness, NumbersByHand) {
  const auto r = richness_of({1, 1, 1, 1, 2, 2, 3, 4});
  EXPECT_EQ(r.observations, 8);
  EXPECT_EQ(r.distinct, 4);
  EXPECT_EQ(r.largest, 4);
  EXPECT_EQ(r.singletons, 2);
  EXPECT_EQ(r.doubletons, 1);
  EXPECT_NEAR(r.hill1, std::exp(0.5 * std::log(2) + 0.25 * std::log(4) + 0.25 * std::log(8)), 1e-9);
  EXPECT_NEAR(r.hill2, 1 / (0.25 + 0.0625 + 2.0 / 64), 1e-9);
  EXPECT_NEAR(r.top_share, 0.5, 1e-12);
  EXPECT_NEAR(r.chao1, 4 + 2.0 * 1 / (2 * 2), 1e-12);
  EXPECT_NEAR(r.unseen_mass, 0.25, 1e-12);
  ASSERT_FALSE(r.curve.empty());
  EXPECT_EQ(r.curve.front().observations, 1);
  EXPECT_NEAR(r.curve.front().distinct, 1, 1e-9) << "one drawn is one class";
  EXPECT_EQ(r.curve.back().distinct, 4);
  // Two drawn differ unless both are of one class: 1 - (6 + 1) / 28.
  for (const auto& point : r.curve)
    EXPECT_TRUE(point.observations != 2 || std::abs(point.distinct - 1 - 21.0 / 28) < 1e-9);
}

TEST(DiversityRichness, EvenClassesAreWorthTheirNumber) {
  std::vector<std::uint64_t> classes;
  for (std::uint64_t i = 0; i < 3000; ++i) classes.push_back(i % 100);
  const auto r = richness_of(classes);
  EXPECT_NEAR(r.hill1, 100, 1e-6);
  EXPECT_NEAR(r.hill2, 100, 1e-6);
  EXPECT_EQ(r.unseen_mass, 0);
  EXPECT_NEAR(r.chao1, 100, 1e-9);
  EXPECT_EQ(richness_of({}).distinct, 0);
}

TEST(DiversitySample, SelfBleuOfEqualTextsIsOneAndOfStrangeOnesNearlyNone) {
  std::vector<std::vector<std::string>> equal(20, words_of(strange_prompt(1))), other;
  for (const auto& p : strange(0, 20)) other.push_back(words_of(p));
  const auto same = measure_sample(equal, std::vector<std::string>(20, strange_prompt(1)));
  const auto different = measure_sample(other, strange(0, 20));
  ASSERT_TRUE(same.ok() && different.ok());
  EXPECT_NEAR(same->self_bleu4, 1, 1e-12);
  EXPECT_LT(different->self_bleu4, 0.02);
  EXPECT_NEAR(same->distinct2, 11.0 / 220, 1e-12);
  EXPECT_NEAR(different->distinct2, 1, 1e-12);
  EXPECT_GT(same->compression, different->compression);
}

TEST(DiversityReport, OrderIdsAndThreadsChangeNothing) {
  std::vector<std::vector<std::string>> prompts;
  for (int e = 0; e < 12; ++e) prompts.push_back(strange(e * 5, e * 5 + 8));  // overlapping
  const auto evidence = evidence_with(prompts);
  const auto expected = schemas::dump(to_json(report(evidence)));
  auto shuffled = evidence;
  Rng rng = rng_for(5, "order", 0, "test");
  rng.shuffle(shuffled.environments);
  for (auto& env : shuffled.environments) rng.shuffle(env.tasks);
  EXPECT_EQ(schemas::dump(to_json(report(shuffled))), expected);
  EXPECT_EQ(schemas::dump(to_json(report(shuffled, options_with(3)))), expected);
}

TEST(DiversityReport, APromptMoreThatIsThereAlreadyRaisesTheShare) {
  std::vector<std::vector<std::string>> prompts = {strange(0, 20), strange(20, 40)};
  const auto before = report(evidence_with(prompts));
  prompts[0].push_back(prompts[1][3]);
  const auto after = report(evidence_with(prompts));
  EXPECT_EQ(before.near_raw.near80, 0);
  EXPECT_EQ(after.near_raw.near80, 2);
  EXPECT_EQ(after.skeletons.distinct, before.skeletons.distinct);
  EXPECT_GT(after.sample_raw.self_bleu4, before.sample_raw.self_bleu4);
}

TEST(DiversityReport, WhatIsHeldOutAndYetInTrainIsNamed) {
  auto options = options_with();
  options.heldout_mechanisms = {"c0", "never"};
  options.heldout_lexicons = {"lexicon9"};
  const auto r =
      report(evidence_with({strange(0, 2), strange(2, 4), strange(4, 6), strange(6, 8)}), options);
  EXPECT_EQ(r.leakage.heldout, 1);
  EXPECT_EQ(r.leakage.mechanisms, std::vector<std::string>{"c0"});
  EXPECT_TRUE(r.leakage.lexicons.empty());
}

}  // namespace
}  // namespace seedbed::tasks::diversity
