// Tasks that people write for a server: lines, and the drafts that they become.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>

#include "envgen/from_mcp/from_mcp.h"

namespace seedbed::envgen {
namespace {

using schemas::AnswerType;
using schemas::GoldKind;

class ServerTasks : public ::testing::Test {
 protected:
  ~ServerTasks() override { std::remove(path_.c_str()); }
  Result<std::vector<schemas::ServerTask>> read(const std::string& text) {
    std::ofstream(path_) << text;
    return read_server_tasks(path_);
  }
  Result<tasks::Draft> draft(const std::string& line) {
    SEEDBED_TRY(const auto tasks, read(line));
    return server_draft(tasks.front(), "e", 6);
  }
  std::string path_ = ::testing::TempDir() + "tasks_" + std::to_string(::getpid()) + ".jsonl";
};

TEST_F(ServerTasks, BecomeDraftsWithTypedAnswers) {
  const auto made = draft(
      R"({"prompt": "p", "calls": [{"tool": "t", "args": {"q": "x"}}, {"tool": "u", "args": {}}],
          "derived": ["q", "n"], "files": [{"name": "f", "sql": "SELECT 1"}],
          "answer": {"n": 3, "who": "Ann", "day": "2031-03-05", "all": ["b", "a"], "ids": [2, 1]}})");
  // A line is one object: the one above is three lines.
  EXPECT_FALSE(made.ok());
  const auto whole = draft(
      R"({"prompt": "p", "calls": [{"tool": "t", "args": {"q": "x"}}, {"tool": "u", "args": {}}], "derived": ["q", "n"], )"
      R"("files": [{"name": "f", "sql": "SELECT 1"}], )"
      R"("answer": {"n": 3, "who": "Ann", "day": "2031-03-05", "all": ["b", "a"], "ids": [2, 1]}})");
  ASSERT_TRUE(whole.ok()) << whole.error().message;
  const auto& answer = whole->verifier.answer;
  ASSERT_EQ(answer.size(), 5U);
  const AnswerType types[] = {AnswerType::integer, AnswerType::text, AnswerType::date,
                              AnswerType::set, AnswerType::set};
  for (std::size_t i = 0; i < 5; ++i) EXPECT_EQ(answer[i].type, types[i]) << answer[i].name;
  ASSERT_EQ(whole->verifier.post.size(), 1U);
  EXPECT_EQ(whole->verifier.post[0].sql, "SELECT 1");
  EXPECT_EQ(whole->task.kind, "lookup");
  EXPECT_EQ(whole->task.number, 6);
  ASSERT_EQ(whole->gold.steps.size(), 3U);
  EXPECT_EQ(whole->gold.steps[0].derived, std::vector<std::string>{"q"});
  EXPECT_EQ(whole->gold.steps[1].needs, std::vector<int>{0});
  EXPECT_EQ(whole->gold.steps[2].kind, GoldKind::submit);
  EXPECT_EQ(whole->gold.steps[2].derived, std::vector<std::string>{"n"});
  const auto schema = schemas::JsonSchema::compile(whole->task.submit_schema);
  ASSERT_TRUE(schema.ok());
  EXPECT_TRUE(schema->validate(whole->gold.steps[2].args).empty());
}

TEST_F(ServerTasks, WithoutAnAnswerTheFilesAreJudged) {
  const auto made = draft(
      R"({"prompt": "p", "calls": [{"tool": "t", "args": {}}], "files": [{"name": "f", "sql": "SELECT 1"}]})");
  ASSERT_TRUE(made.ok()) << made.error().message;
  EXPECT_EQ(made->task.kind, "achieve");
  EXPECT_TRUE(made->verifier.answer.empty());
}

TEST_F(ServerTasks, WhatIsWrongIsSaidWithItsLine) {
  const std::pair<const char*, const char*> table[] = {
      {"", "found no task"},
      {"\n  \n", "found no task"},
      {"{\"prompt\": \"p\"}\n", ":1"},
      {"{\"prompt\": \"p\", \"calls\": []}\n{\"promt\": \"p\", \"calls\": []}\n",
       "found no key 'prompt'"},
      {"{\"prompt\": \"p\", \"calls\": []}\n[]\n", ":2"},
      {"{\"prompt\": \"p\", \"calls\": [{\"tool\": 3}]}", "/calls/0"},
  };
  for (const auto& [text, says] : table) {
    const auto made = read(text);
    ASSERT_FALSE(made.ok()) << text;
    EXPECT_NE(made.error().message.find(says), std::string::npos)
        << says << "\nbut said: " << made.error().message;
  }
  std::remove(path_.c_str());
  EXPECT_FALSE(read_server_tasks(path_).ok());
  for (const char* odd : {"1.5", "true", "null", "{}", "[]", "[[1]]", "\"\""}) {
    const auto made =
        draft(R"({"prompt": "p", "calls": [], "answer": {"a": )" + std::string(odd) + "}}");
    EXPECT_FALSE(made.ok()) << odd;
  }
}

}  // namespace
}  // namespace seedbed::envgen
