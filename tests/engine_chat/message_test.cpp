#include "engine/chat/message.h"

#include <gtest/gtest.h>

#include <limits>

#include "base/rng.h"
#include "engine/chat/parse.h"
#include "engine/chat/render.h"
#include "engine/chat/strict.h"

namespace seedbed::engine::chat {
namespace {

using schemas::Value;

TEST(PythonJson, FloatsAreSpelledByRepr) {
  const std::pair<double, const char*> cases[] = {
      {1.0, "1.0"},
      {0.1, "0.1"},
      {1e-7, "1e-07"},
      {1e22, "1e+22"},
      {1e16, "1e+16"},
      {1e15, "1000000000000000.0"},
      {0.0001, "0.0001"},
      {0.00001, "1e-05"},
      {-0.0, "-0.0"},
      {1.5e300, "1.5e+300"},
      {123456.789, "123456.789"},
      {-2.5, "-2.5"},
      {100.0, "100.0"},
      {5e-324, "5e-324"},
      {1.2345678901234568e17, "1.2345678901234568e+17"}};
  for (const auto& [d, text] : cases) EXPECT_EQ(python_float(d), text);
  EXPECT_EQ(python_float(std::numeric_limits<double>::quiet_NaN()), "NaN");
  EXPECT_EQ(python_float(-std::numeric_limits<double>::infinity()), "-Infinity");
}

TEST(PythonJson, TextKeepsIntegersOfAnySizeAndTheOrderOfKeys) {
  const auto read =
      read_json(R"( {"z":18446744073709551615,"a":[ ],"n":{ },"e":1E5,"s":"\u00e9\/\t"} )");
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(
      read->text,
      "{\"z\": 18446744073709551615, \"a\": [], \"n\": {}, \"e\": 100000.0, \"s\": \"é/\\t\"}");
}

TEST(PythonJson, ValueAndTextAreSpelledAlike) {
  const std::string text = R"({"a":[1,2.50,null,true,"x\"\\\u0001"],"b":{"c":{}},"d":-7})";
  const auto read = read_json(text);
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read->text, python_json(read->value));
}

std::string why(const std::string& json) {
  const auto read = parse_conversation(json);
  return read.ok() ? "" : read.error().message;
}

TEST(Conversation, RefusalsNameThePlace) {
  const std::pair<const char*, const char*> cases[] = {
      {"", "byte 0"},
      {"3", "no array"},
      {"[]", "no message"},
      {R"([{"role":"bot","content":""}])", "/0/role"},
      {R"([{"content":"x"}])", "/0/role"},
      {R"([{"role":"user"}])", "/0/content"},
      {R"([{"role":"user","content":3}])", "/0/content"},
      {R"([{"role":"user","content":[{"type":"image_url","image_url":"x"}]}])", "/0/content/0"},
      {R"([{"role":"user","content":"x","contnt":"y"}])", "did you mean 'content'?"},
      {R"([{"role":"user","content":"x","tools":[{"function":{"name":"f"}}]}])", "/0/tools"},
      {R"([{"role":"assistant","tool_calls":[{"id":"a","function":{"arguments":"{}"}}]}])", "name"},
      {R"({"message":[{}]})", "did you mean 'messages'?"},
      {R"({"messages":[{"role":"user","content":"x"}],"tools":[{"name":"f"}]})", "/tools/0"},
  };
  for (const auto& [json, part] : cases)
    EXPECT_NE(why(json).find(part), std::string::npos) << json << " -> " << why(json);
}

TEST(Conversation, WhatClientsSendWithoutMeaningIsTaken) {
  EXPECT_EQ(
      why(R"([{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}],"name":"joe"},
                    {"role":"assistant","content":null,"refusal":null,"annotations":[],"tool_calls":[
                      {"index":0,"id":"a","type":"function","function":{"name":"f","arguments":{"x":1}}}]}])"),
      "");
  const auto body = R"({"model":"m","temperature":1,"messages":[{"role":"user","content":"x"}]})";
  EXPECT_NE(why(body), "");
  EXPECT_TRUE(parse_conversation(body, {.other_keys = true}).ok());
}

