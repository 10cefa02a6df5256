#include <gtest/gtest.h>

#include <algorithm>

#include "base/rng.h"
#include "tasks/eval/estimate.h"

namespace seedbed::tasks::eval {
namespace {

// By counting subsets of k of n tries, of which the first c are right.
double counted(int n, int c, int k, bool all) {
  int subsets = 0, hits = 0;
  for (unsigned set = 0; set < (1U << n); ++set) {
    if (__builtin_popcount(set) != k) continue;
    ++subsets;
    const int right = __builtin_popcount(set & ((1U << c) - 1U));
    hits += (all ? right == k : right > 0) ? 1 : 0;
  }
  return static_cast<double>(hits) / subsets;
}

TEST(Estimate, PassAtAndPassAllAreWhatCountingSubsetsGives) {
  for (int n = 1; n <= 8; ++n)
    for (int c = 0; c <= n; ++c)
      for (int k = 1; k <= n; ++k) {
        EXPECT_NEAR(pass_at(n, c, k), counted(n, c, k, false), 1e-12) << n << c << k;
        EXPECT_NEAR(pass_all(n, c, k), counted(n, c, k, true), 1e-12) << n << c << k;
      }
}

TEST(Estimate, WilsonAgreesWithTextbookValues) {
  const auto none = wilson(0, 20);
  EXPECT_EQ(none[0], 0);
  EXPECT_NEAR(none[1], 0.1611, 1e-4);
  EXPECT_EQ(wilson(1, 60)[1], 1);
  const auto half = wilson(0.5, 100);
  EXPECT_NEAR(half[0], 0.4038, 1e-4);
  EXPECT_NEAR(half[1], 0.5962, 1e-4);
}

TEST(Estimate, OneTaskAnEnvironmentIsWilsons) {
  std::vector<Tries> tasks;
  for (int i = 0; i < 40; ++i) tasks.push_back({1, i % 4 == 0 ? 1 : 0, i});
  const auto e = pass_at_estimate(tasks, 1);
  EXPECT_EQ(e.kind, IntervalKind::wilson);
  EXPECT_DOUBLE_EQ(e.value, 0.25);
  EXPECT_DOUBLE_EQ(e.low, wilson(0.25, 40)[0]);
}

TEST(Estimate, FewEnvironmentsOrTasksAlikeGiveTheWideInterval) {
  std::vector<Tries> tasks;
  for (int i = 0; i < 36; ++i) tasks.push_back({1, i % 2, i % 9});
  EXPECT_EQ(pass_at_estimate(tasks, 1).kind, IntervalKind::environments);
  tasks.clear();
  for (int i = 0; i < 100; ++i) tasks.push_back({1, 0, i % 20});
  const auto none = pass_at_estimate(tasks, 1);
  EXPECT_EQ(none.kind, IntervalKind::environments);
  EXPECT_DOUBLE_EQ(none.high, wilson(0, 20)[1]) << "twenty environments, not a hundred tasks";
  EXPECT_EQ(pass_at_estimate({}, 1).kind, IntervalKind::none);
}

// Environments that pass or fail as a whole.
TEST(Estimate, DrawnIntervalsHoldTheTruthDespiteClusters) {
  constexpr int kTrials = 200;
  int held = 0, held_if_independent = 0;
  for (int trial = 0; trial < kTrials; ++trial) {
    Rng rng = rng_for(1, "test", static_cast<std::uint64_t>(trial), "clusters");
    std::vector<Tries> tasks;
    std::int64_t right = 0;
    for (int env = 0; env < 40; ++env) {
      const std::int64_t c = rng.chance(3, 10) ? 1 : 0;
      for (int i = 0; i < 5; ++i) tasks.push_back({1, c, env});
      right += 5 * c;
    }
    const auto e = pass_at_estimate(tasks, 1);
    EXPECT_EQ(e.kind, IntervalKind::bootstrap);
    held += e.low <= 0.3 && 0.3 <= e.high ? 1 : 0;
    const auto w = wilson(static_cast<double>(right) / 200, 200);
    held_if_independent += w[0] <= 0.3 && 0.3 <= w[1] ? 1 : 0;
  }
  EXPECT_GE(held, kTrials * 88 / 100);
  EXPECT_LT(held_if_independent, kTrials * 75 / 100) << "the case would show nothing";
}

TEST(Estimate, DrawsDoNotDependOnTheOrder) {
  std::vector<Tries> tasks;
  for (int i = 0; i < 60; ++i) tasks.push_back({4, i % 5, i % 15});
  const auto e = pass_at_estimate(tasks, 2);
  EXPECT_LT(e.low, e.value);
  EXPECT_GT(e.high, e.value);
  std::reverse(tasks.begin(), tasks.end());
  EXPECT_EQ(pass_at_estimate(tasks, 2), e);
}

TEST(Estimate, DifferencesOfNoneSayHowFarThatReaches) {
  std::vector<Point> points;
  for (int i = 0; i < 30; ++i) points.push_back({0, i});
  const auto none = mean_estimate(points);
  EXPECT_EQ(none.value, 0);
  EXPECT_GT(none.high, 0.05);
  EXPECT_EQ(none.low, -none.high);
  points.resize(5);
  EXPECT_EQ(mean_estimate(points).high, 1);
  EXPECT_EQ(mean_estimate({}).kind, IntervalKind::none);
  points.clear();
  for (int i = 0; i < 60; ++i) points.push_back({i % 3 == 0 ? 1.0 : 0.0, i});
  const auto ahead = mean_estimate(points);
  EXPECT_NEAR(ahead.value, 1.0 / 3, 1e-12);
  EXPECT_GT(ahead.low, 0.15);
  EXPECT_LT(ahead.high, 0.5);
}

}  // namespace
}  // namespace seedbed::tasks::eval
