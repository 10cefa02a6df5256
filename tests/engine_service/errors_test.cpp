// What is refused, and how: status, parameter, and a message that says what to do.
#include <gtest/gtest.h>

#include "kit.h"

namespace seedbed {
namespace {

using engine::service::ApiOptions;
using engine::service::Profile;
using schemas::Value;

const test::ServiceKit& kit() {
  static const test::ServiceKit made({{"Well", "."}}, {});
  return made;
}

struct Wrong {
  std::string body;
  std::string param;  // "": null
  std::string says;
  int status = 400;
  std::string code = "";  // "": not looked at
};

void expect_refused(test::Client& client, const std::string& path, const Wrong& wrong) {
  const auto answer = client.post(path, wrong.body);
  EXPECT_EQ(answer.status, wrong.status) << wrong.body << "\n" << answer.body;
  if (answer.status < 400) return;
  const Value body = answer.json();
  const Value* error = body.find("error");
  ASSERT_NE(error, nullptr) << answer.body;
  EXPECT_EQ(error->text("param"), wrong.param) << wrong.body << "\n" << answer.body;
  EXPECT_NE(error->text("message").find(wrong.says), std::string::npos) << wrong.body << "\n"
                                                                        << answer.body;
  EXPECT_NE(error->text("message").find("; "), std::string::npos) << answer.body;
  EXPECT_FALSE(error->text("type").empty());
  EXPECT_NE(error->find("code"), nullptr);
  if (!wrong.code.empty()) {
    EXPECT_EQ(error->text("code"), wrong.code) << answer.body;
  }
}

std::string hi(const std::string& more) {
  return test::chat_body("hi", more);
}
std::string messages(const std::string& list, const std::string& more = "") {
  return "{\"messages\": [" + list + "]" + (more.empty() ? "" : ", " + more) + "}";
}

const char* const kTool =
    R"({"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}})";

