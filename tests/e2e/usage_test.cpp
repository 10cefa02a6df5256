// What a user sees on a wrong command line: exit code 2, one message of four parts on stderr,
// nothing on stdout.
#include <gtest/gtest.h>

#include <algorithm>

#include "program.h"

namespace seedbed::e2e {
namespace {

struct Wrong {
  std::vector<std::string> words;
  std::string says;
};

TEST(Usage, WrongWordsAreRefusedWithTheNearestRight) {
  const Wrong table[] = {
      {{"genn"}, "did you mean 'gen'?"},
      {{"gen", "--out", "x.db", "--sed", "3"}, "did you mean '--seed'?"},
      {{"gen", "--seed", "3"}, "'--out': absent"},
      {{"gen", "--out", "x.db", "--envs", "0"}, "found '0', wanted an integer from 1"},
      {{"gen", "--out", "x.db", "--envs", "1e3"}, "found '1e3'"},
      {{"gen", "--out", "x.db", "--family", "generl"}, "nearest: 'general'"},
      {{"gen", "--out", "x.db", "--shard", "3/2"}, "found '3/2', wanted i/N"},
      {{"gen", "--out", "x.db", "--isolation", "none"}, "wanted one of strict, standard, weak"},
      {{"gen", "--out", "x.db", "--level", "0-3"}, "'0-3': wanted A-B"},
      {{"gen", "--out", "x.db", "--level", "3", "--mix", "m.json"}, "found both"},
      {{"run", "x.db"}, "'--policy': absent"},
      {{"run", "x.db", "--policy", "oracel"}, "nearest: 'oracle'"},
      {{"run", "x.db", "--policy", "http"}, "'--base-url': absent"},
      {{"stats"}, "'STORE': found 0, wanted 1"},
      {{"stats", "a.db", "b.db"}, "'b.db': one operand too many"},
      {{"schema", "trajectry"}, "did you mean 'trajectory'?"},
      {{"merge", "x.db"}, "'STORE': found 0"},
      {{"merge", "x.db", "x.db"}, "both source and target"},
      {{"pack", "chek", "x"}, "unknown action"},
      {{"export", "x.db", "--format", "trl"}, "'--out': absent"},
  };
  for (const auto& wrong : table) {
    const auto ended = seedbed(wrong.words, 20);
    EXPECT_EQ(ended.code, 2) << wrong.words[0] << ": " << ended.err;
    EXPECT_EQ(ended.out, "");
    EXPECT_NE(ended.err.find(wrong.says), std::string::npos)
        << wrong.says << "\nbut said: " << ended.err;
    EXPECT_EQ(std::count(ended.err.begin(), ended.err.end(), '\n'), 1) << ended.err;
    EXPECT_FALSE(exists("x.db"));
  }
}

TEST(Usage, EveryCommandHasHelpWithAnExample) {
  const auto all = seedbed({"help"});
  ASSERT_EQ(all.code, 0);
  for (const char* command :
       {"gen", "stats", "verify-pack", "run", "reverify", "show", "merge", "export", "issue",
        "schema", "pack", "doctor", "serve", "demo", "eval"}) {
    EXPECT_NE(all.out.find(std::string("\n  ") + command + " "), std::string::npos) << command;
    for (const auto& words :
         {std::vector<std::string>{command, "--help"}, std::vector<std::string>{"help", command}}) {
      const auto ended = seedbed(words);
      EXPECT_EQ(ended.code, 0) << ended.err;
      EXPECT_NE(ended.out.find("example: seedbed "), std::string::npos) << command;
    }
  }
  EXPECT_EQ(seedbed({}).code, 2);
}

TEST(Usage, EverySchemaPrints) {
  const auto list = seedbed({"schema"});
  ASSERT_EQ(list.code, 0);
  int formats = 0;
  for (std::size_t at = list.out.find('\n') + 1; at < list.out.size();
       at = list.out.find('\n', at) + 1) {
    const auto name = list.out.substr(at, list.out.find(' ', at) - at);
    const auto ended = seedbed({"schema", name});
    EXPECT_EQ(ended.code, 0) << name << ": " << ended.err;
    EXPECT_NE(ended.out.find("\"properties\""), std::string::npos) << name;
    ++formats;
  }
  EXPECT_GE(formats, 10);
}

TEST(Usage, AFullOutputIsNoSuccess) {
  const auto ended = run_words({"sh", "-c", program() + " schema trajectory > /dev/full"});
  EXPECT_EQ(ended.code, 3);
  EXPECT_NE(ended.err.find("'stdout': could not be written"), std::string::npos) << ended.err;
}

TEST(Usage, AReaderThatLeavesEarlyIsNoFailure) {
  const auto ended =
      run_words({"bash", "-c", "set -o pipefail; " + program() + " schema environment | true"});
  EXPECT_EQ(ended.code, 0) << ended.err;
}

}  // namespace
}  // namespace seedbed::e2e
