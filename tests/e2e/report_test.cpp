// What the commands say about a store, for people and for machines.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>

#include "program.h"
#include "schemas/value.h"

namespace seedbed::e2e {
namespace {

schemas::Value json_of(const Ended& ended) {
  EXPECT_EQ(std::count(ended.out.begin(), ended.out.end(), '\n'), 1)
      << "one object, one line: " << ended.out;
  auto value = schemas::parse_json(ended.out);
  EXPECT_TRUE(value.ok()) << ended.out << ended.err;
  return value.ok() ? *std::move(value) : schemas::Value();
}

class Report : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(exists(small_store())) << small_store();
    store_ = folder_.file("a.db");
    copy_file(small_store(), store_);
  }
  Folder folder_;
  std::string store_;
};

TEST_F(Report, StatsAgreeWithTheDigestAndCountWhatWasAsked) {
  const auto stats = json_of(seedbed({"stats", store_, "--json"}));
  const auto digests = json_of(seedbed({"stats", store_, "--digest", "--json"}));
  EXPECT_EQ(stats.integer("environments"), 4);
  EXPECT_EQ(stats.integer("tasks"), 20);
  EXPECT_EQ(stats.text("digest"), digests.text("digest"));
  EXPECT_EQ(stats.text("digest").size(), 32U);
  ASSERT_NE(stats.find("families"), nullptr);
  EXPECT_EQ(stats.find("families")->integer("general"), 4);
  EXPECT_EQ(stats.integer("schema_classes"), 4) << "selection keeps one environment a class";
  EXPECT_NE(digest(store_).find(stats.text("digest")), std::string::npos);
}

TEST_F(Report, TheStatsPageIsSelfContained) {
  const auto page = folder_.file("a.html");
  ASSERT_EQ(seedbed({"stats", store_, "--html", page}).code, 0);
  const auto text = read_text(page);
  EXPECT_NE(text.find("</html>"), std::string::npos);
  for (const char* outside : {"http://", "https://", "src=", "<script", "@import", "url("})
    EXPECT_EQ(text.find(outside), std::string::npos) << outside;
  EXPECT_EQ(seedbed({"stats", store_, "--html", folder_.file("no/such/folder.html")}).code, 2);
}

TEST_F(Report, VerifyPackRepeatsTheGates) {
  const auto ended = seedbed({"verify-pack", store_, "--sample", "2", "--json"});
  EXPECT_EQ(ended.code, 0) << ended.err;
  const auto value = json_of(ended);
  EXPECT_GT(value.integer("checked"), 0);
  ASSERT_NE(value.find("failed"), nullptr);
  EXPECT_TRUE(value.find("failed")->items().empty());
}

TEST_F(Report, TheOracleSolvesAllTheNopNoneAndReverifyAgrees) {
  const auto oracle = json_of(seedbed({"run", store_, "--policy", "oracle", "--json"}));
  EXPECT_EQ(oracle.integer("episodes"), 20);
  EXPECT_EQ(oracle.integer("solved"), 20);
  EXPECT_EQ(oracle.integer("infra_errors"), 0);
  EXPECT_GT(oracle.integer("tool_calls"), 0);
  const auto nop = json_of(seedbed({"run", store_, "--policy", "nop", "--json"}));
  EXPECT_EQ(nop.integer("episodes"), 20);
  EXPECT_EQ(nop.integer("solved"), 0);
  const auto again = json_of(seedbed({"run", store_, "--policy", "nop", "--json"}));
  EXPECT_EQ(again.integer("episodes"), 0) << "the same command finds nothing left to do";
  EXPECT_EQ(again.integer("skipped"), 20);
  const auto ended = seedbed({"reverify", store_, "--json"});
  EXPECT_EQ(ended.code, 0) << ended.out << ended.err;
  EXPECT_EQ(json_of(ended).integer("checked"), 40);
}

