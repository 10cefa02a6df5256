#include <gtest/gtest.h>

#include <set>

#include "base/rng.h"
#include "tasks/selection.h"

namespace seedbed::tasks {
namespace {

SelectionEnvironment env_of(std::int64_t slot,
                            const std::string& cls,
                            const std::string& core,
                            const std::vector<std::string>& skeletons) {
  SelectionEnvironment env{.id = "e" + std::to_string(slot),
                           .slot = slot,
                           .schema_class = cls,
                           .core_schema_class = core,
                           .tasks = {}};
  for (std::size_t i = 0; i < skeletons.size(); ++i)
    env.tasks.push_back({.id = env.id + "t" + std::to_string(i),
                         .number = static_cast<std::int64_t>(i),
                         .masked_skeleton = skeletons[i]});
  return env;
}

std::set<std::string> chosen(const std::vector<SelectionEnvironment>& set) {
  std::set<std::string> out;
  for (const auto& env : set) {
    if (!env.selected) continue;
    out.insert(env.id);
    for (const auto& task : env.tasks)
      if (task.selected) out.insert(task.id);
  }
  return out;
}

TEST(Selection, TheLowestSlotOfASchemaClassIsKept) {
  std::vector<SelectionEnvironment> set = {env_of(5, "a", "x", {"p"}), env_of(2, "a", "y", {"q"}),
                                           env_of(9, "b", "z", {"r"})};
  select(set, {.envs = 10, .tasks_per_env = 1});
  EXPECT_EQ(chosen(set), (std::set<std::string>{"e2", "e2t0", "e9", "e9t0"}));
}

TEST(Selection, ACoreClassKeepsThree) {
  std::vector<SelectionEnvironment> set;
  for (int i = 0; i < 5; ++i)
    set.push_back(env_of(i, "c" + std::to_string(i), "core", {"s" + std::to_string(i)}));
  select(set, {.envs = 10, .tasks_per_env = 1});
  EXPECT_EQ(chosen(set).size(), 6U);
  EXPECT_EQ(chosen(set).count("e3"), 0U);
}

TEST(Selection, ASkeletonIsKeptTenTimesOverAllEnvironments) {
  std::vector<SelectionEnvironment> set;
  for (int i = 0; i < 15; ++i)
    set.push_back(env_of(i, "c" + std::to_string(i), "k" + std::to_string(i),
                         {"same", "own" + std::to_string(i)}));
  select(set, {.envs = 15, .tasks_per_env = 2});
  int same = 0;
  for (const auto& id : chosen(set))
    same += id.size() > 2 && id.substr(id.size() - 2) == "t0" ? 1 : 0;
  EXPECT_EQ(same, 10);
  EXPECT_EQ(chosen(set).size(), 15U + 15U + 10U);
}

TEST(Selection, AnEnvironmentWithTooFewTasksIsDroppedAndTakesNoPlaceInItsClass) {
  std::vector<SelectionEnvironment> set = {env_of(0, "a", "x", {"p"}),
                                           env_of(1, "a", "x", {"q", "r"})};
  select(set, {.envs = 10, .tasks_per_env = 4});
  EXPECT_EQ(chosen(set), (std::set<std::string>{"e1", "e1t0", "e1t1"}));
}

TEST(Selection, TheFirstSurvivorsAndTheLowestNumbersAreKept) {
  std::vector<SelectionEnvironment> set;
  for (int i = 0; i < 4; ++i)
    set.push_back(env_of(i, "c" + std::to_string(i), "", {"1", "2", "3"}));
  select(set, {.envs = 2, .tasks_per_env = 2});
  EXPECT_EQ(chosen(set), (std::set<std::string>{"e0", "e0t0", "e0t1", "e1", "e1t0", "e1t1"}));
}

TEST(Selection, OrderOfTheSetDoesNotMatterAndSelectingTwiceChangesNothing) {
  Rng rng(11);
  for (int round = 0; round < 50; ++round) {
    std::vector<SelectionEnvironment> set;
    for (int i = 0; i < 30; ++i) {
      std::vector<std::string> skeletons;
      for (std::uint64_t n = 0; n < 1 + rng.below(6); ++n)
        skeletons.push_back("s" + std::to_string(rng.below(12)));
      set.push_back(env_of(i, "c" + std::to_string(rng.below(20)),
                           "k" + std::to_string(rng.below(8)), skeletons));
    }
    const SelectionRules rules{.envs = 12, .tasks_per_env = 4, .max_per_masked_skeleton = 4};
    auto shuffled = set;
    rng.shuffle(shuffled);
    for (auto& env : shuffled) rng.shuffle(env.tasks);
    select(set, rules);
    select(shuffled, rules);
    const auto once = chosen(set);
    EXPECT_EQ(once, chosen(shuffled));
    select(set, rules);
    EXPECT_EQ(once, chosen(set));
    EXPECT_FALSE(once.empty());
  }
}

TEST(MaskedSkeleton, PromptsThatDifferInParticularsAreAlike) {
  const struct {
    const char* a;
    const char* b;
  } alike[] = {
      {"Cancel booking BK-1042 for Maria Lopez.", "Cancel booking BK-7 for Cher."},
      {"Move the visit to 5 March 2031 at 14:30.", "Move the visit to 2031-03-07 at 9:05."},
      {"Note \"call me back\" on her file.", "Note \"no milk\" on her file."},
      {"Pay 1,250.50 to Zoe.", "Pay 3 to Ian."},
      {"Maria Lopez wants a refund.", "Ian Wood wants a refund."},
      {"Maria wants a refund. Ask Maria why.", "Zoe wants a refund. Ask Zoe why."},
      {"Is Lopez's dog in?", "Is \xC3\x89mile's dog in?"},
      {"Please find   the\ncat.", "please find the cat."},
      {"It is on Monday.", "It is on Friday."},
  };
  for (const auto& pair : alike)
    EXPECT_EQ(masked_skeleton(pair.a), masked_skeleton(pair.b))
        << masked_text(pair.a) << " / " << masked_text(pair.b);
}

TEST(MaskedSkeleton, PromptsThatDifferInWordsAreNot) {
  EXPECT_NE(masked_skeleton("Cancel booking 7."), masked_skeleton("Confirm booking 7."));
  EXPECT_NE(masked_skeleton("I may go."), masked_skeleton("You may go."));
  EXPECT_NE(masked_skeleton("Cancel 7 for Zoe."), masked_skeleton("Cancel 7."));
  EXPECT_EQ(masked_text("I'd like Maria's dog's visit, don't I?"),
            "i'd like @ 's dog's visit , don't i ?");
}

TEST(MaskedSkeleton, AnyBytesAreTaken) {
  Rng rng(5);
  for (int i = 0; i < 2000; ++i) {
    std::string text;
    for (std::uint64_t n = rng.below(60); n > 0; --n)
      text.push_back(static_cast<char>(rng.chance(1, 3) ? rng.below(256)
                                                        : "aA '\".1-\xE2\x80\x9C"[rng.below(10)]));
    EXPECT_EQ(masked_skeleton(text).size(), 32U);
  }
}

}  // namespace
}  // namespace seedbed::tasks
