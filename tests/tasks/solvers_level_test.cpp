#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "base/text.h"
#include "tasks/solvers/level.h"

namespace seedbed::tasks::solvers {
namespace {

using schemas::GoldKind;
using schemas::GoldStep;
using schemas::Value;

Value parse(const char* text) {
  return *schemas::parse_json(text);
}

// Rows of the page's tables whose first cell is the word.
std::vector<std::vector<std::string>> rows_of_page() {
  std::ifstream in(std::string(SEEDBED_SOURCE_DIR) + "/docs/levels.md");
  std::vector<std::vector<std::string>> out;
  for (std::string line; std::getline(in, line);) {
    if (!line.starts_with("| ")) continue;
    std::vector<std::string> cells;
    for (const auto& cell : split(line, '|'))
      if (!trim(cell).empty()) cells.emplace_back(trim(cell));
    out.push_back(std::move(cells));
  }
  return out;
}

schemas::Environment shop() {
  schemas::Environment env;
  for (const char* name : {"find_person", "list_orders", "cancel_order", "a", "b", "c", "d", "e"}) {
    schemas::Tool tool;
    tool.name = name;
    tool.input =
        parse(R"({"type":"object","properties":{"order_id":{"type":"string"}},"required":[]})");
    tool.program.shape = schemas::Shape::rows;
    if (tool.name == "cancel_order") {
      tool.program.steps.emplace_back();
      tool.program.steps.back().run = "UPDATE o SET s = 1";
      tool.program.shape = schemas::Shape::object;
    }
    env.tools.push_back(std::move(tool));
  }
  return env;
}

GoldStep call(const char* tool, std::vector<int> needs) {
  GoldStep step;
  step.tool = tool;
  step.args = parse(R"({"order_id":"O-1"})");
  step.needs = std::move(needs);
  return step;
}

struct Made {
  schemas::Environment env = shop();
  schemas::TaskSpec task;
  schemas::Gold gold;
  schemas::Verifier verifier;
  Made() {
    task.prompt = "Cancel the order of Ada Byron.";
    GoldStep end;
    end.kind = GoldKind::submit;
    end.args = Value::object();
    gold.steps = {call("find_person", {}), call("list_orders", {0}), call("cancel_order", {1}),
                  end};
  }
  [[nodiscard]] Hardness hardness() const { return hardness_of(env, task, gold, verifier); }
};

TEST(Levels, ThePageHoldsTheTablesOfTheCode) {
  const auto page = rows_of_page();
  const auto has = [&](const std::vector<std::string>& row) {
    return std::find(page.begin(), page.end(), row) != page.end();
  };
  for (const auto& w : level_weights())
    EXPECT_TRUE(has({std::string(w.knob), std::to_string(w.points), std::to_string(w.most)}))
        << w.knob;
  ASSERT_EQ(level_floors().size(), static_cast<std::size_t>(kLevels));
  for (std::size_t i = 0; i < level_floors().size(); ++i)
    EXPECT_TRUE(has({std::to_string(i + 1), std::to_string(level_floors()[i])})) << i + 1;
  EXPECT_EQ(page.size(), level_weights().size() + level_floors().size() + 2);
}

TEST(Levels, EveryWeightNamesAKnob) {
  const auto knobs = knobs_of({});
  for (const auto& w : level_weights())
    EXPECT_TRUE(std::any_of(knobs.begin(), knobs.end(), [&](const auto& k) {
      return k.name == w.knob;
    })) << w.knob;
  EXPECT_TRUE(std::is_sorted(level_floors().begin(), level_floors().end()));
}

TEST(Levels, LogarithmIsExactAtPowersAndRoundedDownBetween) {
  EXPECT_EQ(log2_16(0), 0);
  EXPECT_EQ(log2_16(1), 0);
  EXPECT_EQ(log2_16(2), 16);
  EXPECT_EQ(log2_16(3), 25);      // 1.58496 * 16 = 25.36
  EXPECT_EQ(log2_16(1000), 159);  // 9.96578 * 16 = 159.45
  EXPECT_EQ(log2_16(std::uint64_t{1} << 40), 640);
  EXPECT_EQ(log2_16((std::uint64_t{1} << 40) - 1), 639);
}

TEST(Levels, CountsWhatThePlanDoes) {
  const Hardness h = Made().hardness();
  EXPECT_EQ(h.plan_calls, 3);
  EXPECT_EQ(h.data_flow_edges, 2);
  EXPECT_EQ(h.hops, 2);
  EXPECT_EQ(h.writes, 1);
  EXPECT_EQ(h.kinds_read, 2);
  EXPECT_EQ(h.tools, 8);
  EXPECT_EQ(h.refusal, 0);
  EXPECT_GT(h.search_bits, 4 * 16 * 3);  // four turns among ten tools
}

TEST(Levels, ATaskBelowAFloorHasNone) {
  EXPECT_GE(level_of(Made().hardness()), 1);
  Made shorter;
  shorter.gold.steps.erase(shorter.gold.steps.begin());
  EXPECT_EQ(level_of(shorter.hardness()), 0);
  Made flat;
  for (auto& step : flat.gold.steps) step.needs.clear();
  EXPECT_EQ(level_of(flat.hardness()), 0);
  Made poor;
  poor.env.tools.pop_back();
  EXPECT_EQ(level_of(poor.hardness()), 0);
}

TEST(Levels, NothingPlainIsAboveFive) {
  Made hard;
  hard.gold.steps.insert(hard.gold.steps.begin(), 5, GoldStep{});
  for (int i = 0; i < 5; ++i) {
    hard.gold.steps[static_cast<std::size_t>(i)].kind = GoldKind::say;
    hard.gold.steps[static_cast<std::size_t>(i)].text = "Which?";
  }
  for (int i = 0; i < 60; ++i) hard.task.prompt += " please";
  EXPECT_EQ(level_of(hard.hardness()), 5);
  hard.gold.interactions = 1;
  EXPECT_GT(level_of(hard.hardness()), 5);
  hard.gold.interactions = 0;
  hard.verifier.obligations.push_back({"late", "cancel_order", "", ""});
  EXPECT_GT(level_of(hard.hardness()), 5);
  hard.verifier.obligations[0].tool = "a";  // of a tool that the plan does not use
  EXPECT_EQ(level_of(hard.hardness()), 5);
}

TEST(Levels, ARefusalIsAnObligation) {
  Made made;
  made.verifier.outcome = schemas::Outcome::refuse;
  EXPECT_EQ(made.hardness().obligations, 1);
  EXPECT_EQ(made.hardness().refusal, 1);
}

}  // namespace
}  // namespace seedbed::tasks::solvers
