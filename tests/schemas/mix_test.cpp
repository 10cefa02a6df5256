#include "schemas/mix.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace seedbed::schemas {
namespace {

Mix mix_from(const char* text) {
  auto mix = parse_record<Mix>(text, "test");
  EXPECT_TRUE(mix.ok());
  EXPECT_FALSE(check_mix(*mix, "test"));
  return *std::move(mix);
}

// What an endless supply in this order leaves.
std::vector<Kept> fill(const Mix& mix, std::int64_t quota, const std::vector<Kept>& supply) {
  std::vector<Kept> kept;
  for (const auto& task : supply)
    if (static_cast<std::int64_t>(kept.size()) < quota &&
        wanted(mix, kept, quota, task.kind, task.level))
      kept.push_back(task);
  return kept;
}

TEST(Mix, AnEmptyOneWantsEverything) {
  EXPECT_TRUE(wanted({}, {}, 1, "any", 0));
}

TEST(Mix, KindsFillTheirSharesAndNoMore) {
  const Mix mix = mix_from(
      R"({"kinds":[{"kind":"a","share":3},{"kind":"b","share":1},{"kind":"c","share":0}]})");
  std::vector<Kept> supply;
  for (int i = 0; i < 40; ++i)
    for (const char* kind : {"a", "b", "c", "d"}) supply.push_back({kind, 1});
  const auto kept = fill(mix, 20, supply);
  const auto count = [&](const char* kind) {
    return std::count_if(kept.begin(), kept.end(), [&](const Kept& k) { return k.kind == kind; });
  };
  EXPECT_EQ(count("a"), 15);
  EXPECT_EQ(count("b"), 5);
  EXPECT_EQ(kept.size(), 20U);
}

TEST(Mix, LevelsFillTheirSharesAndBothMustHold) {
  const Mix mix = mix_from(
      R"({"kinds":[{"kind":"a","share":1}],"levels":[{"from":1,"to":3,"share":1},{"from":4,"to":6,"share":2}]})");
  EXPECT_TRUE(wanted(mix, {}, 9, "a", 3));
  EXPECT_FALSE(wanted(mix, {}, 9, "b", 3));
  EXPECT_FALSE(wanted(mix, {}, 9, "a", 7));
  EXPECT_FALSE(wanted(mix, {}, 9, "a", 0));
  const std::vector<Kept> kept(3, {"a", 2});
  EXPECT_FALSE(wanted(mix, kept, 9, "a", 1));
  EXPECT_TRUE(wanted(mix, kept, 9, "a", 5));
  EXPECT_TRUE(wanted(mix, kept, 9, "a", 1, false));
  EXPECT_FALSE(wanted(mix, kept, 9, "a", 9, false));
}

TEST(Mix, SmallQuotasAreRoundedUp) {
  const Mix mix = mix_from(R"({"kinds":[{"kind":"a","share":1},{"kind":"b","share":1}]})");
  EXPECT_EQ(fill(mix, 1, {{"b", 1}, {"a", 1}}).size(), 1U);
  EXPECT_EQ(fill(mix, 3, {{"b", 1}, {"b", 1}, {"b", 1}, {"a", 1}}).size(), 3U);
}

TEST(Mix, RefusesWhatMeansNothing) {
  for (const char* text :
       {R"({"kinds":[]})", R"({"kinds":[{"kind":"a","share":0}]})",
        R"({"kinds":[{"kind":"a","share":-1},{"kind":"b","share":2}]})",
        R"({"kinds":[{"kind":"a","share":1},{"kind":"a","share":1}]})",
        R"({"kinds":[{"kind":"","share":1}]})", R"({"levels":[{"from":0,"to":3,"share":1}]})",
        R"({"levels":[{"from":3,"to":2,"share":1}]})",
        R"({"levels":[{"from":1,"to":11,"share":1}]})",
        R"({"levels":[{"from":1,"to":3,"share":1},{"from":3,"to":4,"share":1}]})"}) {
    auto mix = parse_record<Mix>(text, "test");
    ASSERT_TRUE(mix.ok()) << text;
    const auto wrong = check_mix(*mix, "test");
    ASSERT_TRUE(wrong) << text;
    EXPECT_EQ(wrong->where, Where::usage);
  }
}

TEST(Mix, ARangeOfLevelsIsAMix) {
  for (const char* text : {"3-6", "4", "1-10"}) EXPECT_TRUE(mix_of_levels(text).ok()) << text;
  EXPECT_TRUE(wanted(*mix_of_levels("3-6"), {}, 1, "a", 6));
  EXPECT_FALSE(wanted(*mix_of_levels("3-6"), {}, 1, "a", 7));
  EXPECT_FALSE(wanted(*mix_of_levels("4"), {}, 1, "a", 3));
  for (const char* text : {"", "-", "0-3", "6-3", "3-11", "a-b", "3-6-7", "3-", "-3", "003"})
    EXPECT_FALSE(mix_of_levels(text).ok()) << text;
}

TEST(Mix, IsReadFromAFile) {
  const auto path = std::filesystem::temp_directory_path() / "seedbed_mix_test.json";
  std::ofstream(path) << R"({"kinds": [{"kind": "multi", "share": 2}]})";
  EXPECT_TRUE(read_mix(path.string()).ok());
  std::ofstream(path) << R"({"kind": [{"kind": "multi", "share": 2}]})";
  const auto wrong = read_mix(path.string());
  ASSERT_FALSE(wrong.ok());
  EXPECT_NE(wrong.error().message.find("kinds"), std::string::npos);  // the nearest known key
  std::filesystem::remove(path);
  EXPECT_FALSE(read_mix(path.string()).ok());
}

}  // namespace
}  // namespace seedbed::schemas