TEST(Conversation, ToolsOfTheRequestMakeASystemMessageWhereThereIsNone) {
  const auto read = parse_conversation(
      R"({"messages":[{"role":"user","content":"x"}],"tools":[{"type":"function","function":{"name":"f"}}]})");
  ASSERT_TRUE(read.ok());
  ASSERT_EQ(read->size(), 2U);
  EXPECT_EQ((*read)[0].role, Role::system);
  EXPECT_EQ((*read)[0].tools.size(), 1U);
}

// ---- there and back ----

std::string random_text(Rng& rng) {
  static const std::vector<std::string> parts = {"a",
                                                 " ",
                                                 "\n",
                                                 "<",
                                                 ">",
                                                 "</",
                                                 "\r\n",
                                                 "é",
                                                 "漢",
                                                 "😀",
                                                 "\"",
                                                 "\\",
                                                 "2>&1",
                                                 "｜",
                                                 "<｜",
                                                 "DSML",
                                                 "{\"k\"",
                                                 "\n\n",
                                                 "\t",
                                                 "<b>",
                                                 "&lt;",
                                                 "</th",
                                                 "x=1",
                                                 "<think",
                                                 "｜DSM",
                                                 "</｜DSML｜parameter",
                                                 "function_calls>",
                                                 "\x01"};
  std::string out;
  for (auto n = rng.below(9); n > 0; --n) out += rng.pick(parts);
  // The one thing that the format cannot hold.
  for (std::size_t at; (at = out.find("</｜DSML｜parameter>")) != std::string::npos;)
    out.erase(at, 1);
  return out;
}

Value random_value(Rng& rng, int depth) {
  switch (rng.below(depth > 0 ? 8 : 6)) {
    case 0:
      return Value();
    case 1:
      return Value(rng.chance(1, 2));
    case 2:
      return Value(static_cast<std::int64_t>(rng.next()));
    case 3:
      return Value(static_cast<double>(rng.between(-100'000, 100'000)) / 64.0 *
                   (rng.chance(1, 3) ? 1e20 : 1.0));
    case 4:
    case 5:
      return Value(random_text(rng));
    case 6: {
      Value out = Value::array();
      for (auto n = rng.below(4); n > 0; --n) out.push(random_value(rng, depth - 1));
      return out;
    }
    default: {
      Value out = Value::object();
      for (auto n = rng.below(4); n > 0; --n)
        out.set("k" + random_text(rng), random_value(rng, depth - 1));
      return out;
    }
  }
}

// Text that can stand before a block without being taken for a part of it.
std::string random_prose(Rng& rng) {
  auto out = random_text(rng);
  for (std::size_t at; (at = out.find("｜DSML｜")) != std::string::npos;) out.erase(at, 1);
  return out + ".";
}

struct Turn {
  Message assistant;
  std::vector<Message> conversation;
};

Turn random_turn(std::uint64_t index) {
  auto rng = rng_for(7, "chat", index, "turn");
  Turn turn;
  turn.assistant.role = Role::assistant;
  turn.assistant.reasoning_content = random_prose(rng);
  if (rng.chance(2, 3)) turn.assistant.content = random_prose(rng);
  for (auto n = rng.between(1, 3); n > 0; --n) {
    Value arguments = Value::object();
    for (auto k = rng.below(4); k > 0; --k)
      arguments.set("k" + std::to_string(rng.below(1000)) + (rng.chance(1, 4) ? "é\"x" : ""),
                    random_value(rng, 3));
    turn.assistant.tool_calls.push_back({"id" + std::to_string(n),
                                         "tool_" + std::to_string(rng.below(50)),
                                         python_json(arguments)});
  }
  Message user;
  user.content = random_text(rng);
  turn.conversation = {user, turn.assistant};
  return turn;
}

