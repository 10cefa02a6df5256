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
}

TEST_F(ServerTasks, LinesAreReadUpToTheirBound) {
  const std::string task = R"({"prompt": "p", "calls": []})";
  const std::string full = task + std::string((1 << 20) - task.size(), ' ');
  const auto made = read(full + "\n" + task);
  ASSERT_TRUE(made.ok()) << made.error().message;
  EXPECT_EQ(made->size(), 2U);
  for (const auto& longer : {full + " ", full + " \n", std::string(3 << 20, ' ') + "\n" + task}) {
    const auto refused = read(task + "\n" + longer);
    ASSERT_FALSE(refused.ok());
    EXPECT_NE(refused.error().message.find(":2': found a line of more than 1048576 bytes"),
              std::string::npos)
        << refused.error().message;
  }
}

TEST_F(ServerTasks, AFileThatCannotBeReadIsNotAnEmptyOne) {
  const auto made = read_server_tasks(::testing::TempDir());  // a folder opens and gives no byte
  ASSERT_FALSE(made.ok());
  EXPECT_EQ(made.error().where, Where::usage);
  EXPECT_NE(made.error().message.find("cannot be read to its end"), std::string::npos)
      << made.error().message;
}

TEST_F(ServerTasks, AnswersThatAreNotComparedAreRefusedWithAdviceThatFits) {
  const char* const leave = "leave the field out or ask for something that is there";
  const char* const text = "; give it as a text";
  const char* const items = "; give all its items as texts";
  const std::pair<const char*, const char*> table[] = {
      {"1.5", text},         {"true", text},        {"{}", text},      {"1e30", text},
      {"null", leave},       {"[]", leave},         {"\"\"", leave},   {"[[1]]", items},
      {"[1, \"a\"]", items}, {"[\"a\", 1]", items}, {"[true]", items}, {"[1.0]", items},
  };
  for (const auto& [odd, says] : table) {
    const auto made =
        draft(R"({"prompt": "p", "calls": [], "answer": {"a": )" + std::string(odd) + "}}");
    ASSERT_FALSE(made.ok()) << odd;
    EXPECT_EQ(made.error().where, Where::usage);
    EXPECT_NE(made.error().message.find("as 'a' of the answer"), std::string::npos);
    EXPECT_NE(made.error().message.find(says), std::string::npos) << made.error().message;
  }
  const auto list = draft(R"({"prompt": "p", "calls": [], "answer": [1]})");
  ASSERT_FALSE(list.ok());
  EXPECT_NE(list.error().message.find("found [1] as the answer"), std::string::npos);
}

TEST_F(ServerTasks, ArgumentsThatAreNoObjectAreNotAnotherPlan) {
  for (const char* odd : {"\"x\"", "null", "[]", "3"}) {
    const auto made = draft(
        R"({"prompt": "p", "answer": {"a": 1}, "calls": [{"tool": "t", "args": {}}, {"tool": "u", "args": )" +
        std::string(odd) + "}]}");
    ASSERT_FALSE(made.ok()) << odd;
    EXPECT_EQ(made.error().where, Where::usage);
    EXPECT_NE(made.error().message.find(std::string("found ") + odd + " as args of call 2 (u)"),
              std::string::npos)
        << made.error().message;
  }
}

TEST_F(ServerTasks, SomethingMustBeJudged) {
  for (const char* more : {"", R"(, "answer": {})", R"(, "files": [])", R"(, "answer": null)"}) {
    const auto made =
        draft(R"({"prompt": "p", "calls": [{"tool": "t", "args": {}}])" + std::string(more) + "}");
    ASSERT_FALSE(made.ok()) << more;
    EXPECT_EQ(made.error().where, Where::usage);
    EXPECT_NE(made.error().message.find("something that is judged"), std::string::npos)
        << made.error().message;
  }
}

TEST_F(ServerTasks, MessagesNameTheTaskByItsNumberAndItsFirstWords) {
  const std::string letters(39, 'x');
  const std::pair<std::string, std::string> table[] = {
      {"Which?", "task 7 'Which?': found"},
      {R"( Which\nclock? )", "task 7 'Which clock?': found"},
      {"Who made the lantern clock, and in which year was it?",
       "task 7 'Who made the lantern clock, and in which': found"},
      {letters + "xxx", "task 7 '" + letters + "x': found"},
      {letters + "\u00e9t\u00e9", "task 7 '" + letters + "': found"},  // its first byte would fit
      {"", "task 7: found"},
  };
  for (const auto& [prompt, says] : table) {
    const auto made = draft(R"({"prompt": ")" + prompt + R"(", "calls": []})");
    ASSERT_FALSE(made.ok()) << prompt;
    EXPECT_TRUE(made.error().message.starts_with(says)) << made.error().message;
  }
}

}  // namespace
}  // namespace seedbed::envgen
