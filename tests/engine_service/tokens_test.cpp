// Completions of text, and token ids in and out.
#include <gtest/gtest.h>

#include <algorithm>

#include "kit.h"

namespace seedbed {
namespace {

using schemas::Value;

const test::ServiceKit& kit() {
  static const test::ServiceKit made({{"Heads", " or ", "more"}, {"Tails", "!"}}, {});
  return made;
}

std::string bytes_of(const std::string& base64) {
  static const std::string kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  std::uint32_t group = 0;
  int bits = 0;
  for (const char c : base64) {
    if (c == '=') break;
    group = group << 6U | static_cast<std::uint32_t>(kDigits.find(c));
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      out += static_cast<char>(group >> static_cast<unsigned>(bits) & 255U);
    }
  }
  return out;
}
std::vector<std::int32_t> int32s(const std::string& base64) {
  const std::string bytes = bytes_of(base64);
  std::vector<std::int32_t> out(bytes.size() / 4);
  std::copy(bytes.begin(), bytes.end(), reinterpret_cast<char*>(out.data()));
  return out;
}

std::string marker_prompt() {  // as text: special tokens are read in it
  return "<｜User｜>hi<｜Assistant｜></think>";
}

TEST(Completions, ContinueTextsAndIdsByTheirIndex) {
  test::Served served(kit());
  const auto tokens =
      served.client.post("/tokenize", R"({"prompt": ")" + marker_prompt() + R"("})");
  ASSERT_EQ(tokens.status, 200) << tokens.body;
  const std::string ids = dump(*tokens.json().find("tokens"));
  for (const std::string& prompt :
       {"\"" + marker_prompt() + "\"", ids, "[\"" + marker_prompt() + "\"]", "[" + ids + "]"}) {
    const auto answer = served.client.post(
        "/v1/completions",
        R"({"temperature": 1, "seed": 3, "n": 6, "max_tokens": 8, "prompt": )" + prompt + "}");
    ASSERT_EQ(answer.status, 200) << answer.body;
    const Value body = answer.json();
    EXPECT_EQ(body.text("object"), "text_completion");
    ASSERT_EQ(body.find("choices")->items().size(), 6U);
    for (const auto& choice : body.find("choices")->items()) {
      const std::string text = choice.text("text");
      EXPECT_TRUE(text == "Heads or more" || text == "Tails!") << text;
      EXPECT_EQ(choice.text("finish_reason"), "stop");
    }
  }
  const auto two =
      served.client.post("/v1/completions", R"({"prompt": [")" + marker_prompt() +
                                                R"(", "x"], "n": 2, "max_tokens": 3})");
  ASSERT_EQ(two.json().find("choices")->items().size(), 4U);
  EXPECT_EQ(two.json().find("choices")->items()[3].integer("index"), 3);
}

TEST(Completions, EchoStopAndStreamAgree) {
  test::Served served(kit());
  const std::string body = R"({"prompt": ")" + marker_prompt() +
                           R"(", "temperature": 0, "max_tokens": 8, "echo": true, "stop": "mo")";
  const auto whole = served.client.post("/v1/completions", body + "}");
  ASSERT_EQ(whole.status, 200) << whole.body;
  const std::string text = whole.json().find("choices")->items()[0].text("text");
  EXPECT_TRUE(text == "<｜User｜>hi<｜Assistant｜></think>Heads or " ||
              text == "<｜User｜>hi<｜Assistant｜></think>Tails!")
      << text;
  const auto stream = served.client.post(
      "/v1/completions", body + R"(, "stream": true, "stream_options": {"include_usage": true}})");
  std::string joined;
  for (const auto& chunk : stream.chunks())
    for (const auto& choice : chunk.find("choices")->items()) joined += choice.text("text");
  EXPECT_EQ(joined, text);
  EXPECT_EQ(stream.events.back(), "[DONE]");
  EXPECT_EQ(dump(*stream.chunks().back().find("usage")),
            dump(*stream.chunks().back().find("usage")));
  EXPECT_GT(stream.chunks().back().find("usage")->integer("prompt_tokens"), 3);
}

TEST(Completions, ListLogProbabilitiesInTheOldShape) {
  test::Served served(kit());
  const auto answer =
      served.client.post("/v1/completions", R"({"prompt": ")" + marker_prompt() +
                                                R"(", "logprobs": 2, "max_tokens": 8})");
  ASSERT_EQ(answer.status, 200) << answer.body;
  const Value body = answer.json();
  const Value& logprobs = *body.find("choices")->items()[0].find("logprobs");
  const std::size_t count = logprobs.find("tokens")->items().size();
  ASSERT_GE(count, 2U);
  for (const char* key : {"token_logprobs", "top_logprobs", "text_offset"})
    EXPECT_EQ(logprobs.find(key)->items().size(), count);
  EXPECT_EQ(logprobs.find("top_logprobs")->items()[0].members().size(), 2U);
  EXPECT_EQ(logprobs.find("text_offset")->items()[1].as_int(),
            static_cast<std::int64_t>(logprobs.find("tokens")->items()[0].as_string().size()));
}

