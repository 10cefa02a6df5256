// A model folder from nothing, put to work as the README does: made, inspected, run, driven through
// tasks, exported.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <sstream>
#include <thread>

#include "program.h"
#include "schemas/value.h"

namespace seedbed::e2e {
namespace {

class EngineProgram : public testing::Test {
 protected:
  // A made model of 20 million parameters with a tokenizer that learnt from this repository's own
  // README.
  void SetUp() override {
    model_ = folder_.file("nano");
    const auto made =
        seedbed({"engine", "make-model", "--config", "nano", "--seed", "1", "--out", model_});
    ASSERT_EQ(made.code, 0) << made.err;
    std::vector<std::string> words = {
        "engine", "train-tokenizer",         "--vocab", "8192", "--chat",
        "--out",  model_ + "/tokenizer.json"};
    for (const char* folder : {"", "agent", "engine", "envgen/general", "kernels"})
      for (const auto& entry :
           std::filesystem::directory_iterator(std::string(SEEDBED_SOURCE_DIR) + "/" + folder))
        if (entry.path().extension() == ".cpp" || entry.path().extension() == ".h" ||
            entry.path().extension() == ".md")
          words.push_back(entry.path().string());
    const auto trained = seedbed(words);
    ASSERT_EQ(trained.code, 0) << trained.err;
  }
  schemas::Value generate(std::vector<std::string> more) {
    std::vector<std::string> words = {"engine",   "generate",    "--model",      model_,
                                      "--prompt", "Guarded SQL", "--max-tokens", "12",
                                      "--seed",   "3",           "--json"};
    words.insert(words.end(), more.begin(), more.end());
    const auto ended = seedbed(words);
    EXPECT_EQ(ended.code, 0) << ended.err;
    auto value = schemas::parse_json(ended.out);
    EXPECT_TRUE(value.ok()) << ended.out;
    return value.ok() ? *std::move(value) : schemas::Value();
  }
  Folder folder_;
  std::string model_;
};

TEST_F(EngineProgram, TheSameSeedSaysTheSame) {
  EXPECT_EQ(seedbed({"engine", "inspect", model_}).code, 0);
  const auto first = generate({}), again = generate({}), drafted = generate({"--speculative"}),
             one = generate({"--threads", "1"});
  ASSERT_NE(first.find("tokens"), nullptr);
  EXPECT_EQ(first.find("tokens")->items().size(), 12U);
  for (const auto* other : {&again, &drafted, &one}) {
    EXPECT_EQ(*first.find("tokens"), *other->find("tokens"));
    EXPECT_EQ(*first.find("logprobs"), *other->find("logprobs"));
  }
  EXPECT_GT(drafted.integer("drafted"), 0);
}

TEST_F(EngineProgram, LogitsAreANumpyFile) {
  write_text(folder_.file("ids.txt"), "1 2 3, 4\n5\n");
  const auto out = folder_.file("logits.npy");
  ASSERT_EQ(seedbed({"engine", "logits", "--model", model_, "--tokens", folder_.file("ids.txt"),
                     "--out", out})
                .code,
            0);
  const auto bytes = read_text(out);
  EXPECT_EQ(bytes.substr(1, 5), "NUMPY");
  EXPECT_NE(bytes.find("'shape': (5, 8192)"), std::string::npos);
  EXPECT_EQ(bytes.size() % 64, 0U);
  EXPECT_EQ(std::filesystem::file_size(out), 128U + 5U * 8192U * 4U);
  write_text(folder_.file("ids.txt"), "1 8192\n");
  const auto foreign = seedbed(
      {"engine", "logits", "--model", model_, "--tokens", folder_.file("ids.txt"), "--out", out});
  EXPECT_EQ(foreign.code, 3);
  EXPECT_NE(foreign.err.find("8191"), std::string::npos) << foreign.err;
}

TEST_F(EngineProgram, WorksOnTasksInTheJailAndExportsItsTokens) {
  const auto store = folder_.file("a.db");
  copy_file(small_store(), store);
  const auto ran = seedbed({"run", store, "--policy", "engine", "--model", model_, "--limit", "3",
                            "--max-tokens", "24", "--context", "8192", "--seed", "1", "--json"});
  ASSERT_EQ(ran.code, 0) << ran.err;
  const auto summary = schemas::parse_json(ran.out);
  ASSERT_TRUE(summary.ok()) << ran.out;
  EXPECT_EQ(summary->integer("episodes"), 3);
  EXPECT_EQ(summary->integer("infra_errors"), 0);
  const auto out = folder_.file("tokens");
  const auto exported = seedbed({"export", store, "--format", "tokens", "--out", out});
  EXPECT_EQ(exported.code, 0) << exported.err;
  std::size_t lines = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(out))
    if (entry.path().extension() == ".jsonl")
      for (const char c : read_text(entry.path().string())) lines += c == '\n' ? 1 : 0;
  EXPECT_GE(lines, 3U);
}

// What the replies of a policy say, from the export: one text an episode, in the order of the
// tasks.
std::vector<std::string> replies(const std::string& store,
                                 const std::string& policy,
                                 const std::string& out) {
  const auto exported =
      seedbed({"export", store, "--format", "openai", "--policy", policy, "--out", out});
  EXPECT_EQ(exported.code, 0) << exported.err;
  std::vector<std::string> all;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(out)) {
    if (entry.path().extension() != ".jsonl") continue;
    std::istringstream lines(read_text(entry.path().string()));
    for (std::string line; std::getline(lines, line);) {
      const auto value = schemas::parse_json(line);
      EXPECT_TRUE(value.ok());
      const auto* messages = value.ok() ? value->find("messages") : nullptr;
      EXPECT_NE(messages, nullptr) << line;
      if (messages == nullptr) continue;
      std::string text;
      for (const auto& message : messages->items())
        text += message.text("role") + ": " + message.text("content") + "\n";
      all.push_back(text);
    }
  }
  std::sort(all.begin(), all.end());
  return all;
}

