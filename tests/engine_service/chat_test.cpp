// Chat completions over a tiny engine: shapes, streams, what the fields do.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <set>
#include <thread>

#include "base/text.h"
#include "kit.h"

namespace seedbed {
namespace {

using engine::service::ApiOptions;
using schemas::Value;

const char* const kTools = R"("tools": [{"type": "function", "function": {"name": "get_weather",
  "description": "Weather of a city.", "parameters": {"type": "object",
  "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": false}}}])";

// One reply of words.
const test::ServiceKit& talker() {
  static const test::ServiceKit made(
      {{"The sun", " shines", " STO", "P today", ".", " 天", "\xe6", "\xb0", "\x94"}}, {});
  return made;
}
// Two replies, equally likely.
const test::ServiceKit& chooser() {
  static const test::ServiceKit made({{"Heads", "."}, {"Tails", "!"}}, {});
  return made;
}
// Calls the tool, in pieces that keep to no border; the marker is text of the vocabulary.
const test::ServiceKit& caller() {
  static const test::ServiceKit made = test::ServiceKit(
      {{"I look.", "\n\n<｜DS", "ML｜function_calls>\n<｜DSML｜inv", "oke name=\"get_weather\">\n",
        "<｜DSML｜parameter name=\"city\" string=\"true\">", "Be", "rn",
        "</｜DSML｜parameter>\n</｜DSML｜inv", "oke>\n</｜DSML｜function_calls>"}},
      {.dsml_is_token = false});
  return made;
}

