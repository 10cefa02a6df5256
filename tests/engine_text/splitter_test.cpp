#include "engine/text/bpe_train.h"
#include "engine/text/pretokenizer.h"
#include "engine/text/unicode.h"
#include "tests/engine_text/kit.h"

namespace seedbed::engine::text {
namespace {

using Pieces = std::vector<std::string>;

std::vector<PreTokenizerStep> gpt2_steps(bool add_prefix_space = false) {
  PreTokenizerStep step;
  step.kind = PreTokenizerStep::Kind::byte_level;
  step.use_regex = true;
  step.add_prefix_space = add_prefix_space;
  return {step};
}

PreTokenizer made(const std::vector<PreTokenizerStep>& steps, bool hand_written) {
  auto out = PreTokenizer::make(steps, "test", hand_written);
  EXPECT_TRUE(out.ok()) << message_of(out);
  EXPECT_EQ(out->is_hand_written(), hand_written);
  return *std::move(out);
}

Pieces pieces(const PreTokenizer& splitter, const std::string& text) {
  Pieces out;
  splitter.run_bytes(
      text, [&](const char* begin, const char* end, const char*) { out.emplace_back(begin, end); });
  return out;
}

TEST(Splitter, DeepSeekPiecesOfKnownTexts) {
  const auto splitter = made(deepseek_steps(), true);
  EXPECT_EQ(pieces(splitter, "a 1234567"), (Pieces{"a", " ", "123", "456", "7"}));
  EXPECT_EQ(pieces(splitter, "x=foo(bar);\n\n  y"),
            (Pieces{"x", "=foo", "(bar", ");\n\n", " ", " y"}));
  EXPECT_EQ(pieces(splitter, "你好，世界 ok"), (Pieces{"你好", "，", "世界", " ok"}));
  EXPECT_EQ(pieces(splitter, "アル・ゴアx"), (Pieces{"アル", "・", "ゴア", "x"}));
  EXPECT_EQ(pieces(splitter, "フ\u3098プ"), (Pieces{"フ", "\u3098プ"}));
  EXPECT_EQ(pieces(splitter, "  \n \n  z"), (Pieces{"  \n \n", " ", " z"}));
  EXPECT_EQ(pieces(splitter, "tail  "), (Pieces{"tail", "  "}));
  EXPECT_EQ(pieces(splitter,
                   "\x01\x02"
                   "ab"),
            (Pieces{"\x01",
                    "\x02"
                    "ab"}));
  EXPECT_EQ(pieces(splitter, ""), Pieces{});
}

TEST(Splitter, Gpt2PiecesOfKnownTexts) {
  const auto splitter = made(gpt2_steps(), true);
  EXPECT_EQ(pieces(splitter, "they're  12th!!"), (Pieces{"they", "'re", " ", " 12", "th", "!!"}));
  EXPECT_EQ(pieces(splitter, "a 'll\n\n b "), (Pieces{"a", " '", "ll", "\n\n", " b", " "}));
  EXPECT_EQ(pieces(splitter, "'x 'sv"), (Pieces{"'", "x", " '", "sv"}));
}

TEST(Splitter, HandWrittenGivesThePiecesOfPcre2OnRandomTexts) {
  for (const auto& steps : {deepseek_steps(), gpt2_steps()}) {
    const auto fast = made(steps, true), slow = made(steps, false);
    auto rng = rng_for(7, "splitter", 0, "texts");
    for (int i = 0; i < 20'000; ++i) {
      const auto text = random_text(rng, 1 + static_cast<int>(rng.below(12)));
      ASSERT_EQ(pieces(fast, text), pieces(slow, text)) << text;
    }
  }
}

// The first and last code point of every run of one class (pattern_test.cpp holds that patterns and
// table have the same classes) and those between at a distance.
TEST(Splitter, HandWrittenGivesThePiecesOfPcre2AtEveryChangeOfClass) {
  std::vector<std::uint32_t> points;
  for (std::uint32_t c = 0; c < 0x110000; ++c) {
    if (c >= 0xd800 && c < 0xe000) continue;
    const auto bits = class_table()[c];
    const bool change =
        c == 0 || c == 0x10ffff || class_table()[c - 1] != bits || class_table()[c + 1] != bits;
    if (change || c % 997 == 0) points.push_back(c);
  }
  EXPECT_GT(points.size(), 3000U);
  for (const auto& steps : {deepseek_steps(), gpt2_steps()}) {
    const auto fast = made(steps, true), slow = made(steps, false);
    std::string text;
    for (std::size_t i = 0; i < points.size(); ++i) {
      text += " a";
      append_utf8(text, points[i]);
      append_utf8(text, points[i]);
      text += "1";
      append_utf8(text, points[i]);
      text += "!";
      if (i % 16 != 15 && i + 1 < points.size()) continue;
      ASSERT_EQ(pieces(fast, text), pieces(slow, text)) << "before U+" << std::hex << points[i];
      text.clear();
    }
  }
}

TEST(Splitter, BytesThatAreNoTextArePiecesOfTheirOwn) {
  const auto splitter = made(deepseek_steps(), true);
  EXPECT_EQ(pieces(splitter,
                   "ab\xff\xe4\xbd"
                   "cd"),
            (Pieces{"ab", "\xff\xe4\xbd", "cd"}));
}

TEST(Splitter, PiecesTogetherAreTheText) {
  const auto splitter = made(deepseek_steps(), true);
  auto rng = rng_for(7, "splitter", 0, "bytes");
  for (int i = 0; i < 2000; ++i) {
    const auto text = random_bytes(rng, rng.below(60)) + random_text(rng, 3);
    std::string joined;
    for (const auto& piece : pieces(splitter, text)) joined += piece;
    ASSERT_EQ(joined, text);
  }
}

PreTokenizerStep split_step(const std::string& pattern, Behavior behavior, bool invert = false) {
  PreTokenizerStep step;
  step.pattern = pattern;
  step.behavior = behavior;
  step.invert = invert;
  return step;
}

TEST(PreTokenizer, BehaviorsOfSplit) {
  const auto run = [](Behavior behavior, bool invert = false) {
    return pieces(made({split_step("-", behavior, invert)}, false), "the-final--countdown");
  };
  EXPECT_EQ(run(Behavior::removed), (Pieces{"the", "final", "countdown"}));
  EXPECT_EQ(run(Behavior::isolated), (Pieces{"the", "-", "final", "-", "-", "countdown"}));
  EXPECT_EQ(run(Behavior::merged_with_previous), (Pieces{"the-", "final-", "-", "countdown"}));
  EXPECT_EQ(run(Behavior::merged_with_next), (Pieces{"the", "-final", "-", "-countdown"}));
  EXPECT_EQ(run(Behavior::contiguous), (Pieces{"the", "-", "final", "--", "countdown"}));
  EXPECT_EQ(run(Behavior::removed, true), (Pieces{"-", "-", "-"}));
}

TEST(PreTokenizer, DigitsByOneAndTogether) {
  PreTokenizerStep step;
  step.kind = PreTokenizerStep::Kind::digits;
  EXPECT_EQ(pieces(made({step}, false), "a12b"), (Pieces{"a", "12", "b"}));
  step.individual_digits = true;
  EXPECT_EQ(pieces(made({step}, false), "a12b"), (Pieces{"a", "1", "2", "b"}));
}

TEST(PreTokenizer, PrefixSpaceGoesBeforeEachPartThatHasNone) {
  EXPECT_EQ(pieces(made(gpt2_steps(true), false), "a b"), (Pieces{" a", " b"}));
  EXPECT_EQ(pieces(made(gpt2_steps(true), false), " a"), (Pieces{" a"}));
}

TEST(PreTokenizer, AnEmptyMatchCutsAndEnds) {
  EXPECT_EQ(pieces(made({split_step("x*", Behavior::isolated)}, false), "axxb"),
            (Pieces{"a", "xx", "b"}));
}

}  // namespace
}  // namespace seedbed::engine::text
