// What an answer is held to: calls that must, may or must not be made, and formats. The models here
// want something else.
#include <gtest/gtest.h>

#include "kit.h"

namespace seedbed {
namespace {

using schemas::Value;

const char* const kTools = R"("tools": [
  {"type": "function", "function": {"name": "weather", "parameters": {"type": "object",
    "properties": {"city": {"enum": ["Rome", "Oslo"]}, "days": {"type": "integer", "minimum": 1,
    "maximum": 9}}, "required": ["city", "days"], "additionalProperties": false}}},
  {"type": "function", "function": {"name": "clock", "parameters": {"type": "object",
    "properties": {"zone": {"enum": ["UTC"]}}, "required": ["zone"],
    "additionalProperties": false}}}], "max_tokens": 300)";

// Says a word and ends.
const test::ServiceKit& talker(bool dsml) {
  static const test::ServiceKit with({{"Well", "."}}, {.dsml_is_token = true});
  static const test::ServiceKit without({{"Well", "."}}, {.dsml_is_token = false});
  return dsml ? with : without;
}
// Calls what nobody offered.
const test::ServiceKit& caller() {
  static const test::ServiceKit made(
      {{"\n\n<｜DS", "ML｜function_calls>\n<｜DSML｜inv", "oke name=\"rob\">\n",
        "<｜DSML｜parameter name=\"bank\" string=\"true\">", "all",
        "</｜DSML｜parameter>\n</｜DSML｜inv", "oke>\n</｜DSML｜function_calls>"}},
      {.dsml_is_token = false});
  return made;
}

struct Both {
  Value whole, streamed;
};
Both ask(test::Served& served, const std::string& what) {
  const std::string more = what.find("seed") == std::string::npos ? what + R"(, "seed": 1)" : what;
  const auto whole = served.client.post("/v1/chat/completions", test::chat_body("w", more));
  EXPECT_EQ(whole.status, 200) << whole.body;
  const auto stream = served.client.post("/v1/chat/completions",
                                         test::chat_body("w", more + R"(, "stream": true)"));
  EXPECT_EQ(stream.status, 200) << stream.body;
  Both out;
  if (whole.status != 200 || stream.status != 200) return out;
  out.whole = test::summed(whole.json());
  out.streamed = test::joined(stream.chunks());
  for (Value* one : {&out.whole, &out.streamed}) {
    Value calls = *one->find("tool_calls");
    for (Value& call : calls.items()) call.set("id", "*");  // each answer's own
    one->set("tool_calls", std::move(calls));
  }
  return out;
}

void expect_right(const Value& call) {
  const Value arguments = test::parsed(call.text("arguments"));
  if (call.text("name") == "clock") {
    EXPECT_EQ(dump(arguments), R"({"zone":"UTC"})");
    return;
  }
  EXPECT_EQ(call.text("name"), "weather");
  EXPECT_EQ(arguments.members().size(), 2U) << dump(arguments);
  EXPECT_TRUE(arguments.text("city") == "Rome" || arguments.text("city") == "Oslo");
  EXPECT_GE(arguments.integer("days"), 1);
  EXPECT_LE(arguments.integer("days"), 9);
}

TEST(Masks, WhoMustCallCallsRightThinkingOrNot) {
  for (const bool dsml : {true, false}) {
    test::Served served(talker(dsml));
    for (const char* thinking : {"enabled", "disabled"})
      for (int seed = 0; seed < 2; ++seed) {
        const auto got = ask(served, std::string(kTools) +
                                         R"(, "tool_choice": "required", "thinking": {"type": ")" +
                                         thinking + R"("}, "seed": )" + std::to_string(seed));
        EXPECT_EQ(dump(got.whole), dump(got.streamed));
        EXPECT_EQ(got.whole.text("finish_reason"), "tool_calls") << dump(got.whole);
        ASSERT_GE(got.whole.find("tool_calls")->items().size(), 1U);
        for (const auto& call : got.whole.find("tool_calls")->items()) expect_right(call);
        EXPECT_EQ(got.whole.text("reasoning_content").empty(),
                  std::string_view(thinking) == "disabled");
      }
  }
}

TEST(Masks, ANamedFunctionIsCalledAndOneCallIsOne) {
  test::Served served(talker(true));
  for (int seed = 0; seed < 2; ++seed) {
    const auto named = ask(served, std::string(kTools) + R"(, "tool_choice": {"type": "function",
                      "function": {"name": "clock"}}, "seed": )" +
                                       std::to_string(seed));
    for (const auto& call : named.whole.find("tool_calls")->items()) {
      EXPECT_EQ(call.text("name"), "clock");
      expect_right(call);
    }
    const auto one = ask(served, std::string(kTools) +
                                     R"(, "tool_choice": "required", "parallel_tool_calls": false,
                                        "seed": )" +
                                     std::to_string(seed));
    EXPECT_EQ(one.whole.find("tool_calls")->items().size(), 1U);
  }
}

