// An environment around an MCP server, from the command line to trajectories.
#include <gtest/gtest.h>
#include <unistd.h>

#include "program.h"
#include "schemas/value.h"

namespace seedbed::e2e {
namespace {

using schemas::Value;

constexpr const char* kTasks =
    R"({"prompt": "Who made the lantern clock, and in which year?", "calls": [{"tool": "read_clock", "args": {"name": "lantern"}}], "answer": {"maker": "Tompion", "year": 1676}}
{"prompt": "Note 'needs oil' on the card of the oldest clock, and say which clock that is.", "calls": [{"tool": "list_clocks", "args": {}}, {"tool": "read_clock", "args": {"name": "bracket"}}, {"tool": "read_clock", "args": {"name": "lantern"}}, {"tool": "write_note", "args": {"name": "lantern", "note": "needs oil"}}], "answer": {"clock": "lantern"}, "files": [{"name": "noted", "sql": "SELECT count(*) FROM file WHERE path = 'lantern.json' AND text LIKE '%needs oil%'"}]}
{"prompt": "Which clock did Knibb make?", "calls": [{"tool": "read_clock", "args": {"name": "sundial"}}], "answer": {"clock": "sundial"}}
{"prompt": "What is on the card of the clock bracket?", "calls": [{"tool": "read_clock", "args": {"name": "bracket"}}], "answer": {"clock": "bracket"}}
{"prompt": "Note 'clean' on the card of the clock bracket, then 'wind' on the card of the clock lantern.", "calls": [{"tool": "write_note", "args": {"name": "bracket", "note": "clean"}}, {"tool": "write_note", "args": {"name": "lantern", "note": "wind"}}], "files": [{"name": "noted", "sql": "SELECT count(*) FROM file WHERE path = 'lantern.json' AND text LIKE '%wind%'"}]}
{"prompt": "Has the clock bracket a card with a year on it?", "kind": "judge", "calls": [{"tool": "read_clock", "args": {"name": "bracket"}}], "answer": {"there": "yes"}, "derived": ["there"], "files": [{"name": "kept", "sql": "SELECT count(*) FROM file WHERE path = 'bracket.json'"}]}
)";

class FromMcp : public ::testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root";
    write_text(folder_.file("bracket.json"), R"({"maker": "Harrison", "year": 1735})");
    write_text(folder_.file("lantern.json"), R"({"maker": "Tompion", "year": 1676})");
    write_text(tasks_.file("tasks.jsonl"), kTasks);
  }
  Ended generate(std::vector<std::string> more = {}) {
    std::vector<std::string> words = {
        "gen",
        "--from-mcp",
        "python3 -B /srv/m/server.py",
        "--mount",
        std::string(SEEDBED_SOURCE_DIR) + "/tests/data/workshop:/srv/m",
        "--files",
        folder_.path(),
        "--tasks",
        tasks_.file("tasks.jsonl"),
        "--out",
        store_};
    words.insert(words.end(), more.begin(), more.end());
    return seedbed(words, 120);
  }
  static Value json_in(const std::string& text) {
    auto value = schemas::parse_json(text);
    EXPECT_TRUE(value.ok()) << text.substr(0, 200);
    return value.ok() ? *std::move(value) : Value();
  }

  Folder folder_, tasks_;
  std::string store_ = tasks_.file("a.db");
};

TEST_F(FromMcp, TasksAreAdmittedPlayedAndExported) {
  const auto made = generate({"--json"});
  ASSERT_EQ(made.code, 0) << made.err;
  const Value said = json_in(made.out);
  EXPECT_EQ(said.find("tasks")->as_int(), 2);
  const auto& rejected = said.find("rejected")->items();
  ASSERT_EQ(rejected.size(), 4U);
  EXPECT_EQ(rejected[0].text("gate"), "G1") << "gold fails";
  EXPECT_EQ(rejected[1].text("gate"), "G10") << "the answer stands in the prompt";
  EXPECT_EQ(rejected[2].text("gate"), "G6") << "nothing judges the first note";
  EXPECT_EQ(rejected[3].text("gate"), "G12") << "yes or no, and the files are there anyway";
  const auto again = generate();
  EXPECT_EQ(again.code, 0) << again.err;
  EXPECT_NE(again.out.find("before"), std::string::npos) << again.out;
  EXPECT_NE(again.out.find("G12"), std::string::npos) << again.out;

  const auto played = seedbed({"run", store_, "--policy", "oracle", "--json"});
  ASSERT_EQ(played.code, 0) << played.err;
  EXPECT_EQ(json_in(played.out).find("solved")->as_int(), 2) << played.out;
  ASSERT_EQ(seedbed({"run", store_, "--policy", "random"}).code, 0);
  EXPECT_EQ(seedbed({"reverify", store_}).code, 0);
  const auto verified = seedbed({"verify-pack", store_});
  EXPECT_EQ(verified.code, 0) << verified.out << verified.err;
  const auto exported = seedbed({"export", store_, "--format", "trl", "--out", tasks_.file("x")});
  EXPECT_EQ(exported.code, 0) << exported.err;
}

TEST_F(FromMcp, AnotherServerThanTheTasksWereMadeWithIsRefused) {
  ASSERT_EQ(generate().code, 0);
  Folder other;
  write_text(other.file("server.py"), "print('no server')");
  const auto played =
      seedbed({"run", store_, "--policy", "oracle", "--mount", other.path() + ":/srv/m"}, 60);
  EXPECT_NE(played.code, 0);
  EXPECT_NE(played.err.find("wanted"), std::string::npos) << played.err;
  EXPECT_NE(played.err.find("--mount SRC:/srv/m"), std::string::npos) << played.err;
}

TEST_F(FromMcp, AMountThatSaysNothingOrTooMuchIsRefused) {
  ASSERT_EQ(generate().code, 0);
  Folder made;
  const auto idle = seedbed({"export", store_, "--format", "trl", "--out", made.file("x"),
                             "--mount", made.path() + ":/srv/m"});
  EXPECT_EQ(idle.code, 2);
  EXPECT_NE(idle.err.find("'--mount': given, and nothing"), std::string::npos) << idle.err;
  const std::string mount = made.path() + ":/srv/m:rw";
  for (const auto& words :
       {std::vector<std::string>{"run", store_, "--policy", "oracle", "--mount", mount},
        {"verify-pack", store_, "--mount", mount}}) {
    const auto writable = seedbed(words);
    EXPECT_EQ(writable.code, 2) << words.front();
    EXPECT_NE(writable.err.find("leave :rw out"), std::string::npos) << writable.err;
  }
}

TEST_F(FromMcp, WhatCannotBeIsRefusedByName) {
  const auto both = generate({"--envs", "3"});
  EXPECT_EQ(both.code, 2);
  EXPECT_NE(both.err.find("--envs and --from-mcp"), std::string::npos) << both.err;
  const auto alone = seedbed({"gen", "--tasks", "t.jsonl", "--out", store_});
  EXPECT_EQ(alone.code, 2);
  EXPECT_NE(alone.err.find("--from-mcp"), std::string::npos) << alone.err;
  const auto none = seedbed({"gen", "--from-mcp", "/usr/bin/false", "--tasks",
                             tasks_.file("tasks.jsonl"), "--out", store_});
  EXPECT_NE(none.code, 0);
  EXPECT_NE(none.err.find("MCP"), std::string::npos) << none.err;
  EXPECT_FALSE(exists(store_));
}

}  // namespace
}  // namespace seedbed::e2e
