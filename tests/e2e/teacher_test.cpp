// Episodes of the teacher over generated environments: all solved, the same on one lane and on two,
// and their reasons speak of nothing that was not read before.
#include <gtest/gtest.h>

#include <fstream>
#include <set>

#include "program.h"
#include "schemas/value.h"

namespace seedbed::e2e {
namespace {

using schemas::Value;

constexpr int kEnvironments = 30;

const std::string& store() {
  static Folder folder;
  static const std::string path = [] {
    const auto made = seedbed({"gen", "--envs", std::to_string(kEnvironments), "--tasks-per-env",
                               "4", "--seed", "77", "--out", folder.file("a.db")});
    EXPECT_EQ(made.code, 0) << made.err;
    return folder.file("a.db");
  }();
  return path;
}

Ended teach(const std::string& path, const std::string& jobs) {
  return seedbed({"run", path, "--policy", "teacher", "--samples", "3", "--seed", "4", "--jobs",
                  jobs, "--json"});
}

TEST(Teacher, SolvesEveryTaskAndIsTheSameOnOneLaneAndTwo) {
  Folder folder;
  const auto one = folder.file("one.db"), two = folder.file("two.db");
  copy_file(store(), one);
  copy_file(store(), two);
  const auto ran = teach(one, "1");
  ASSERT_EQ(ran.code, 0) << ran.err;
  const auto json = schemas::parse_json(ran.out);
  ASSERT_TRUE(json.ok()) << ran.out;
  EXPECT_GT(json->integer("episodes"), kEnvironments);
  EXPECT_EQ(json->integer("solved"), json->integer("episodes"));
  ASSERT_EQ(teach(two, "2").code, 0);
  const auto wanted = digest(one);
  ASSERT_NE(wanted, "");
  EXPECT_EQ(digest(two), wanted);
}

// Words that are no prose: with a digit, an underscore, or a capital inside.
bool names_something(const std::string& word) {
  for (std::size_t i = 0; i < word.size(); ++i) {
    const char c = word[i];
    if ((c >= '0' && c <= '9') || c == '_' || (i > 0 && c >= 'A' && c <= 'Z')) return true;
  }
  return false;
}

TEST(Teacher, ReasonsNameNothingThatWasNotReadBefore) {
  Folder folder;
  const auto path = folder.file("a.db");
  copy_file(store(), path);
  ASSERT_EQ(teach(path, "2").code, 0);
  ASSERT_EQ(seedbed({"export", path, "--format", "trl", "--out", folder.file("out")}).code, 0);
  int named = 0, reasons = 0, wrong = 0, episodes = 0;
  for (const char* split : {"train", "heldout"}) {
    std::ifstream file(folder.file("out") + "/data/" + split + "-00000.jsonl");
    for (std::string line; std::getline(file, line);) {
      const auto whole = schemas::parse_json(line);
      ASSERT_TRUE(whole.ok());
      ++episodes;
      std::string read = dump(*whole->find("tools"));
      for (const auto& message : whole->find("messages")->items()) {
        const std::string thought = message.text("reasoning_content");
        if (!thought.empty()) ++reasons;
        std::string word;
        for (const char c : thought + " ") {
          if (c != ' ') {
            word += c;
            continue;
          }
          while (!word.empty() && std::string(".,:;").find(word.back()) != std::string::npos)
            word.pop_back();
          if (names_something(word)) {
            ++named;
            EXPECT_NE(read.find(word), std::string::npos) << word << " in: " << thought;
          }
          word.clear();
        }
        if (const Value* train = message.find("train")) wrong += !train->as_bool();
        read += message.text("content");
        if (const Value* calls = message.find("tool_calls")) read += dump(*calls);
      }
    }
  }
  EXPECT_GT(reasons, 3 * episodes);
  EXPECT_GT(named, 3 * episodes);
  // About one episode in four has a mistake.
  EXPECT_GT(wrong * 8, episodes);
  EXPECT_LT(wrong * 2, episodes);
}

}  // namespace
}  // namespace seedbed::e2e