// A value with what differs from run to run made fixed.
Value settled(Value value) {
  if (value.is_object())
    for (auto& [key, member] : value.members()) {
      if (key == "id" || key == "system_fingerprint") {
        EXPECT_FALSE(member.as_string().empty());
        member = Value("*");
      } else if (key == "created") {
        EXPECT_GT(member.as_int(), 1'700'000'000);
        member = Value(0);
      } else {
        member = settled(std::move(member));
      }
    }
  if (value.is_array())
    for (auto& item : value.items()) item = settled(std::move(item));
  return value;
}

Value without_usage(Value value) {
  value.members().erase(std::remove_if(value.members().begin(), value.members().end(),
                                       [](const auto& member) { return member.first == "usage"; }),
                        value.members().end());
  return value;
}

std::vector<std::int64_t> ids_of(const Value& list) {
  std::vector<std::int64_t> out;
  for (const auto& item : list.items()) out.push_back(item.as_int());
  return out;
}

TEST(Chat, AnswersInTheShapeThatClientsKnow) {
  test::Served served(talker());
  const auto answer = served.client.post("/v1/chat/completions",
                                         test::chat_body("weather?", R"("temperature": 0)"));
  ASSERT_EQ(answer.status, 200) << answer.body;
  EXPECT_EQ(answer.type, "application/json");
  EXPECT_EQ(dump(settled(without_usage(answer.json()))),
            R"({"id":"*","object":"chat.completion","created":0,"model":"seedbed",)"
            R"("system_fingerprint":"*","choices":[{"index":0,"message":{"role":"assistant",)"
            R"("content":"The sun shines STOP today. 天气","refusal":null},"logprobs":null,)"
            R"("finish_reason":"stop"}]})");
  const Value body = answer.json();
  const Value& usage = *body.find("usage");
  EXPECT_EQ(usage.integer("completion_tokens"), 10);  // nine pieces and the end
  EXPECT_EQ(usage.integer("total_tokens"), usage.integer("prompt_tokens") + 10);
  EXPECT_EQ(usage.find("prompt_tokens_details")->integer("cached_tokens", -1), 0);
  EXPECT_EQ(usage.find("completion_tokens_details")->integer("reasoning_tokens", -1), 0);
  EXPECT_EQ(usage.integer("prompt_cache_hit_tokens", -1), 0);
  EXPECT_EQ(usage.integer("prompt_cache_miss_tokens"), usage.integer("prompt_tokens"));
  EXPECT_EQ(body.text("system_fingerprint"), served.engine->policy_version());
}

TEST(Chat, StreamsTheSameAnswerInTheShapeThatClientsKnow) {
  test::Served served(talker());
  const auto answer = served.client.post(
      "/v1/chat/completions", test::chat_body("weather?", R"("temperature": 0, "stream": true,
                                     "stream_options": {"include_usage": true})"));
  ASSERT_EQ(answer.status, 200) << answer.body;
  EXPECT_EQ(answer.type, "text/event-stream");
  ASSERT_GE(answer.events.size(), 5U);
  EXPECT_EQ(answer.events.back(), "[DONE]");
  const auto chunks = answer.chunks();
  EXPECT_EQ(dump(settled(chunks[0])),
            R"({"id":"*","object":"chat.completion.chunk","created":0,"model":"seedbed",)"
            R"("system_fingerprint":"*","choices":[{"index":0,"delta":{"role":"assistant",)"
            R"("content":""},"logprobs":null,"finish_reason":null}],"usage":null})");
  EXPECT_EQ(dump(settled(chunks[1])),
            R"({"id":"*","object":"chat.completion.chunk","created":0,"model":"seedbed",)"
            R"("system_fingerprint":"*","choices":[{"index":0,"delta":{"content":"The sun"},)"
            R"("logprobs":null,"finish_reason":null}],"usage":null})");
  EXPECT_EQ(dump(settled(chunks[chunks.size() - 2])),
            R"({"id":"*","object":"chat.completion.chunk","created":0,"model":"seedbed",)"
            R"("system_fingerprint":"*","choices":[{"index":0,"delta":{},)"
            R"("logprobs":null,"finish_reason":"stop"}],"usage":null})");
  EXPECT_EQ(dump(*chunks.back().find("choices")), "[]");
  EXPECT_EQ(chunks.back().find("usage")->integer("completion_tokens"), 10);
  std::set<std::string> names;
  for (const auto& chunk : chunks) {
    names.insert(chunk.text("id"));
    EXPECT_TRUE(is_valid_utf8(dump(chunk)));
  }
  EXPECT_EQ(names.size(), 1U);
  EXPECT_EQ(test::joined(chunks).text("content"), "The sun shines STOP today. 天气");
}

TEST(Chat, ThinksBesideTheContentWhereAsked) {
  test::Served served(talker());
  for (const char* asked :
       {R"("thinking": {"type": "enabled"})", R"("chat_template_kwargs": {"thinking": true})",
        R"("model": "deepseek-reasoner")"}) {
    const auto whole = served.client.post("/v1/chat/completions", test::chat_body("w", asked));
    ASSERT_EQ(whole.status, 200) << whole.body;
    const Value body = whole.json();
    const Value& message = *body.find("choices")->items()[0].find("message");
    EXPECT_EQ(message.text("reasoning_content"), test::kThought);
    EXPECT_EQ(message.text("content"), "The sun shines STOP today. 天气");
    EXPECT_EQ(body.find("usage")->find("completion_tokens_details")->integer("reasoning_tokens"),
              1);
    const auto stream = served.client.post(
        "/v1/chat/completions", test::chat_body("w", std::string(asked) + R"(, "stream": true)"));
    const auto chunks = stream.chunks();
    ASSERT_FALSE(chunks.empty()) << stream.body;
    EXPECT_EQ(dump(*chunks[0].find("choices")->items()[0].find("delta")),
              R"({"role":"assistant","content":"","reasoning_content":""})");
    EXPECT_EQ(dump(test::joined(chunks)), dump(test::summed(body)));
  }
  const auto off = served.client.post("/v1/chat/completions",
                                      test::chat_body("w", R"("model": "deepseek-chat")"));
  EXPECT_EQ(off.json().find("choices")->items()[0].find("message")->find("reasoning_content"),
            nullptr);
}

TEST(Chat, CallsToolsWholeAndInDeltas) {
  test::Served served(caller());
  const auto whole = served.client.post("/v1/chat/completions", test::chat_body("w", kTools));
  ASSERT_EQ(whole.status, 200) << whole.body;
  const Value body = whole.json();
  const Value& choice = body.find("choices")->items()[0];
  EXPECT_EQ(choice.text("finish_reason"), "tool_calls");
  EXPECT_EQ(choice.find("message")->text("content"), "I look.");
  const Value& call = choice.find("message")->find("tool_calls")->items()[0];
  EXPECT_EQ(call.text("type"), "function");
  EXPECT_EQ(call.text("id").substr(0, 5), "call_");
  EXPECT_EQ(dump(*call.find("function")),
            R"({"name":"get_weather","arguments":"{\"city\": \"Bern\"}"})");
  const auto stream = served.client.post(
      "/v1/chat/completions", test::chat_body("w", std::string(kTools) + R"(, "stream": true)"));
  const auto chunks = stream.chunks();
  std::vector<std::string> calls;
  for (const auto& chunk : chunks)
    if (const Value* made = chunk.find("choices")->items()[0].find("delta")->find("tool_calls"))
      calls.push_back(dump(settled(*made)));
  ASSERT_GE(calls.size(), 3U);
  EXPECT_EQ(calls[0], R"([{"index":0,"id":"*","type":"function",)"
                      R"("function":{"name":"get_weather","arguments":""}}])");
  EXPECT_EQ(calls[1].substr(0, 36), R"([{"index":0,"function":{"arguments":)");
  Value joined = test::joined(chunks), summed = test::summed(body);
  for (Value* one : {&joined, &summed})
    one->set("tool_calls", settled(*one->find("tool_calls")));  // ids are each answer's own
  EXPECT_EQ(dump(joined), dump(summed));
}

TEST(Chat, TheSameSeedGivesTheSameChoicesAndEachItsOwn) {
  test::Served served(chooser());
  const auto words = [&](const std::string& more) {
    const auto answer = served.client.post("/v1/chat/completions", test::chat_body("w", more));
    EXPECT_EQ(answer.status, 200) << answer.body;
    std::string out;
    const Value body = answer.json();
    std::int64_t index = 0;
    for (const auto& choice : body.find("choices")->items()) {
      EXPECT_EQ(choice.integer("index"), index++);
      out += choice.find("message")->text("content") == "Heads." ? 'h' : 't';
    }
    return out;
  };
  const std::string first = words(R"("n": 12, "seed": 5)");
  EXPECT_EQ(first.size(), 12U);
  EXPECT_NE(first.find('h'), std::string::npos);
  EXPECT_NE(first.find('t'), std::string::npos);
  EXPECT_EQ(words(R"("n": 12, "seed": 5)"), first);
  EXPECT_NE(words(R"("n": 12, "seed": 6)"), first);
  EXPECT_EQ(words(R"("seed": 5)"), first.substr(0, 1));
  std::set<std::string> fresh;
  for (int i = 0; i < 4; ++i) fresh.insert(words(R"("n": 12)"));
  EXPECT_GT(fresh.size(), 1U);  // without a seed nobody repeats anybody
  // Streamed, the choices come by their index.
  const auto stream = served.client.post(
      "/v1/chat/completions", test::chat_body("w", R"("n": 12, "seed": 5, "stream": true)"));
  const auto chunks = stream.chunks();
  for (std::int64_t i = 0; i < 12; ++i)
    EXPECT_EQ(test::joined(chunks, i).text("content"),
              first[static_cast<std::size_t>(i)] == 'h' ? "Heads." : "Tails!");
}

TEST(Chat, StopStringsEndTheAnswerBetweenTokens) {
  test::Served served(talker());
  for (const char* stream : {"false", "true"}) {
    const auto answer = served.client.post(
        "/v1/chat/completions",
        test::chat_body("w", R"("stop": ["xyz", "STOP"], "stream": )" + std::string(stream)));
    ASSERT_EQ(answer.status, 200) << answer.body;
    const Value got = answer.streamed ? test::joined(answer.chunks()) : test::summed(answer.json());
    EXPECT_EQ(got.text("content"), "The sun shines ");
    EXPECT_EQ(got.text("finish_reason"), "stop");
    for (const auto& event : answer.events) EXPECT_EQ(event.find("STO"), std::string::npos);
  }
  const auto one =
      served.client.post("/v1/chat/completions", test::chat_body("w", R"("stop": "shines")"));
  EXPECT_EQ(test::summed(one.json()).text("content"), "The sun ");
  EXPECT_EQ(one.json().find("usage")->integer("completion_tokens"), 2);
}

TEST(Chat, TheBudgetCutsAndSaysSo) {
  test::Served served(talker());
  for (const char* key : {"max_tokens", "max_completion_tokens"}) {
    const auto answer = served.client.post("/v1/chat/completions",
                                           test::chat_body("w", "\"" + std::string(key) + "\": 2"));
    const Value got = test::summed(answer.json());
    EXPECT_EQ(got.text("content"), "The sun shines");
    EXPECT_EQ(got.text("finish_reason"), "length");
    EXPECT_EQ(answer.json().find("usage")->integer("completion_tokens"), 2);
  }
}

TEST(Chat, ListsLogProbabilitiesTokenByToken) {
  test::Served served(talker());
  const char* const kAsked = R"("logprobs": true, "top_logprobs": 3, "temperature": 0)";
  const auto answer = served.client.post("/v1/chat/completions", test::chat_body("w", kAsked));
  ASSERT_EQ(answer.status, 200) << answer.body;
  const Value body = answer.json();
  const auto& entries = body.find("choices")->items()[0].find("logprobs")->find("content")->items();
  ASSERT_EQ(entries.size(), 9U);
  std::string bytes;
  for (const auto& entry : entries) {
    EXPECT_EQ(entry.find("top_logprobs")->items().size(), 3U);
    EXPECT_EQ(entry.find("top_logprobs")->items()[0].text("token"), entry.text("token"));
    EXPECT_LE(entry.find("logprob")->as_double(), 0.0);
    for (const auto& byte : entry.find("bytes")->items()) bytes += static_cast<char>(byte.as_int());
  }
  EXPECT_EQ(bytes, "The sun shines STOP today. 天气");
  const auto stream = served.client.post(
      "/v1/chat/completions", test::chat_body("w", std::string(kAsked) + R"(, "stream": true)"));
  Value streamed = Value::array();
  for (const auto& chunk : stream.chunks())
    if (const Value* list = chunk.find("choices")->items()[0].find("logprobs"); !list->is_null())
      for (const auto& entry : list->find("content")->items()) streamed.push(entry);
  EXPECT_EQ(dump(streamed),
            dump(*body.find("choices")->items()[0].find("logprobs")->find("content")));
}

TEST(Chat, TheNextTurnBeginsWithTheIdsThatWereSampled) {
  test::Served served(caller());
  for (const bool thinking : {false, true}) {
    served.client.session = thinking ? "b" : "a";
    const std::string more = std::string(kTools) + R"(, "return_token_ids": true, "thinking": )" +
                             (thinking ? R"({"type": "enabled"})" : R"({"type": "disabled"})");
    const auto first = served.client.post("/v1/chat/completions", test::chat_body("w", more));
    ASSERT_EQ(first.status, 200) << first.body;
    const Value one = first.json();
    const Value& choice = one.find("choices")->items()[0];
    auto expected = ids_of(*one.find("prompt_token_ids"));
    const auto sampled = ids_of(*choice.find("token_ids"));
    expected.insert(expected.end(), sampled.begin(), sampled.end());
    EXPECT_EQ(sampled.back(), served.vocabulary.end_id());

    Value messages = Value::array();
    messages.push(test::parsed(R"({"role": "user", "content": "w"})"));
    messages.push(*choice.find("message"));
    Value result = Value::object();
    result.set("role", "tool")
        .set("content", "sunny")
        .set("tool_call_id", choice.find("message")->find("tool_calls")->items()[0].text("id"));
    messages.push(std::move(result));
    const std::string body = R"({"messages": )" + dump(messages) + ", " + more + "}";
    const auto prefix = [&](const test::Client::Answer& answer) {
      EXPECT_EQ(answer.status, 200) << answer.body;
      auto ids = ids_of(*answer.json().find("prompt_token_ids"));
      ids.resize(std::min(ids.size(), expected.size()));
      return ids;
    };
    const auto second = served.client.post("/v1/chat/completions", body);
    EXPECT_EQ(prefix(second), expected);
    EXPECT_GE(second.json().find("usage")->integer("prompt_cache_hit_tokens"),
              static_cast<std::int64_t>(expected.size()) / 64 * 64);
    // Where it was not sampled, the text becomes other ids: the test can fail.
    served.client.session = "elsewhere";
    EXPECT_NE(prefix(served.client.post("/v1/chat/completions", body)), expected);
  }
}

TEST(Chat, ReasoningThatTheFormatDropsIsDropped) {
  test::Served served(talker());
  const std::string more = R"("thinking": {"type": "enabled"}, "return_token_ids": true)";
  const auto first = served.client.post("/v1/chat/completions", test::chat_body("w", more));
  const Value body = first.json();
  Value messages = Value::array();
  messages.push(test::parsed(R"({"role": "user", "content": "w"})"));
  messages.push(*body.find("choices")->items()[0].find("message"));
  messages.push(test::parsed(R"({"role": "user", "content": "and now?"})"));
  const auto second = served.client.post("/v1/chat/completions",
                                         R"({"messages": )" + dump(messages) + ", " + more + "}");
  ASSERT_EQ(second.status, 200) << second.body;
  std::vector<std::int32_t> ids;
  for (const auto id : ids_of(*second.json().find("prompt_token_ids")))
    ids.push_back(static_cast<std::int32_t>(id));
  const std::string text = served.vocabulary.tokenizer().decode(ids);
  EXPECT_EQ(text.find(test::kThought), std::string::npos);
  EXPECT_NE(text.find("The sun shines STOP today. 天气<｜end▁of▁sentence｜>"), std::string::npos);
}

TEST(Chat, GivesWhatTheEngineGivesForTheSamePrompt) {
  test::Served served(chooser());
  for (std::int64_t seed = 0; seed < 6; ++seed) {
    const auto answer = served.client.post(
        "/v1/chat/completions",
        test::chat_body("w", R"("return_token_ids": true, "seed": )" + std::to_string(seed)));
    const Value body = answer.json();
    engine::Request request;
    for (const auto id : ids_of(*body.find("prompt_token_ids")))
      request.prompt.push_back(static_cast<std::int32_t>(id));
    request.params.sampling.top_p = 0.95;
    request.params.sampling.seed = static_cast<std::uint64_t>(seed);
    const auto made = served.engine->run(std::move(request));
    ASSERT_TRUE(made.ok());
    std::vector<std::int64_t> ids;
    for (const auto& token : made->tokens) ids.push_back(token.id);
    EXPECT_EQ(ids_of(*body.find("choices")->items()[0].find("token_ids")), ids);
  }
}

TEST(Chat, AClientThatLeavesTakesItsRequestsWithIt) {
  test::Served served(talker());
  for (const char* stream : {"true", "false"}) {
    const auto pending = served.client.begin(
        "POST", "/v1/chat/completions",
        test::chat_body("w", R"("n": 4, "ignore_eos": true, "max_tokens": 3000, "stream": )" +
                                 std::string(stream)));
    if (std::string_view(stream) == "true") pending->wait_for_bytes();
    pending->leave();
    for (int i = 0; served.api->in_flight() > 0 && i < 600; ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    EXPECT_EQ(served.api->in_flight(), 0);
  }
  EXPECT_EQ(served.engine->stats().running, 0);
}

TEST(Chat, TheApiMayEndWhileRequestsRun) {
  test::Served served(talker());
  const auto pending = served.client.begin(
      "POST", "/v1/chat/completions",
      test::chat_body("w", R"("ignore_eos": true, "max_tokens": 3000, "stream": true)"));
  pending->wait_for_bytes();
  served.api.reset();
  const auto answer = pending->wait();
  EXPECT_EQ(answer.events.back(), "[DONE]");
  EXPECT_EQ(test::joined(answer.chunks()).text("finish_reason"), "abort");
}

}  // namespace
}  // namespace seedbed