TEST(ChatErrors, NameTheParameterAndWhatWasWanted) {
  test::Served served(kit());
  const std::string tools = std::string("\"tools\": [") + kTool + "]";
  const Wrong table[] = {
      {"", "", "no JSON", 400, "invalid_json"},
      {"{", "", "no JSON", 400, "invalid_json"},
      {"{\"messages\": \"\xff\"}", "", "no JSON", 400, "invalid_json"},
      {"{\"a\": 1, \"a\": 2}", "", "no JSON", 400, "invalid_json"},
      {"[]", "", "wanted a JSON object"},
      {"{}", "messages", "found none"},
      {messages(""), "messages", "at least one"},
      {R"({"messages": {}})", "messages", "wanted an array"},
      {messages("3"), "messages", "wanted a message"},
      {messages(R"({"role": "robot", "content": "x"})"), "messages", "robot"},
      {messages(R"({"role": "user"})"), "messages", "content"},
      {messages(R"({"role": "user", "content": [{"type": "image_url"}]})"), "messages",
       "image_url"},
      {messages(R"({"role": "system", "content": "x"})"), "messages", "no user message"},
      {messages(R"({"role": "user", "content": "x"}, {"role": "assistant", "content": "y"})"),
       "messages", "an assistant message at the end"},
      {messages(R"({"role": "user", "content": "x"},
                   {"role": "assistant", "content": "y", "prefix": true})"),
       "messages", "prefix"},
      {messages(R"({"role": "user", "content": "x"}, {"role": "tool", "content": "y"})"),
       "messages", "message 1"},
      {messages(R"({"role": "user", "content": "x"}, {"role": "tool", "content": "y"})", tools),
       "messages", "message 1"},  // not 2: the client's own count
      {messages(R"({"role": "user", "content": "x"},
                   {"role": "assistant", "content": "", "tool_calls": [{"id": "a",
                    "type": "function", "function": {"name": "f", "arguments": "{"}}]},
                   {"role": "tool", "tool_call_id": "a", "content": "y"})"),
       "messages", "no JSON object"},
      {hi("\"temperature\": \"hot\""), "temperature", "found string, wanted a number"},
      {hi("\"temperature\": -1"), "temperature", "wanted 0"},
      {hi("\"top_p\": 2"), "top_p", "found 2"},
      {hi("\"top_k\": 1.5"), "top_k", "wanted an integer"},
      {hi("\"min_p\": []"), "min_p", "found array"},
      {hi("\"repetition_penalty\": 0"), "repetition_penalty", "found 0"},
      {hi("\"presence_penalty\": 3"), "presence_penalty", "wanted -2"},
      {hi("\"frequency_penalty\": -3"), "frequency_penalty", "wanted -2"},
      {hi("\"max_tokens\": 0"), "max_tokens", "wanted 1"},
      {hi("\"max_completion_tokens\": \"many\""), "max_completion_tokens", "an integer"},
      {hi("\"n\": 0"), "n", "wanted 1 to 128"},
      {hi("\"n\": 1000"), "n", "wanted 1 to 128"},
      {hi("\"seed\": \"x\""), "seed", "an integer"},
      {hi("\"stream\": 1"), "stream", "true or false"},
      {hi("\"stream_options\": 1"), "stream_options", "an object"},
      {hi("\"stream_options\": {\"include_usage\": 1}"), "stream_options.include_usage", "true"},
      {hi("\"stop\": 3"), "stop", "a string or a list"},
      {hi("\"stop\": [\"\"]"), "stop", "0 bytes"},
      {hi("\"stop\": [1]"), "stop", "a list of strings"},
      {hi("\"stop\": "
          "[\"a\",\"b\",\"c\",\"d\",\"e\",\"f\",\"g\",\"h\",\"i\",\"j\",\"k\",\"l\",\"m\","
          "\"n\",\"o\",\"p\",\"q\"]"),
       "stop", "at most 16"},
      {hi("\"logprobs\": 3"), "logprobs", "true or false"},
      {hi("\"logprobs\": true, \"top_logprobs\": 21"), "top_logprobs", "wanted 0 to 20"},
      {hi("\"top_logprobs\": 2"), "top_logprobs", "without 'logprobs'"},
      {hi("\"logit_bias\": {\"x\": 1}"), "logit_bias", "a token id"},
      {hi("\"logit_bias\": {\"999999\": 1}"), "logit_bias", "a token id"},
      {hi("\"logit_bias\": {\"1\": 101}"), "logit_bias", "-100 to 100"},
      {hi("\"response_format\": {\"type\": \"xml\"}"), "response_format", "xml"},
      {hi("\"response_format\": {\"type\": \"json_schema\"}"), "response_format", "no schema"},
      {hi("\"response_format\": {\"type\": \"json_schema\", \"json_schema\": {\"name\": \"x\", "
          "\"schema\": {\"not\": {}}}}"),
       "response_format", "/not"},
      {hi("\"tool_choice\": \"maybe\""), "tool_choice", "maybe"},
      {hi("\"tool_choice\": \"required\""), "tool_choice", "no tools"},
      {hi(tools + ", \"tool_choice\": {\"type\": \"function\", \"function\": {\"name\": \"g\"}}"),
       "tool_choice", "found 'g'"},
      {hi(tools + ", \"parallel_tool_calls\": 0"), "parallel_tool_calls", "true or false"},
      {hi(std::string("\"tools\": [") + kTool + "," + kTool + "]"), "tools", "two functions"},
      {hi("\"tools\": [3]"), "tools", "function"},
      {hi("\"tools\": {}"), "tools", "wanted an array"},
      {hi("\"tools\": [{\"type\": \"function\", \"function\": {\"name\": \"a\", \"strict\": true, "
          "\"parameters\": {\"type\": \"object\", \"not\": {}}}}]"),
       "tools", "/not"},
      {hi("\"functions\": []"), "functions", "'tools'"},
      {hi("\"thinking\": {\"type\": \"maybe\"}"), "thinking", "maybe"},
      {hi("\"thinking\": true"), "thinking", "an object"},
      {hi("\"chat_template_kwargs\": {\"thinking\": 1}"), "chat_template_kwargs.thinking", "true"},
      {hi("\"user\": 3"), "user", "a string"},
      {hi("\"priority\": \"high\""), "priority", "an integer"},
      {hi("\"logprobs_mode\": \"other\""), "logprobs_mode", "other"},
      {hi("\"model\": \"gpt-4\""), "model", "gpt-4", 404, "model_not_found"},
      {hi("\"model\": 4"), "model", "a string"},
      {test::chat_body(std::string(20'000, 'x')), "messages", "4096", 400,
       "context_length_exceeded"},
  };
  for (const auto& wrong : table) expect_refused(served.client, "/v1/chat/completions", wrong);
  EXPECT_EQ(served.api->in_flight(), 0);
  // Where the function is not strict, a schema that no mask can hold is no reason to refuse.
  const auto answer =
      served.client.post("/v1/chat/completions",
                         hi("\"tools\": [{\"type\": \"function\", \"function\": {\"name\": \"a\", "
                            "\"parameters\": {\"type\": \"object\", \"not\": {}}}}]"));
  EXPECT_EQ(answer.status, 200) << answer.body;
}

TEST(ChatErrors, ReasoningThatIsMissingInAToolLoopIsNamedByItsMessage) {
  test::Served served(kit());
  const auto loop = [](const std::string& reasoning, const char* type) {
    return messages(R"({"role": "user", "content": "x"},
                       {"role": "assistant", "content": "", )" +
                        reasoning +
                        R"("tool_calls": [{"id": "a", "type": "function",
                         "function": {"name": "f", "arguments": "{}"}}]},
                       {"role": "tool", "tool_call_id": "a", "content": "y"})",
                    "\"thinking\": {\"type\": \"" + std::string(type) + "\"}");
  };
  expect_refused(served.client, "/v1/chat/completions",
                 {loop("", "enabled"), "messages",
                  "Missing `reasoning_content` field in the assistant message at message index 1"});
  for (const auto& body : {loop(R"("reasoning_content": "hm", )", "enabled"),
                           loop(R"("reasoning_content": "", )", "enabled"), loop("", "disabled")}) {
    const auto answer = served.client.post("/v1/chat/completions", body);
    EXPECT_EQ(answer.status, 200) << answer.body;
  }
  // Before the last user's message nobody asks for it.
  const auto earlier = served.client.post(
      "/v1/chat/completions",
      messages(R"({"role": "user", "content": "x"}, {"role": "assistant", "content": "y"},
                  {"role": "user", "content": "z"})",
               "\"thinking\": {\"type\": \"enabled\"}"));
  EXPECT_EQ(earlier.status, 200) << earlier.body;
}