TEST(Generate, GivesIdsAndWhatATrainerNeeds) {
  test::Served served(kit());
  const std::string prompt = std::to_string(kit().id("<｜begin▁of▁sentence｜>")) + "," +
                             std::to_string(kit().id("<｜User｜>")) + "," +
                             std::to_string(kit().id("<｜Assistant｜>")) + "," +
                             std::to_string(kit().id("</think>"));
  const std::string request =
      R"({"request_id": "mine", "token_ids": [)" + prompt +
      R"(], "sampling_params": {"temperature": 1.0, "top_p": 0.9, "seed": 4, "max_tokens": 8,
          "logprobs": 1, "n": 2}, "return_routed_experts": true, "return_kept_tokens": true)";
  const auto answer = served.client.post("/inference/v1/generate", request + "}");
  ASSERT_EQ(answer.status, 200) << answer.body;
  const Value body = answer.json();
  EXPECT_EQ(body.text("request_id"), "mine");
  ASSERT_EQ(body.find("choices")->items().size(), 2U);

  engine::Request same;
  same.prompt = {kit().id("<｜begin▁of▁sentence｜>"), kit().id("<｜User｜>"),
                 kit().id("<｜Assistant｜>"), kit().id("</think>")};
  same.params.sampling.top_p = 0.9;
  same.params.sampling.seed = 4;
  same.params.sampling.top_logprobs = 1;
  same.params.max_tokens = 8;
  same.params.want_routing = true;
  for (std::uint64_t key = 0; key < 2; ++key) {
    same.key = key;
    const auto made = served.engine->run(same);
    ASSERT_TRUE(made.ok());
    const Value& choice = body.find("choices")->items()[key];
    const auto& entries = choice.find("logprobs")->find("content")->items();
    ASSERT_EQ(choice.find("token_ids")->items().size(), made->tokens.size());
    ASSERT_EQ(entries.size(), made->tokens.size());
    const auto counts = int32s(choice.find("kept_tokens")->text("counts"));
    const auto kept = int32s(choice.find("kept_tokens")->text("ids"));
    ASSERT_EQ(counts.size(), made->tokens.size());
    std::size_t at = 0;
    for (std::size_t i = 0; i < made->tokens.size(); ++i) {
      const auto& token = made->tokens[i];
      EXPECT_EQ(choice.find("token_ids")->items()[i].as_int(), token.id);
      EXPECT_EQ(entries[i].find("logprob")->as_double(), static_cast<double>(token.logprob));
      EXPECT_EQ(choice.find("raw_logprobs")->items()[i].as_double(),
                static_cast<double>(token.raw_logprob));
      EXPECT_EQ(choice.find("policy_version")->items()[i].as_int(), token.policy);
      EXPECT_EQ(counts[i], std::max(token.kept_count, 0));
      for (const auto id : token.kept_ids) {
        ASSERT_LT(at, kept.size());
        EXPECT_EQ(kept[at++], id);
      }
    }
    EXPECT_EQ(at, kept.size());
    const Value& routed = *choice.find("routed_experts");
    const auto& shape = routed.find("shape")->items();
    EXPECT_EQ(shape[0].as_int(), static_cast<std::int64_t>(4 + made->tokens.size() - 1));
    EXPECT_EQ(shape[1].as_int(), made->routing.layers);
    EXPECT_EQ(shape[2].as_int(), made->routing.experts);
    EXPECT_EQ(routed.integer("start", -1), 0);
    const std::string experts = bytes_of(routed.text("data"));
    ASSERT_EQ(experts.size(), made->routing.ids.size());
    for (std::size_t i = 0; i < experts.size(); ++i)
      EXPECT_EQ(static_cast<unsigned char>(experts[i]), made->routing.ids[i]);
  }

  const auto stream = served.client.post("/inference/v1/generate", request + ", \"stream\": true}");
  std::vector<std::vector<std::int64_t>> ids(2);
  int finished = 0;
  for (const auto& chunk : stream.chunks())
    for (const auto& choice : chunk.find("choices")->items()) {
      for (const auto& id : choice.find("token_ids")->items())
        ids[static_cast<std::size_t>(choice.integer("index"))].push_back(id.as_int());
      if (!choice.find("finish_reason")->is_null()) {
        ++finished;
        EXPECT_NE(choice.find("routed_experts"), nullptr);
      }
    }
  EXPECT_EQ(finished, 2);
  for (std::size_t i = 0; i < 2; ++i) {
    std::vector<std::int64_t> whole;
    for (const auto& id : body.find("choices")->items()[i].find("token_ids")->items())
      whole.push_back(id.as_int());
    EXPECT_EQ(ids[i], whole);
  }
}

TEST(Generate, StopsAtTheIdsAskedForAndPastTheEndWhereAsked) {
  test::Served served(kit());
  const std::string prompt = "[" + std::to_string(kit().id("</think>")) + "]";
  const auto run = [&](const std::string& params) {
    const auto answer =
        served.client.post("/inference/v1/generate",
                           R"({"token_ids": )" + prompt +
                               R"(, "sampling_params": {"temperature": 0, )" + params + "}}");
    EXPECT_EQ(answer.status, 200) << answer.body;
    return answer.json().find("choices")->items()[0];
  };
  const Value first = run(R"("max_tokens": 1)");
  EXPECT_EQ(first.text("finish_reason"), "length");
  const std::string begins = dump(first.find("token_ids")->items()[0]);
  const Value stopped = run(R"("max_tokens": 9, "stop_token_ids": [)" + begins + "]");
  EXPECT_EQ(stopped.find("token_ids")->items().size(), 1U);
  EXPECT_EQ(stopped.text("finish_reason"), "stop");
  const Value on = run(R"("max_tokens": 9, "ignore_eos": true)");
  EXPECT_EQ(on.find("token_ids")->items().size(), 9U);
  EXPECT_EQ(on.text("finish_reason"), "length");
  const Value text = run(R"("max_tokens": 9, "stop": ["ds", "ils"])");
  EXPECT_EQ(text.find("token_ids")->items().size(), 1U);
}

}  // namespace
}  // namespace seedbed