TEST(RoundTrip, WhatIsRenderedParsesBackToTheSameCalls) {
  int strict_too = 0;
  for (std::uint64_t i = 0; i < 3000; ++i) {
    const auto turn = random_turn(i);
    for (const bool thinking : {true, false}) {
      const auto whole = render(turn.conversation, {.thinking = thinking});
      const auto prompt = render({turn.conversation[0]}, {.thinking = thinking});
      ASSERT_TRUE(whole.ok() && prompt.ok());
      const auto completion = text_of(whole->segments).substr(text_of(prompt->segments).size());
      const auto reply = render_reply(turn.assistant, thinking);
      ASSERT_TRUE(reply.ok());
      EXPECT_EQ(text_of(*reply), completion);
      const auto read = parse_completion(completion, {.thinking = thinking});
      EXPECT_TRUE(read.malformed.empty()) << completion;
      EXPECT_EQ(read.reasoning, thinking ? turn.assistant.reasoning_content : "");
      EXPECT_EQ(read.content, turn.assistant.content) << completion;
      ASSERT_EQ(read.calls.size(), turn.assistant.tool_calls.size()) << completion;
      for (std::size_t k = 0; k < read.calls.size(); ++k) {
        EXPECT_EQ(read.calls[k].name, turn.assistant.tool_calls[k].name);
        EXPECT_EQ(read.calls[k].arguments, turn.assistant.tool_calls[k].arguments);
        EXPECT_TRUE(read.calls[k].value == turn.assistant.tool_calls[k].parsed());
      }
      const auto strict = parse_strict(completion, thinking);
      if (!strict.ok()) continue;
      ++strict_too;
      EXPECT_EQ(strict->content, read.content);
      ASSERT_EQ(strict->calls.size(), read.calls.size());
      for (std::size_t k = 0; k < read.calls.size(); ++k)
        EXPECT_EQ(strict->calls[k].arguments, read.calls[k].arguments);
    }
  }
  EXPECT_GT(strict_too, 3000);
}

// ---- the strict reading ----

TEST(Strict, RefusesWhatTheReferenceRefuses) {
  const std::string open = "\n\n<｜DSML｜function_calls>\n",
                    invoke = "<｜DSML｜invoke name=\"f\">\n",
                    end = "\n</｜DSML｜invoke>\n</｜DSML｜function_calls>",
                    parameter =
                        "<｜DSML｜parameter name=\"a\" string=\"true\">x</｜DSML｜parameter>";
  const std::string eos = "<｜end▁of▁sentence｜>";
  const auto takes = [](const std::string& text, bool thinking = false) {
    return parse_strict(text, thinking).ok();
  };
  EXPECT_TRUE(takes(open + invoke + parameter + end + eos));
  EXPECT_TRUE(takes(open + invoke + parameter + end));
  EXPECT_TRUE(takes(open + invoke + end.substr(1) + eos));  // no parameters: one line end or two
  EXPECT_TRUE(takes(open + invoke + end + eos));
  EXPECT_FALSE(takes(open + invoke + "\n" + end + eos));  // three are not
  EXPECT_TRUE(takes("a" + eos));
  EXPECT_FALSE(takes("a"));
  EXPECT_FALSE(takes("\xff" + eos));
  EXPECT_FALSE(takes("a" + eos, true));
  EXPECT_TRUE(takes("r</think>a" + eos, true));
  EXPECT_FALSE(takes("r<think></think>a" + eos, true));
  EXPECT_FALSE(takes("r</think>a</think>" + eos, true));
  EXPECT_FALSE(takes(open.substr(1) + invoke + parameter + end + eos));
  EXPECT_FALSE(takes(open + invoke + parameter + "\n\n" + end.substr(1) + eos));
  EXPECT_FALSE(takes(open + invoke + parameter + "\n" + parameter + end + eos));
  EXPECT_FALSE(takes(open + invoke + parameter + end + "\nmore" + eos));
  EXPECT_FALSE(takes(open + invoke + parameter));
  EXPECT_FALSE(takes(open + invoke +
                     "<｜DSML｜parameter name=\"a\" string=\"True\">x</｜DSML｜parameter>" + end +
                     eos));
  EXPECT_FALSE(takes(open + invoke +
                     "<｜DSML｜parameter  name=\"a\" string=\"true\">x</｜DSML｜parameter>" + end +
                     eos));
}

}  // namespace
}  // namespace seedbed::engine::chat
