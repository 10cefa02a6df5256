// `seedbed eval`, as a user drives it: scripted policies on one small suite.
#include <gtest/gtest.h>

#include <algorithm>

#include "program.h"
#include "schemas/value.h"

namespace seedbed::e2e {
namespace {

using Words = std::vector<std::string>;

// The suite's store is generated once for the whole test program; each test has its own copy.
class Eval : public testing::Test {
 protected:
  static const std::string& generated() {
    static const Folder folder;
    static const std::string path = [] {
      const auto ended = seedbed({"eval", "--policy", "nop", "--suite", "compact-l1", "--tasks",
                                  "1", "--store", folder.path() + "/suites"},
                                 500);
      return ended.code == 0 ? folder.path() + "/suites" : "eval failed: " + ended.err;
    }();
    return path;
  }
  void SetUp() override {
    ASSERT_TRUE(exists(generated())) << generated();
    ASSERT_EQ(run_words({"cp", "-r", generated(), folder_.file("suites")}).code, 0);
  }
  Ended eval(Words words) {
    words.insert(words.begin(), "eval");
    words.insert(words.end(),
                 {"--suite", "compact-l1", "--store", folder_.file("suites"), "--jobs", "2"});
    return seedbed(words);
  }
  static schemas::Value json_of(const std::string& text) {
    auto value = schemas::parse_json(text);
    EXPECT_TRUE(value.ok()) << text;
    return value.ok() ? *std::move(value) : schemas::Value();
  }
  static const schemas::Value& policy_of(const schemas::Value& evaluation, std::size_t i) {
    return evaluation.find("policies")->items().at(i);
  }
  static const schemas::Value& all_of(const schemas::Value& evaluation, std::size_t i) {
    return policy_of(evaluation, i).find("rows")->items().at(0);
  }
  std::string suite_store() {
    const auto found = run_words({"sh", "-c", "ls " + folder_.file("suites") + "/*.db"});
    return found.out.substr(0, found.out.find('\n'));
  }
  Folder folder_;
};

TEST_F(Eval, TheOracleSolvesAllAndTheNopGivesUpOnAll) {
  const auto ended =
      eval({"--policy", "nop", "--tasks", "24", "--baseline", "oracle,random", "--json"});
  ASSERT_EQ(ended.code, 0) << ended.err;
  const auto value = json_of(ended.out);
  ASSERT_EQ(value.find("policies")->items().size(), 3U);
  const auto& nop = all_of(value, 0);
  EXPECT_EQ(nop.integer("tasks"), 24);
  EXPECT_EQ(nop.integer("environments"), 24) << "the tasks are spread";
  EXPECT_EQ(nop.integer("solved"), 0);
  ASSERT_EQ(nop.find("errors")->items().size(), 1U);
  EXPECT_EQ(nop.find("errors")->items()[0].text("name"), "gave_up");
  EXPECT_EQ(nop.find("errors")->items()[0].integer("count"), 24);
  EXPECT_EQ(all_of(value, 1).integer("solved"), 24);
  EXPECT_EQ(nop.find("pass_at")->items()[0].text("interval"), "wilson");
  const auto& random = all_of(value, 2);
  std::int64_t wrong = 0;
  for (const auto& e : random.find("errors")->items()) wrong += e.integer("count");
  EXPECT_EQ(random.integer("solved") + wrong, 24) << "each episode has one class";
  const auto& compared = value.find("comparisons")->items();
  ASSERT_EQ(compared.size(), 2U);
  EXPECT_EQ(compared[0].text("before"), "oracle");
  EXPECT_EQ(compared[0].integer("lost"), 24);
}

TEST_F(Eval, SeveralTriesGiveRatesForEachK) {
  const auto ended = eval({"--policy", "random", "--tasks", "20", "--samples", "4", "--json"});
  ASSERT_EQ(ended.code, 0) << ended.err;
  const auto row = all_of(json_of(ended.out), 0);
  EXPECT_EQ(row.integer("episodes"), 80);
  const auto& rates = row.find("pass_at")->items();
  ASSERT_EQ(rates.size(), 3U);
  EXPECT_EQ(rates[2].integer("k"), 4);
  EXPECT_LE(rates[0].find("value")->as_double(), rates[2].find("value")->as_double());
}

TEST_F(Eval, TheSameCommandMakesNothingTwice) {
  const auto first = eval({"--policy", "greedy", "--tasks", "12", "--json"});
  ASSERT_EQ(first.code, 0) << first.err;
  const auto before = digest(suite_store());
  const auto second = eval({"--policy", "greedy", "--tasks", "12", "--json"});
  EXPECT_EQ(second.out, first.out) << "the seconds too are of the episodes that were made";
  EXPECT_EQ(digest(suite_store()), before);
  const auto more = eval({"--policy", "greedy", "--tasks", "16", "--json"});
  EXPECT_EQ(all_of(json_of(more.out), 0).integer("tasks"), 16);
}

TEST_F(Eval, EarlierEvaluationsAreReadBackAndPutBeside) {
  const auto nop = folder_.file("nop.json"), page = folder_.file("page.html");
  ASSERT_EQ(eval({"--policy", "nop", "--tasks", "12", "--out", nop}).code, 0);
  const auto ended = eval({"--policy", "oracle", "--tasks", "16", "--compare", nop, "--html", page,
                           "--out", folder_.file("oracle.json")});
  ASSERT_EQ(ended.code, 0) << ended.err;
  EXPECT_NE(ended.out.find("oracle against nop: nop"), std::string::npos) << ended.out;
  const auto text = read_text(page);
  EXPECT_NE(text.find("</html>"), std::string::npos);
  EXPECT_NE(text.find("<svg"), std::string::npos);
  for (const char* outside : {"http://", "https://", "src=", "<script", "@import", "url("})
    EXPECT_EQ(text.find(outside), std::string::npos) << outside;
  const auto files =
      seedbed({"eval", "--compare", nop, "--compare", folder_.file("oracle.json"), "--json"});
  ASSERT_EQ(files.code, 0) << files.err;
  const auto compared = json_of(files.out);
  EXPECT_EQ(compared.find("comparisons")->items()[0].integer("gained"), 12);
}

TEST_F(Eval, WhatWasTrainedOnIsFoundAndCanBeLeftOut) {
  const auto leaks =
      eval({"--policy", "nop", "--tasks", "8", "--against", suite_store(), "--json"});
  EXPECT_EQ(leaks.code, 1);
  EXPECT_NE(leaks.err.find("--unseen-only leaves them out"), std::string::npos) << leaks.err;
  const auto leak = json_of(leaks.out).find("leakage")->items()[0];
  EXPECT_EQ(leak.integer("shared_environments"), 8);
  EXPECT_EQ(leak.integer("shared_triples"), 8);
  const auto other =
      eval({"--policy", "nop", "--tasks", "8", "--against", small_store(), "--unseen-only"});
  EXPECT_EQ(other.code, 0) << other.err;
  EXPECT_NE(other.err.find("occurs in the training stores"), std::string::npos) << other.err;
  const auto none = eval({"--policy", "nop", "--against", suite_store(), "--unseen-only"});
  EXPECT_EQ(none.code, 3);
  EXPECT_NE(none.err.find("no task is left"), std::string::npos) << none.err;
}

TEST_F(Eval, ADamagedFileToCompareSaysWhere) {
  const auto file = folder_.file("broken.json");
  write_text(file, "{\"generator\": \"2\", \"suites\": [], \"polices\": []}");
  const auto ended = eval({"--policy", "nop", "--compare", file});
  EXPECT_NE(ended.code, 0);
  EXPECT_NE(ended.err.find(file), std::string::npos) << ended.err;
  EXPECT_NE(ended.err.find("policies"), std::string::npos) << ended.err;
}

TEST(EvalUsage, WrongWordsAreRefusedBeforeAnythingIsMade) {
  const std::pair<Words, std::string> table[] = {
      {{"eval"}, "'--policy': absent"},
      {{"eval", "--policy", "nop"}, "'--suite': absent"},
      {{"eval", "--policy", "nop", "--suite", "general-l11"}, "did you mean 'general-l1'?"},
      {{"eval", "--policy", "nop", "--suite", "heldout", "--baseline", "oracel"},
       "did you mean 'oracle'?"},
      {{"eval", "--policy", "nop", "--suite", "heldout", "--unseen-only"}, "without --against"},
      {{"eval", "--policy", "nop", "--suite", "heldout", "--threads", "2"}, "no use for it"},
  };
  for (const auto& [words, says] : table) {
    const auto ended = seedbed(words, 20);
    EXPECT_EQ(ended.code, 2) << ended.err;
    EXPECT_EQ(ended.out, "");
    EXPECT_NE(ended.err.find(says), std::string::npos) << says << "\nbut said: " << ended.err;
    EXPECT_EQ(std::count(ended.err.begin(), ended.err.end(), '\n'), 1) << ended.err;
  }
}

}  // namespace
}  // namespace seedbed::e2e
