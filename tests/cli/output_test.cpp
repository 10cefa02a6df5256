#include "cli/output.h"

#include <gtest/gtest.h>

#include <map>

#include "agent/show_doc.h"
#include "cli/common.h"

namespace seedbed::cli {
namespace {

TEST(Output, TablesAlignNumbersRightAndWordsLeft) {
  EXPECT_EQ(format_table({{"policy", "episodes"}, {{"oracle", "1,000"}, {"nöp", "7"}}}),
            "policy  episodes\n"
            "oracle     1,000\n"
            "nöp            7\n");
}

TEST(Output, CountsSharesAndTimesReadWell) {
  EXPECT_EQ(format_count(0), "0");
  EXPECT_EQ(format_count(999), "999");
  EXPECT_EQ(format_count(1'000), "1,000");
  EXPECT_EQ(format_count(-12'345'678), "-12,345,678");
  EXPECT_EQ(format_share(1, 8), "12.5 %");
  EXPECT_EQ(format_share(0, 0), "-");
  EXPECT_EQ(format_seconds(0.25), "250 ms");
  EXPECT_EQ(format_seconds(12.34), "12.3 s");
  EXPECT_EQ(format_seconds(245), "4 min 05 s");
}

TEST(Progress, RateAndTimeLeftCountWhatThisRunDid) {
  EXPECT_EQ(progress_text("generating", "slots", 100, 300, 1'300, 10),
            "generating: 300 of 1,300 slots, 20/s, 50.0 s left");
  EXPECT_EQ(progress_text("generating", "slots", 0, 0, 10, 3), "generating: 0 of 10 slots");
  EXPECT_EQ(progress_text("x", "y", 0, 10, 10, 4), "x: 10 of 10 y, 2.5/s");
}

using Variables = std::map<std::string, std::string>;
Result<Shard> shard(const std::string& text, const Variables& variables = {}) {
  return shard_of(text, [&](const std::string& name) {
    const auto at = variables.find(name);
    return at == variables.end() ? std::string() : at->second;
  });
}

TEST(Shard, ReadsTheFlag) {
  EXPECT_EQ(shard("1/4")->index, 1);
  EXPECT_EQ(shard("1/4")->count, 4);
  EXPECT_EQ(shard("")->count, 1);
  for (const char* wrong : {"4/4", "-1/4", "1", "1/0", "a/b", "1/4/2", "1/ 4", "/"})
    EXPECT_FALSE(shard(wrong).ok()) << wrong;
}

TEST(Shard, DefaultsToTheJobArray) {
  const auto slurm = shard("", {{"SLURM_ARRAY_TASK_ID", "5"},
                                {"SLURM_ARRAY_TASK_COUNT", "3"},
                                {"SLURM_ARRAY_TASK_MIN", "1"},
                                {"SLURM_ARRAY_TASK_STEP", "2"}});
  ASSERT_TRUE(slurm.ok()) << slurm.error().message;
  EXPECT_EQ(slurm->index, 2);
  EXPECT_EQ(slurm->count, 3);
  const auto kubernetes = shard("", {{"JOB_COMPLETION_INDEX", "0"}, {"JOB_COMPLETIONS", "8"}});
  ASSERT_TRUE(kubernetes.ok());
  EXPECT_EQ(kubernetes->count, 8);
  EXPECT_EQ(shard("1/2", {{"JOB_COMPLETION_INDEX", "7"}})->index, 1) << "the flag wins";
  EXPECT_FALSE(shard("", {{"JOB_COMPLETION_INDEX", "3"}}).ok())
      << "an index without its count would do the whole work in every pod";
  EXPECT_FALSE(shard("", {{"SLURM_ARRAY_TASK_ID", "3"}, {"SLURM_ARRAY_TASK_COUNT", "3"}}).ok());
}

TEST(Common, ExitCodesFollowTheBoundary) {
  EXPECT_EQ(exit_code({Where::usage, ""}), 2);
  EXPECT_EQ(exit_code({Where::config, ""}), 3);
  EXPECT_EQ(exit_code({Where::store, ""}), 3);
  EXPECT_EQ(exit_code({Where::sandbox, ""}), 3);
  EXPECT_EQ(exit_code({Where::pack, ""}), 3);
  EXPECT_EQ(exit_code({Where::interrupted, ""}), 130);
}

TEST(Common, EscapesWhatGoesIntoPages) {
  EXPECT_EQ(agent::html_escape("<a href=\"x\">&'"), "&lt;a href=&quot;x&quot;&gt;&amp;&#39;");
}

TEST(Common, AFileIsWrittenWholeOrNotAtAll) {
  const auto path = testing::TempDir() + "whole.txt";
  ASSERT_FALSE(write_file(path, "first"));
  ASSERT_FALSE(write_file(path, "second"));
  std::FILE* file = std::fopen(path.c_str(), "re");
  ASSERT_NE(file, nullptr);
  char text[16] = {};
  EXPECT_EQ(std::fread(text, 1, sizeof text, file), 6U);
  std::fclose(file);
  EXPECT_STREQ(text, "second");
  const auto error = write_file("/nowhere/at/all.txt", "x");
  ASSERT_TRUE(error);
  EXPECT_NE(error->message.find("'/nowhere/at/all.txt'"), std::string::npos);
  EXPECT_TRUE(write_file("/dev/full/x", "x"));
}

}  // namespace
}  // namespace seedbed::cli
