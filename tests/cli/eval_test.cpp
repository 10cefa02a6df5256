// Suites, and what an evaluation looks like for people.
#include <gtest/gtest.h>

#include <set>

#include "cli/eval_print.h"
#include "cli/eval_suites.h"
#include "tasks/eval/rows.h"

namespace seedbed::cli {
namespace {

TEST(EvalSuites, SeedsAreTheirOwnAndOutOfReachOfGen) {
  std::set<std::string> seeds;
  for (const auto& name : suite_names()) {
    const auto suites = suites_of(name);
    ASSERT_TRUE(suites.ok()) << suites.error().message;
    ASSERT_EQ(suites->size(), 1U) << name;
    const auto& request = (*suites)[0].request;
    EXPECT_TRUE(seeds.insert(request.seed).second) << name;
    EXPECT_GT(std::stoull(request.seed), static_cast<std::uint64_t>(INT64_MAX)) << name;
    ASSERT_TRUE(request.mix.has_value()) << name;
    EXPECT_EQ(request.split, name.find("heldout") == std::string::npos ? "train" : "heldout");
    EXPECT_EQ(request.tools.has_value(), name.starts_with("compact")) << name;
  }
  EXPECT_EQ(seeds.size(), 22U);
}

TEST(EvalSuites, AGroupIsItsTenLevelsAndNothingIsTakenTwice) {
  const auto suites = suites_of("general-l3,general,heldout,heldout");
  ASSERT_TRUE(suites.ok());
  ASSERT_EQ(suites->size(), 11U);
  EXPECT_EQ((*suites)[0].name, "general-l3");
  EXPECT_EQ((*suites)[1].name, "general-l1");
  EXPECT_EQ((*suites)[9].name, "general-l10");
  EXPECT_EQ((*suites)[9].request.mix->levels->at(0).from, 10);
  EXPECT_EQ((*suites)[10].name, "heldout");
  for (const char* wrong : {"", "general-l1,", "general-l0", "compact-l11", "General"}) {
    const auto refused = suites_of(wrong);
    ASSERT_FALSE(refused.ok()) << wrong;
    EXPECT_EQ(refused.error().where, Where::usage);
  }
}

TEST(EvalSuites, AnotherRequestOrOtherPacksAreAnotherFile) {
  const auto suites = suites_of("general-l1,compact-l1");
  ASSERT_TRUE(suites.ok());
  envgen::Packs packs;
  packs.hash = "a";
  const auto path = suite_path("/tmp", (*suites)[0], packs);
  EXPECT_EQ(path, suite_path("/tmp", (*suites)[0], packs));
  EXPECT_TRUE(path.starts_with("/tmp/general-l1-")) << path;
  auto more = (*suites)[0];
  ++more.request.envs;
  EXPECT_NE(suite_path("/tmp", more, packs), path);
  packs.hash = "b";
  EXPECT_NE(suite_path("/tmp", (*suites)[0], packs), path);
}

TEST(EvalSuites, WhatIsHeldOutIsNamed) {
  envgen::Packs packs;
  packs.mechanisms.resize(2);
  packs.mechanisms[0].name = "ledger";
  packs.mechanisms[1].name = "secret";
  packs.mechanisms[1].heldout = true;
  packs.lexicons.resize(2);
  packs.lexicons[0].name = "clinic";
  packs.lexicons[1].name = "harbour";
  packs.lexicons[1].heldout = true;
  schemas::Recipe recipe;
  recipe.split = "heldout";
  recipe.mechanisms = {"ledger"};
  recipe.lexicon = "clinic";
  EXPECT_EQ(held_out(packs, recipe), "class");
  recipe.lexicon = "harbour";
  EXPECT_EQ(held_out(packs, recipe), "lexicon");
  recipe.mechanisms.emplace_back("secret");
  EXPECT_EQ(held_out(packs, recipe), "both");
  recipe.lexicon = "clinic";
  EXPECT_EQ(held_out(packs, recipe), "mechanism");
  recipe.mechanisms = {"ledger"};
  recipe.split = "train";
  EXPECT_EQ(held_out(packs, recipe), "");
}

schemas::EvalPolicy policy_of(const std::string& label, std::int64_t samples) {
  schemas::EvalPolicy policy;
  policy.label = label;
  policy.samples = samples;
  for (int i = 0; i < 20; ++i) {
    schemas::EvalTask task;
    task.task = std::to_string(i);
    task.environment = std::to_string(i % 12);
    task.suite = i < 10 ? "general-l9" : "general-l10";
    task.level = i < 10 ? 9 : 10;
    task.kind = "<lookup>";
    for (std::int64_t n = 0; n < samples; ++n)
      tasks::eval::count_try(task, (i + n) % 3 == 0, tasks::eval::ErrorClass::wrong_tool);
    policy.tasks.push_back(task);
  }
  policy.rows = tasks::eval::rows_of(policy.tasks, samples);
  return policy;
}

TEST(EvalPrint, LevelsComeInTheirOrderAndAreOfThePolicyThatTriedThem) {
  const auto table = score_table({policy_of("a", 1), policy_of("b", 4)}, "level");
  ASSERT_EQ(table.rows.size(), 4U);
  EXPECT_EQ(table.rows[0][0], "9");
  EXPECT_EQ(table.rows[2][0], "10");
  EXPECT_EQ(table.rows[0][1], "a");
  EXPECT_EQ(table.rows[0].back(), "-") << "one try gives no rate of four";
  EXPECT_NE(table.rows[1].back(), "-");
  for (const auto& row : table.rows) EXPECT_EQ(row.size(), table.header.size());
}

TEST(EvalPrint, SharesOfErrorsAndSolvedMakeTheWhole) {
  const auto table = error_table({policy_of("a", 1)});
  ASSERT_EQ(table.rows.size(), 1U);
  ASSERT_EQ(table.rows[0].size(), table.header.size());
  EXPECT_EQ(table.rows[0][1], "35.0 %");
  EXPECT_EQ(table.rows[0][2], "65.0 %");
}

TEST(EvalPrint, ThePageTakesNamesAsText) {
  schemas::Evaluation evaluation;
  evaluation.policies.push_back(policy_of("<b>m</b> with a name that is far too long", 4));
  const auto page = eval_html(evaluation, {policy_of("before", 1)});
  EXPECT_EQ(page.find("<b>"), std::string::npos);
  EXPECT_EQ(page.find("<lookup>"), std::string::npos);
  EXPECT_NE(page.find("&lt;lookup&gt;"), std::string::npos);
  EXPECT_EQ(page.find("http"), std::string::npos);
  EXPECT_EQ(page.find("nan"), std::string::npos);
  EXPECT_NE(page.find("pass^k"), std::string::npos);
  EXPECT_NE(page.find("</html>"), std::string::npos);
}

}  // namespace
}  // namespace seedbed::cli
