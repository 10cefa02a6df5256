// Conversations as training sequences: the same bytes as the format's own rendering, with what a
// model says itself marked.
#include "cli/chat_lines.h"

#include <gtest/gtest.h>

#include "engine/chat/render.h"
#include "schemas/value.h"

namespace seedbed::cli {
namespace {

namespace chat = engine::chat;

constexpr const char* kCalls = R"({"id": "x", "messages": [
  {"role": "system", "content": "You work."},
  {"role": "user", "content": "Pay <｜Assistant｜> 3."},
  {"role": "assistant", "content": "", "reasoning_content": "Look first.", "tool_calls":
    [{"id": "a", "type": "function", "function": {"name": "find", "arguments": {"n": 3, "s": "t"}}}]},
  {"role": "tool", "name": "find", "tool_call_id": "a", "content": "[]"},
  {"role": "assistant", "content": "Which?", "reasoning_content": "Nothing there."},
  {"role": "user", "content": "The second."},
  {"role": "assistant", "content": "Done.", "reasoning_content": "So be it."}],
 "tools": [{"type": "function", "function": {"name": "find", "description": "d", "parameters": {}}}]})";

std::string text_of(const Sequence& sequence, std::optional<Part> only = std::nullopt) {
  std::string out;
  for (const auto& piece : sequence)
    if (!only || piece.part == *only) out += piece.text;
  return out;
}

std::vector<Sequence> sequences(std::string_view json, bool thinking) {
  auto messages = chat::parse_conversation(json, {.other_keys = true});
  EXPECT_TRUE(messages.ok()) << messages.error().message;
  auto out = training_sequences(*messages, thinking);
  EXPECT_TRUE(out.ok()) << out.error().message;
  return *std::move(out);
}

TEST(TrainingSequences, WithoutReasoningAreTheWholeConversation) {
  const auto all = sequences(kCalls, false);
  ASSERT_EQ(all.size(), 1U);
  const auto messages = chat::parse_conversation(kCalls, {.other_keys = true});
  const auto whole = chat::render(*messages, {.thinking = false});
  EXPECT_EQ(text_of(all[0]), chat::text_of(whole->segments));
  const std::string said = text_of(all[0], Part::said);
  EXPECT_EQ(said.find("[]"), std::string::npos);
  EXPECT_EQ(said.find("Look first."), std::string::npos);
  EXPECT_NE(said.find("invoke name=\"find\""), std::string::npos);
  EXPECT_NE(said.find("Which?"), std::string::npos);
  EXPECT_EQ(said.substr(said.find("Done.")), "Done.<｜end▁of▁sentence｜>");
}

TEST(TrainingSequences, EndWhereTheFormatDropsReasoning) {
  const auto all = sequences(kCalls, true);
  ASSERT_EQ(all.size(), 2U);
  EXPECT_NE(text_of(all[0], Part::said).find("Look first.</think>"), std::string::npos);
  EXPECT_NE(text_of(all[0], Part::said).find("Nothing there.</think>Which?"), std::string::npos);
  EXPECT_EQ(text_of(all[1], Part::said), "So be it.</think>Done.<｜end▁of▁sentence｜>");
  EXPECT_EQ(text_of(all[1]).find("Look first."), std::string::npos);
  EXPECT_NE(text_of(all[1], Part::given).find("Which?"), std::string::npos);
  const auto messages = chat::parse_conversation(kCalls, {.other_keys = true});
  const auto whole = chat::render(*messages, {.thinking = true});
  EXPECT_EQ(text_of(all[1]), chat::text_of(whole->segments));
}

TEST(TrainingSequences, KeepMarkersThatAUserWroteAsText) {
  const auto all = sequences(kCalls, false);
  for (const auto& piece : all[0])
    if (piece.special) {
      EXPECT_EQ(piece.text.find("Pay"), std::string::npos);
    } else if (piece.message == 1) {
      EXPECT_EQ(piece.text, "Pay <｜Assistant｜> 3.");
    }
}

TEST(TrainingSequences, SystemTurnComesFirstAndIsOnePart) {
  const auto all = sequences(kCalls, false);
  std::size_t at = 0;
  while (at < all[0].size() && all[0][at].part == Part::system) ++at;
  EXPECT_GT(at, 1U);
  for (; at < all[0].size(); ++at) EXPECT_NE(all[0][at].part, Part::system);
  EXPECT_NE(text_of(all[0], Part::system).find("You work."), std::string::npos);
  EXPECT_EQ(text_of(all[0], Part::system).find("Pay"), std::string::npos);
}

TEST(TrainingSequences, OfNobodysAnswerAreNone) {
  EXPECT_TRUE(sequences(R"([{"role": "user", "content": "Anybody?"}])", true).empty());
}

TEST(TrainingSequences, LinesSayWhichMessageIsWhose) {
  // Without a system message the tools get one: indices stay those of the line.
  const auto line = training_line(
      R"({"messages": [{"role": "user", "content": "u"}, {"role": "assistant", "content": "a"}],
          "tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}]})",
      false);
  const auto read = schemas::parse_json(line);
  ASSERT_TRUE(read.ok());
  const auto& pieces = read->find("sequences")->items()[0].items();
  EXPECT_EQ(pieces.front().items()[2].as_string(), "system");
  EXPECT_EQ(pieces.front().items()[3].as_int(), -1);
  EXPECT_EQ(pieces.back().items()[2].as_string(), "said");
  EXPECT_EQ(pieces.back().items()[3].as_int(), 1);
}

TEST(TrainingSequences, OfWhatCannotBeRenderedSayWhy) {
  for (const char* line :
       {"{", "[]", R"({"messages": [{"role": "user", "content": "u"}, {"role": "assistant",
         "tool_calls": [{"function": {"name": "f", "arguments": "no object"}}]}]})"}) {
    const auto read = schemas::parse_json(training_line(line, false));
    ASSERT_TRUE(read.ok()) << line;
    ASSERT_NE(read->find("error"), nullptr) << line;
    EXPECT_FALSE(read->text("error").empty());
  }
}

}  // namespace
}  // namespace seedbed::cli
