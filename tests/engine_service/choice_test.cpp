// A choice while it streams: whatever the tokens are cut like, the deltas come to the answer that
// is given at once. The texts are those that broke other servers' parsers.
#include <gtest/gtest.h>

#include <set>

#include "base/text.h"
#include "engine/chat/markers.h"
#include "engine/service/chat_choice.h"
#include "kit.h"

namespace seedbed {
namespace {

using engine::service::ChatChoice;
using engine::service::ChoiceOptions;
using schemas::Value;

const std::string kBlock =
    "\n\n<｜DSML｜function_calls>\n<｜DSML｜invoke name=\"get_weather\">\n"
    "<｜DSML｜parameter name=\"city\" string=\"true\">Zürich 2>&1</｜DSML｜parameter>\n"
    "<｜DSML｜parameter name=\"days\" string=\"false\">[1, 2]</｜DSML｜parameter>\n"
    "</｜DSML｜invoke>\n</｜DSML｜function_calls>";
const std::string kTwo =
    "\n\n<｜DSML｜function_calls>\n<｜DSML｜invoke name=\"now\">\n\n</｜DSML｜invoke>\n"
    "<｜DSML｜invoke name=\"say\">\n"
    "<｜DSML｜parameter name=\"x\" string=\"true\">a < b > c\r\n</｜DSML｜parameter>\n"
    "</｜DSML｜invoke>\n</｜DSML｜function_calls>";

struct Text {
  const char* name;
  bool thinking;
  std::string text;
};
const std::vector<Text>& texts() {
  static const std::vector<Text> all = {
      {"plain", false, "The weather is fine. 天气很好 🙂"},
      {"a call", false, kBlock},
      {"text before the block", false, "Let me look." + kBlock},
      {"thought, text and calls", true, "Hm, <city>?</think>I look." + kTwo},
      {"thought alone", true, "Nothing to say.</think>"},
      {"markers in the thought", true, "a < b, <｜DSML｜ is a tag</think>Yes."},
      {"two calls", false, kTwo},
      {"text after the block", false, kBlock + "\n\nDone?"},
      {"two blocks", false, kBlock + "\n\nand" + kTwo},
      {"line ends that begin no block", false, "one\n\ntwo\n\n\n< three"},
      {"a call without its block", false, "<｜DSML｜invoke name=\"now\">\n</｜DSML｜invoke> ok"},
      {"a stray tag", false, "x <｜DSML｜thing> y"},
      {"a repeated parameter", false,
       "<｜DSML｜function_calls>\n<｜DSML｜invoke name=\"f\">\n"
       "<｜DSML｜parameter name=\"a\" string=\"true\">1</｜DSML｜parameter>\n"
       "<｜DSML｜parameter name=\"a\" string=\"true\">2</｜DSML｜parameter>\n"
       "</｜DSML｜invoke>\n</｜DSML｜function_calls>"},
      {"a cut call", false,
       "<｜DSML｜function_calls>\n<｜DSML｜invoke name=\"f\">\n"
       "<｜DSML｜parameter name=\"a\" string=\"true\">half"},
  };
  return all;
}

// The text in pieces of `size` characters, markers whole; 0: in bytes.
std::vector<std::string> pieces_of(const std::string& text, std::size_t size, bool dsml) {
  std::vector<std::string> out;
  std::string piece;
  std::size_t count = 0;
  const auto flush = [&] {
    if (utf8_length(piece) == piece.size())  // a character alone is no token, its bytes are
      for (const char c : piece) out.emplace_back(1, c);
    else
      out.push_back(std::move(piece));
    piece.clear();
    count = 0;
  };
  for (std::size_t at = 0; at < text.size();) {
    std::string_view marker;
    for (const auto candidate : {engine::chat::kEndThink, engine::chat::kDsml})
      if (text.compare(at, candidate.size(), candidate) == 0 &&
          (dsml || candidate != engine::chat::kDsml))
        marker = candidate;
    if (!marker.empty()) {
      flush();
      out.emplace_back(marker);
      at += marker.size();
      continue;
    }
    const std::size_t step = size == 0 ? 1 : utf8_length(std::string_view(text).substr(at));
    piece += text.substr(at, step);
    at += step;
    if (++count >= std::max<std::size_t>(1, size)) flush();
  }
  flush();
  return out;
}

constexpr std::size_t kSizes[] = {0, 1, 2, 3, 4, 5, 7, 11, 16, 33, 80};

// A vocabulary with all those pieces as tokens.
const test::ServiceKit& kit(bool dsml) {
  const auto make = [](bool is_token) {
    test::ServiceKit::Options options;
    options.weights = false;
    options.dsml_is_token = is_token;
    std::set<std::string> pieces;
    for (const auto& text : texts())
      for (const auto size : kSizes)
        for (auto& piece : pieces_of(text.text, size, is_token)) pieces.insert(piece);
    for (const auto marker : engine::chat::kSpecials) pieces.erase(std::string(marker));
    options.more_pieces.assign(pieces.begin(), pieces.end());
    return std::make_unique<test::ServiceKit>(std::vector<test::Reply>{}, options);
  };
  static const auto with = make(true), without = make(false);
  return dsml ? *with : *without;
}

struct Run {
  Value streamed, whole;
  std::vector<std::string> contents;
};

Run run(const engine::service::ChatVocabulary& vocabulary,
        const test::ServiceKit& made,
        const std::vector<std::string>& pieces,
        ChoiceOptions options,
        engine::Finish finish) {
  options.call_key = "key";
  ChatChoice choice(vocabulary, options);
  std::vector<Value> deltas, chunks;
  engine::Generated generated;
  generated.finish = finish;
  bool more = true;
  for (const auto& piece : pieces) {
    engine::TokenOut token;
    token.id = made.id(piece);
    generated.tokens.push_back(token);
    more = choice.on_token(token, deltas);
    if (!more) break;
  }
  if (more && finish == engine::Finish::stop) {
    engine::TokenOut end;
    end.id = vocabulary.end_id();
    generated.tokens.push_back(end);
    choice.on_token(end, deltas);
  }
  if (!more) generated.finish = engine::Finish::cancelled;
  choice.on_end(generated, deltas);
  Run out;
  for (auto& delta : deltas) {
    if (delta.find("content") != nullptr) out.contents.push_back(delta.text("content"));
    Value item = Value::object();
    item.set("index", 0).set("delta", std::move(delta)).set("finish_reason", nullptr);
    Value list = Value::array();
    list.push(std::move(item));
    Value chunk = Value::object();
    chunk.set("choices", std::move(list));
    chunks.push_back(std::move(chunk));
  }
  out.streamed = test::joined(chunks);
  out.streamed.set("finish_reason", choice.finish_reason());
  Value item = Value::object();
  item.set("message", choice.message()).set("finish_reason", choice.finish_reason());
  Value list = Value::array();
  list.push(std::move(item));
  Value body = Value::object();
  body.set("choices", std::move(list));
  out.whole = test::summed(body);
  return out;
}

TEST(ChatChoice, StreamsTheSameAnswerAtEveryChunkSize) {
  for (const bool dsml : {true, false}) {
    const auto vocabulary = kit(dsml).vocabulary();
    for (const auto& text : texts()) {
      Value first;
      for (const auto size : kSizes) {
        const std::string at = std::string(text.name) + ", chunks of " + std::to_string(size) +
                               (dsml ? ", marker token" : ", marker text");
        ChoiceOptions options;
        options.thinking = text.thinking;
        const bool cut = std::string_view(text.name) == "a cut call";
        const auto result = run(vocabulary, kit(dsml), pieces_of(text.text, size, dsml), options,
                                cut ? engine::Finish::length : engine::Finish::stop);
        EXPECT_EQ(dump(result.streamed), dump(result.whole)) << at;
        for (const char* key : {"content", "reasoning_content"})
          EXPECT_TRUE(is_valid_utf8(result.whole.text(key))) << at;
        if (first.is_null()) first = result.whole;
        EXPECT_EQ(dump(first), dump(result.whole)) << at;
        // No part of a tag leaks into what is said, but for tags that belong to no call.
        const bool leaks = result.whole.text("content").find("DSML") != std::string::npos;
        EXPECT_EQ(leaks, std::string_view(text.name) == "a stray tag") << at;
      }
    }
  }
}

TEST(ChatChoice, ReadsTheRegressionsAsTheyWereMeant) {
  const auto vocabulary = kit(true).vocabulary();
  const auto read = [&](const char* name, engine::Finish finish = engine::Finish::stop) {
    for (const auto& text : texts())
      if (std::string_view(text.name) == name) {
        ChoiceOptions options;
        options.thinking = text.thinking;
        return run(vocabulary, kit(true), pieces_of(text.text, 1, true), options, finish).whole;
      }
    ADD_FAILURE() << name;
    return Value();
  };
  const Value call = read("text before the block");
  EXPECT_EQ(call.text("content"), "Let me look.");
  EXPECT_EQ(call.text("finish_reason"), "tool_calls");
  ASSERT_EQ(call.find("tool_calls")->items().size(), 1U);
  EXPECT_EQ(call.find("tool_calls")->items()[0].text("name"), "get_weather");
  EXPECT_EQ(test::parsed(call.find("tool_calls")->items()[0].text("arguments")),
            test::parsed(R"({"city": "Zürich 2>&1", "days": [1, 2]})"));
  const Value two = read("thought, text and calls");
  EXPECT_EQ(two.text("reasoning_content"), "Hm, <city>?");
  EXPECT_EQ(two.text("content"), "I look.");
  ASSERT_EQ(two.find("tool_calls")->items().size(), 2U);
  EXPECT_EQ(two.find("tool_calls")->items()[0].text("arguments"), "{}");
  EXPECT_EQ(test::parsed(two.find("tool_calls")->items()[1].text("arguments")).text("x"),
            "a < b > c\r\n");
  EXPECT_EQ(read("thought alone").text("finish_reason"), "stop");
  EXPECT_EQ(read("markers in the thought").text("content"), "Yes.");
  EXPECT_EQ(read("line ends that begin no block").text("content"), "one\n\ntwo\n\n\n< three");
  // Nothing is dropped: what is no call is said, a call that is not whole keeps what was read.
  EXPECT_EQ(read("a stray tag").text("content"), "x  y<｜DSML｜thing>");
  const Value cut = read("a cut call", engine::Finish::length);
  EXPECT_EQ(cut.text("finish_reason"), "length");
  EXPECT_EQ(cut.find("tool_calls")->items()[0].text("arguments"), "{\"a\": \"half");
}

TEST(ChatChoice, AStopStringEndsTheContentWhereverTokensBegin) {
  const auto vocabulary = kit(true).vocabulary();
  const std::string text = "The weather is fine. 天气很好 🙂";
  for (const auto size : kSizes) {
    const auto with = [&](std::vector<std::string> stops) {
      ChoiceOptions options;
      options.stop = std::move(stops);
      return run(vocabulary, kit(true), pieces_of(text, size, true), options, engine::Finish::stop);
    };
    EXPECT_EQ(with({"is fine"}).whole.text("content"), "The weather ") << size;
    EXPECT_EQ(with({"气很"}).whole.text("content"), "The weather is fine. 天") << size;
    EXPECT_EQ(with({"fine. x", "er is fine"}).whole.text("content"), "The weath") << size;
    EXPECT_EQ(with({"absent"}).whole.text("content"), text) << size;
    EXPECT_EQ(with({"🙂 and"}).whole.text("content"), text) << size;  // held back, then given
    const auto stopped = with({"is fine"});
    EXPECT_EQ(stopped.whole.text("finish_reason"), "stop");
    EXPECT_EQ(dump(stopped.streamed), dump(stopped.whole));
    for (const auto& delta : stopped.contents) EXPECT_EQ(delta.find("is"), std::string::npos);
  }
}

TEST(ChatChoice, StopStringsAreNotLookedForInThoughtsAndCalls) {
  const auto vocabulary = kit(true).vocabulary();
  ChoiceOptions options;
  options.thinking = true;
  options.stop = {"city", "\n\n", "DSML"};
  const auto result =
      run(vocabulary, kit(true), pieces_of("Hm, <city>?</think>I look." + kTwo, 3, true), options,
          engine::Finish::stop);
  EXPECT_EQ(result.whole.text("content"), "I look.");
  EXPECT_EQ(result.whole.find("tool_calls")->items().size(), 2U);
}

TEST(ChatChoice, BytesThatAreNoCharacterBecomeReplacements) {
  const auto vocabulary = kit(true).vocabulary();
  const auto result = run(vocabulary, kit(true), {"\xe5", "\xa4", "\xa9", "\xff", "\xe5", "\xa4"},
                          {}, engine::Finish::stop);
  EXPECT_EQ(result.whole.text("content"), "天\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
  EXPECT_EQ(dump(result.streamed), dump(result.whole));
}

TEST(ChatChoice, CountsAndListsTheTokensOfThoughtAndAnswerApart) {
  const auto vocabulary = kit(true).vocabulary();
  ChoiceOptions options;
  options.thinking = options.logprobs = true;
  ChatChoice choice(vocabulary, options);
  std::vector<Value> deltas;
  engine::Generated generated;
  for (const auto& piece : pieces_of("Nothing to say.</think>ok", 5, true)) {
    engine::TokenOut token;
    token.id = kit(true).id(piece == "ok" ? "o" : piece);
    token.raw_logprob = -0.5F;
    token.logprob = -0.25F;
    token.top = {{token.id, -0.5F}, {kit(true).id("n"), -3.0F}};
    generated.tokens.push_back(token);
    choice.on_token(token, deltas);
  }
  generated.finish = engine::Finish::length;
  choice.on_end(generated, deltas);
  EXPECT_EQ(choice.reasoning_tokens(), 3);
  const Value logprobs = choice.take_logprobs();
  ASSERT_EQ(logprobs.find("reasoning_content")->items().size(), 3U);
  ASSERT_EQ(logprobs.find("content")->items().size(), 1U);
  const Value& entry = logprobs.find("content")->items()[0];
  EXPECT_EQ(dump(entry), R"({"token":"o","logprob":-0.5,"bytes":[111],"top_logprobs":[)"
                         R"({"token":"o","logprob":-0.5,"bytes":[111]},)"
                         R"({"token":"n","logprob":-3.0,"bytes":[110]}]})");
  EXPECT_TRUE(choice.take_logprobs().is_null());
}

}  // namespace
}  // namespace seedbed