TEST(ChatErrors, WhatNobodyKnowsIsIgnored) {
  test::Served served(kit());
  const auto right = served.client.post(
      "/v1/chat/completions",
      messages(R"({"role": "user", "content": "x", "cache_control": {}},
                  {"role": "assistant", "content": "y", "refusal": null, "annotations": [],
                   "audio": null, "provider_specific": {"a": 1}},
                  {"role": "developer", "content": [{"type": "text", "text": "z", "extra": 1}]})",
               R"("service_tier": "auto", "store": false, "metadata": {"a": "b"}, "user": "me",
                  "temperature": null, "tools": [], "unheard_of": [1, 2])"));
  EXPECT_EQ(right.status, 200) << right.body;
}

TEST(ChatErrors, SpecialeTakesNeitherToolsNorFormats) {
  ApiOptions options;
  options.profile = Profile::speciale;
  test::Served served(kit(), options);
  const Wrong table[] = {
      {hi(std::string("\"tools\": [") + kTool + "]"), "tools", "without tools"},
      {hi("\"tool_choice\": \"required\""), "tool_choice", "without tools"},
      {hi("\"response_format\": {\"type\": \"json_object\"}"), "response_format",
       "without a format"},
      {hi("\"thinking\": {\"type\": \"disabled\"}"), "thinking", "switched off"},
      {hi("\"model\": \"deepseek-chat\""), "model", "deepseek-chat", 404},
  };
  for (const auto& wrong : table) expect_refused(served.client, "/v1/chat/completions", wrong);
  for (const char* more : {"\"response_format\": {\"type\": \"text\"}", "\"tool_choice\": \"none\"",
                           "\"model\": \"deepseek-reasoner\""}) {
    const auto answer = served.client.post("/v1/chat/completions", hi(more));
    ASSERT_EQ(answer.status, 200) << answer.body;
    EXPECT_EQ(test::summed(answer.json()).text("reasoning_content"), test::kThought);
  }
}

TEST(CompletionErrors, NameTheParameterAndWhatWasWanted) {
  test::Served served(kit());
  const Wrong table[] = {
      {"{}", "prompt", "found none"},
      {R"({"prompt": 3})", "prompt", "wanted a string"},
      {R"({"prompt": []})", "prompt", "0 prompts"},
      {R"({"prompt": [[]]})", "prompt", "found array"},
      {R"({"prompt": [1, 99999999]})", "prompt", "token ids"},
      {R"({"prompt": [1, "x"]})", "prompt", "token ids"},
      {R"({"prompt": "x", "suffix": "y"})", "suffix", "in the middle"},
      {R"({"prompt": "x", "best_of": 3})", "best_of", "same as 'n'"},
      {R"({"prompt": "x", "echo": true, "logprobs": 1})", "echo", "logprobs"},
      {R"({"prompt": "x", "logprobs": true})", "logprobs", "an integer"},
      {R"({"prompt": ["x", "y"], "n": 65})", "n", "128"},
  };
  for (const auto& wrong : table) expect_refused(served.client, "/v1/completions", wrong);
}

TEST(GenerateErrors, NameTheParameterAndWhatWasWanted) {
  test::Served served(kit());
  const Wrong table[] = {
      {"{}", "token_ids", "found none"},
      {R"({"token_ids": "x"})", "token_ids", "an array"},
      {R"({"token_ids": []})", "token_ids", "no token"},
      {R"({"token_ids": [-1]})", "token_ids", "token ids"},
      {R"({"token_ids": [1.5]})", "token_ids", "token ids"},
      {R"({"token_ids": [1], "sampling_params": 3})", "sampling_params", "an object"},
      {R"({"token_ids": [1], "sampling_params": {"temperature": "x"}})",
       "sampling_params.temperature", "a number"},
      {R"({"token_ids": [1], "sampling_params": {"stop_token_ids": ["x"]}})",
       "sampling_params.stop_token_ids", "token ids"},
      {R"({"token_ids": [1], "features": {}})", "features", "token ids alone"},
      {R"({"token_ids": [1], "model": "other"})", "model", "other", 404},
  };
  for (const auto& wrong : table) expect_refused(served.client, "/inference/v1/generate", wrong);
  std::string long_list = "1";
  for (int i = 0; i < 4'096; ++i) long_list += ",1";
  expect_refused(served.client, "/inference/v1/generate",
                 {R"({"token_ids": [)" + long_list + "]}", "token_ids", "4096"});
}

}  // namespace
}  // namespace seedbed