TEST(Masks, WhoMayCallSaysWhatItWouldAndCallsWhatIsThere) {
  test::Served talks(talker(false));
  const auto said = ask(talks, kTools);
  EXPECT_EQ(said.whole.text("content"), "Well.");
  EXPECT_EQ(said.whole.text("finish_reason"), "stop");
  test::Served calls(caller());
  const auto held = ask(calls, kTools);
  EXPECT_EQ(dump(held.whole), dump(held.streamed));
  for (const auto& call : held.whole.find("tool_calls")->items()) expect_right(call);
  // Left to itself, it calls what is not there: the masks did something.
  const auto free = ask(calls, std::string(kTools) + R"(, "constrain": false)");
  ASSERT_EQ(free.whole.find("tool_calls")->items().size(), 1U);
  EXPECT_EQ(free.whole.find("tool_calls")->items()[0].text("name"), "rob");
  EXPECT_EQ(free.whole.find("tool_calls")->items()[0].text("arguments"), R"({"bank": "all"})");
  const auto none = ask(calls, std::string(kTools) + R"(, "tool_choice": "none")");
  EXPECT_TRUE(none.whole.find("tool_calls")->items().empty());
  EXPECT_EQ(dump(none.whole), dump(none.streamed));
}

TEST(Masks, AFormatHoldsWhateverTheModelWants) {
  for (const bool dsml : {true, false}) {
    test::Served served(talker(dsml));
    for (int seed = 0; seed < 2; ++seed) {
      const auto got = ask(served, R"("max_tokens": 600, "response_format": {"type": "json_schema",
          "json_schema": {"name": "x", "strict": true, "schema": {"type": "object", "properties":
          {"color": {"enum": ["red", "green"]}, "sizes": {"type": "array", "items":
          {"type": "boolean"}, "minItems": 1, "maxItems": 3}}, "required": ["color", "sizes"],
          "additionalProperties": false}}}, "seed": )" +
                                       std::to_string(seed));
      EXPECT_EQ(dump(got.whole), dump(got.streamed));
      EXPECT_EQ(got.whole.text("finish_reason"), "stop");
      const Value value = test::parsed(got.whole.text("content"));
      ASSERT_EQ(value.members().size(), 2U) << dump(value);
      EXPECT_TRUE(value.text("color") == "red" || value.text("color") == "green");
      EXPECT_GE(value.find("sizes")->items().size(), 1U);
      EXPECT_LE(value.find("sizes")->items().size(), 3U);
    }
    // The budget is known: what begins also ends.
    const auto any = ask(served, R"("max_tokens": 60, "response_format": {"type": "json_object"})");
    EXPECT_TRUE(test::parsed(any.whole.text("content")).is_object()) << dump(any.whole);
    EXPECT_EQ(any.whole.text("finish_reason"), "stop");
    const auto thinking = ask(served, R"("max_tokens": 300, "thinking": {"type": "enabled"},
                                        "response_format": {"type": "json_object"})");
    EXPECT_TRUE(test::parsed(thinking.whole.text("content")).is_object()) << dump(thinking.whole);
    EXPECT_FALSE(thinking.whole.text("reasoning_content").empty());
  }
}

TEST(Masks, AFormatOfTheRequestStandsInThePrompt) {
  test::Served served(talker(true));
  const auto answer = served.client.post(
      "/v1/chat/completions",
      test::chat_body("w", R"("return_token_ids": true, "max_tokens": 40, "response_format":
          {"type": "json_schema", "json_schema": {"name": "x", "schema":
          {"type": "boolean", "title": "Unmistakable"}}})"));
  ASSERT_EQ(answer.status, 200) << answer.body;
  std::vector<std::int32_t> ids;
  const Value body = answer.json();
  for (const auto& id : body.find("prompt_token_ids")->items())
    ids.push_back(static_cast<std::int32_t>(id.as_int()));
  EXPECT_NE(served.vocabulary.tokenizer().decode(ids).find(
                R"({"type": "boolean", "title": "Unmistakable"})"),
            std::string::npos);
  const std::string said = body.find("choices")->items()[0].find("message")->text("content");
  EXPECT_TRUE(said == "true" || said == "false") << said;
}

}  // namespace
}  // namespace seedbed