TEST_F(EngineProgram, ServesTheTokensThatItSamplesInProcess) {
  const auto store = folder_.file("a.db"), ready = folder_.file("ready.json");
  copy_file(small_store(), store);
  Running server({"/bin/sh", "-c",
                  "exec '" + program() + "' serve --model '" + model_ +
                      "' --port 0 --json --cache-tokens 65536 > '" + ready + "' 2>/dev/null"});
  std::int64_t port = 0;
  for (int i = 0; i < 600 && port == 0 && !server.ended(); ++i) {
    const auto said = exists(ready) ? schemas::parse_json(read_text(ready)) : schemas::Value();
    if (said.ok()) port = said->integer("port");
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  ASSERT_GT(port, 0);
  const std::vector<std::string> same = {"--limit", "4",   "--max-tokens",  "24", "--seed", "1",
                                         "--top-p", "0.9", "--temperature", "1",  "--json"};
  std::vector<std::string> inside = {"run",  store,       "--policy", "engine",     "--model",
                                     model_, "--context", "8192",     "--thinking", "off"},
                           outside = {
                               "run",          store,
                               "--policy",     "http",
                               "--base-url",   "http://127.0.0.1:" + std::to_string(port) + "/v1",
                               "--model-name", "nano",
                               "--request",    R"({"constrain":false})"};
  for (auto* words : {&inside, &outside}) {
    words->insert(words->end(), same.begin(), same.end());
    const auto ran = seedbed(*words);
    ASSERT_EQ(ran.code, 0) << ran.err;
    const auto summary = schemas::parse_json(ran.out);
    ASSERT_TRUE(summary.ok()) << ran.out;
    EXPECT_EQ(summary->integer("episodes"), 4);
    EXPECT_EQ(summary->integer("infra_errors"), 0);
  }
  const auto in_process = replies(store, "engine", folder_.file("in")),
             over_http = replies(store, "http", folder_.file("out"));
  EXPECT_EQ(in_process.size(), 4U);
  EXPECT_EQ(in_process, over_http);
  server.signal(SIGTERM);
  EXPECT_EQ(server.wait(), 0);
}

TEST_F(EngineProgram, ADamagedModelIsRefused) {
  std::filesystem::resize_file(model_ + "/model-00001-of-00001.safetensors", 1 << 20);
  for (const std::vector<std::string>& words :
       {std::vector<std::string>{"engine", "inspect", model_},
        {"engine", "generate", "--model", model_, "--prompt", "x"}}) {
    const auto ended = seedbed(words);
    EXPECT_EQ(ended.code, 3) << ended.err;
    EXPECT_NE(ended.err.find("model-00001"), std::string::npos) << ended.err;
  }
}

}  // namespace
}  // namespace seedbed::e2e
