// What a user asks for beyond the plain way: levels and mixes, packs of his own, pairs, issues.
#include <gtest/gtest.h>

#include <sstream>

#include "program.h"
#include "schemas/value.h"

namespace seedbed::e2e {
namespace {

using schemas::Value;

Value json_in(const std::string& text) {
  auto value = schemas::parse_json(text);
  EXPECT_TRUE(value.ok()) << text.substr(0, 200);
  return value.ok() ? *std::move(value) : Value();
}

Value diversity(const std::string& store) {
  const auto ended = seedbed({"stats", store, "--diversity", "--json"});
  EXPECT_EQ(ended.code, 0) << ended.err;
  return json_in(ended.out);
}

// The names of a histogram, and whether there are any.
std::vector<std::string> names(const Value& value, const std::string& list) {
  std::vector<std::string> out;
  if (const Value* found = value.find(list))
    for (const auto& [name, count] : found->members()) out.push_back(name);
  EXPECT_FALSE(out.empty()) << list;
  return out;
}

TEST(AskedFor, OnlyTasksOfTheLevels) {
  const Folder folder;
  const auto store = folder.file("a.db");
  const auto made = seedbed({"gen", "--out", store, "--envs", "3", "--tasks-per-env", "6", "--seed",
                             "3", "--level", "4-6"});
  ASSERT_EQ(made.code, 0) << made.err;
  for (const auto& level : names(diversity(store), "levels"))
    EXPECT_TRUE(level == "4" || level == "5" || level == "6") << level;
}

TEST(AskedFor, OnlyTheKindsOfTheMix) {
  const Folder folder;
  const auto store = folder.file("a.db"), mix = folder.file("mix.json");
  write_text(mix, R"({"kinds": [{"kind": "refuse", "share": 1}, {"kind": "multi", "share": 2}]})");
  const auto made = seedbed(
      {"gen", "--out", store, "--envs", "3", "--tasks-per-env", "6", "--seed", "3", "--mix", mix});
  ASSERT_EQ(made.code, 0) << made.err;
  EXPECT_EQ(names(diversity(store), "kinds"), (std::vector<std::string>{"multi", "refuse"}));
}

TEST(AskedFor, AMixThatCannotBeIsRefusedByPlace) {
  const Folder folder;
  const auto store = folder.file("a.db"), mix = folder.file("mix.json");
  const std::pair<const char*, const char*> table[] = {
      {R"({"kinds": [{"kind": "restor", "share": 1}]})", "did you mean 'restore'?"},
      {R"({"kinds": [{"kind": "saga", "share": 0}]})", "all shares are 0"},
      {R"({"levels": [{"from": 3, "to": 11, "share": 1}]})", "found 3 to 11"},
      {R"({"kidns": []})", "did you mean 'kinds'?"},
      {R"({"kinds": )", "mix.json"},
  };
  for (const auto& [text, says] : table) {
    write_text(mix, text);
    const auto ended = seedbed({"gen", "--out", store, "--mix", mix}, 20);
    EXPECT_TRUE(ended.code == 2 || ended.code == 3) << text << ": " << ended.code;
    EXPECT_NE(ended.err.find(says), std::string::npos) << says << "\nbut said: " << ended.err;
    EXPECT_FALSE(exists(store));
  }
}

TEST(AskedFor, ANewPackPassesItsCheckAndIsUsed) {
  const Folder folder;
  const auto packs = folder.file("my_trade");
  ASSERT_EQ(seedbed({"pack", "new", packs}).code, 0);
  const auto checked = seedbed({"pack", "check", packs});
  EXPECT_EQ(checked.code, 0) << checked.out << checked.err;
  EXPECT_NE(seedbed({"pack", "new", packs}).code, 0) << "what is there is not written over";
  const auto made = seedbed({"gen", "--out", folder.file("a.db"), "--envs", "1", "--tasks-per-env",
                             "4", "--pack", packs});
  EXPECT_EQ(made.code, 0) << made.err;
}

class Asked : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(exists(small_store()));
    copy_file(small_store(), store_);
  }
  Value export_as(const std::vector<std::string>& more, const std::string& out) {
    std::vector<std::string> words = {"export", store_, "--out", out, "--json"};
    words.insert(words.end(), more.begin(), more.end());
    const auto ended = seedbed(words);
    EXPECT_EQ(ended.code, 0) << ended.err;
    return json_in(ended.out);
  }
  Folder folder_;
  const std::string store_ = folder_.file("a.db");
};

TEST_F(Asked, PairsPreferTheGoldPlan) {
  const auto out = folder_.file("pairs");
  const auto report = export_as({"--format", "preference"}, out);
  std::istringstream lines(read_text(out + "/data/train-00000.jsonl"));
  std::int64_t pairs = 0;
  for (std::string line; std::getline(lines, line); ++pairs) {
    const auto row = json_in(line);
    ASSERT_NE(row.find("chosen"), nullptr);
    ASSERT_NE(row.find("rejected"), nullptr);
    EXPECT_NE(*row.find("chosen"), *row.find("rejected"));
    EXPECT_NE(row.text("wrong"), "");
    EXPECT_NE(row.text("why"), "");
  }
  EXPECT_EQ(pairs, report.integer("train"));
  EXPECT_GT(report.integer("train") + report.integer("heldout"), 0);
}

TEST_F(Asked, ATaskWithAnOpenIssueCanBeLeftOut) {
  ASSERT_EQ(seedbed({"run", store_, "--policy", "oracle"}).code, 0);
  const auto all = export_as({"--format", "trl"}, folder_.file("all"));
  const auto list = json_in(seedbed({"show", store_, "--json"}).out);
  const auto task = list.find("environments")->items()[0].find("tasks")->items()[0].as_string();
  const auto added =
      seedbed({"issue", store_, "add", task, "--title", "two persons fit", "--json"});
  ASSERT_EQ(added.code, 0) << added.err;
  const auto open = json_in(seedbed({"issue", store_, "list", "--json"}).out);
  ASSERT_EQ(open.find("issues")->items().size(), 1U);
  const auto& issue = open.find("issues")->items()[0];
  EXPECT_EQ(issue.text("task"), task);
  EXPECT_EQ(issue.text("title"), "two persons fit");
  EXPECT_EQ(issue.text("status"), "open");
  const auto without = export_as({"--format", "trl", "--no-issues"}, folder_.file("without"));
  EXPECT_EQ(without.integer("episodes"), all.integer("episodes") - 1);
  ASSERT_EQ(
      seedbed({"issue", store_, "resolve", issue.text("id"), "--resolution", "reworded"}).code, 0);
  EXPECT_TRUE(
      json_in(seedbed({"issue", store_, "list", "--json"}).out).find("issues")->items().empty());
  EXPECT_EQ(
      export_as({"--format", "trl", "--no-issues"}, folder_.file("again")).integer("episodes"),
      all.integer("episodes"));
}

}  // namespace
}  // namespace seedbed::e2e