TEST_F(Report, DryRunsDoNothing) {
  const auto before = digest(store_);
  EXPECT_EQ(seedbed({"run", store_, "--policy", "oracle", "--dry-run"}).code, 0);
  EXPECT_EQ(digest(store_), before);
  EXPECT_EQ(seedbed({"gen", "--out", folder_.file("none.db"), "--dry-run"}).code, 0);
  EXPECT_FALSE(exists(folder_.file("none.db")));
}

TEST_F(Report, ExportsAreFoldersWithOneJsonObjectALine) {
  ASSERT_EQ(seedbed({"run", store_, "--policy", "oracle"}).code, 0);
  for (const std::string format : {"trl", "openai"}) {
    const auto out = folder_.file(format);
    const auto ended =
        seedbed({"export", store_, "--format", format, "--out", out, "--min-score", "1", "--json"});
    ASSERT_EQ(ended.code, 0) << ended.err;
    EXPECT_EQ(json_of(ended).integer("episodes"), 20);
    EXPECT_TRUE(exists(out + "/README.md"));
  }
  const auto none = seedbed(
      {"export", store_, "--format", "trl", "--out", folder_.file("none"), "--policy", "nobody"});
  EXPECT_NE(none.code, 0) << "an export of nothing is no success";
}

TEST_F(Report, ShowListsIdsAndPrintsWhateverABeginningNames) {
  ASSERT_EQ(seedbed({"run", store_, "--policy", "oracle", "--limit", "3"}).code, 0);
  const auto list = json_of(seedbed({"show", store_, "--json"}));
  ASSERT_NE(list.find("environments"), nullptr);
  ASSERT_NE(list.find("episodes"), nullptr);
  ASSERT_EQ(list.find("environments")->items().size(), 4U);
  ASSERT_EQ(list.find("episodes")->items().size(), 3U);
  const auto& environment = list.find("environments")->items()[0];
  const auto& episode = list.find("episodes")->items()[0];
  for (const auto& id : {environment.text("id"), environment.find("tasks")->items()[0].as_string(),
                         episode.text("id")}) {
    const auto whole = seedbed({"show", store_, id});
    EXPECT_EQ(whole.code, 0) << whole.err;
    EXPECT_GT(whole.out.size(), 200U);
    EXPECT_EQ(seedbed({"show", store_, id.substr(0, 14)}).out, whole.out);
    const auto page = folder_.file("page.html");
    EXPECT_EQ(seedbed({"show", store_, id, "--html", page}).code, 0);
    const auto text = read_text(page);
    EXPECT_NE(text.find("</html>"), std::string::npos);
    for (const char* outside : {"src=\"http", "href=\"http", "@import"})
      EXPECT_EQ(text.find(outside), std::string::npos) << outside;
  }
  EXPECT_EQ(
      json_of(seedbed({"show", store_, "--limit", "2", "--json"})).find("episodes")->items().size(),
      2U);
  const auto unknown = seedbed({"show", store_, "ffffffffffffffffffffffffffffffff"});
  EXPECT_TRUE(unknown.code == 2 || unknown.code == 3);
  EXPECT_NE(unknown.err.find("ffffffff"), std::string::npos);
}

TEST_F(Report, DoctorListsLayersAsJson) {
  const auto value = json_of(seedbed({"doctor", "--json"}));
  ASSERT_NE(value.find("layers"), nullptr);
  EXPECT_GE(value.find("layers")->items().size(), 10U);
  for (const auto& layer : value.find("layers")->items()) {
    EXPECT_NE(layer.text("name"), "");
    EXPECT_TRUE(layer.text("state") == "on" || !layer.text("why").empty()) << layer.text("name");
  }
  const auto* boxes = value.find("boxes");
  ASSERT_NE(boxes, nullptr);
  const bool available = *boxes->find("available") == schemas::Value(true);
  EXPECT_EQ(available, boxes->text("refused").empty());
  if (geteuid() == 0) EXPECT_TRUE(available) << boxes->text("refused");
}

}  // namespace
}  // namespace seedbed::e2e
