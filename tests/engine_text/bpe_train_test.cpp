#include "engine/text/bpe_train.h"

#include <algorithm>
#include <map>

#include "tests/engine_text/kit.h"

namespace seedbed::engine::text {
namespace {

// Only ByteLevel: the whole text is one word.
std::vector<PreTokenizerStep> no_cut() {
  PreTokenizerStep step;
  step.kind = PreTokenizerStep::Kind::byte_level;
  return {step};
}

using Pairs = std::vector<std::pair<std::string, std::string>>;

Pairs merges_of(const schemas::Value& json) {
  Pairs out;
  for (const auto& merge : json.find("model")->find("merges")->items()) {
    const auto& text = merge.as_string();
    out.emplace_back(text.substr(0, text.find(' ')), text.substr(text.find(' ') + 1));
  }
  return out;
}

Pairs trained(const std::vector<std::string>& words, int merges, std::int64_t least = 1) {
  auto trainer = BpeTrainer::make(
      {.vocab_size = 256 + merges, .added = {}, .steps = no_cut(), .min_count = least});
  EXPECT_TRUE(trainer.ok()) << message_of(trainer);
  for (const auto& word : words) trainer->add_text(word);
  return merges_of(trainer->train().value());
}

// The definition: count all pairs anew, take the commonest, of equal ones the lowest ids.
Pairs slow_training(const std::vector<std::string>& texts, int merges) {
  std::map<std::string, int> ids;  // ASCII letters: their order is that of the byte tokens
  std::vector<std::vector<std::string>> words;
  for (const auto& text : texts) {
    words.emplace_back();
    for (const char c : text) {
      words.back().emplace_back(1, c);
      ids.emplace(std::string(1, c), static_cast<int>(c));
    }
  }
  Pairs out;
  int next = 1000;
  while (static_cast<int>(out.size()) < merges) {
    std::map<std::pair<int, int>, int> counts;
    std::map<std::pair<int, int>, std::pair<std::string, std::string>> names;
    for (const auto& word : words)
      for (std::size_t i = 0; i + 1 < word.size(); ++i) {
        const std::pair key{ids[word[i]], ids[word[i + 1]]};
        ++counts[key];
        names[key] = {word[i], word[i + 1]};
      }
    std::pair<int, int> best;
    int most = 0;
    for (const auto& [pair, count] : counts)
      if (count > most) {
        most = count;
        best = pair;
      }
    if (most == 0) break;
    const auto [left, right] = names[best];
    out.emplace_back(left, right);
    if (!ids.contains(left + right)) ids[left + right] = next++;
    for (auto& word : words)
      for (std::size_t i = 0; i + 1 < word.size(); ++i)
        if (word[i] == left && word[i + 1] == right) {
          word[i] += right;
          word.erase(word.begin() + static_cast<std::ptrdiff_t>(i) + 1);
        }
  }
  return out;
}

TEST(BpeTrainer, MergesTheCommonestPairThenTheLowest) {
  EXPECT_EQ(trained({"abab", "abcab", "cd"}, 2), (Pairs{{"a", "b"}, {"c", "d"}}));
  EXPECT_EQ(trained({"xyab"}, 1), (Pairs{{"a", "b"}}));  // of equal ones
}

TEST(BpeTrainer, GivesWhatCountingAnewGives) {
  auto rng = rng_for(9, "train", 0, "texts");
  for (int round = 0; round < 60; ++round) {
    std::vector<std::string> texts;
    for (int i = 0; i < 12; ++i) {
      std::string text;
      for (auto n = 1 + rng.below(14); n > 0; --n) text += static_cast<char>('a' + rng.below(3));
      texts.push_back(text);
    }
    // Few merges: with more, a token is made in two ways, where the two count differently on
    // purpose.
    const auto fast = trained(texts, 6);
    ASSERT_EQ(fast, slow_training(texts, static_cast<int>(fast.size())));
  }
}

TEST(BpeTrainer, TheOrderOfTheTextsDoesNotMatter) {
  std::vector<std::string> texts;
  auto rng = rng_for(9, "train", 0, "order");
  for (int i = 0; i < 300; ++i) texts.push_back(random_text(rng, 6));
  const auto once = [&texts] {
    auto trainer = BpeTrainer::make({.vocab_size = 700, .added = deepseek_chat_tokens()});
    for (const auto& text : texts) trainer->add_text(text);
    return schemas::dump(trainer->train().value());
  };
  const auto first = once();
  rng.shuffle(texts);
  EXPECT_EQ(once(), first);
}

TEST(BpeTrainer, StopsWhereThePairsRunOutOrAreTooRare) {
  EXPECT_EQ(trained({"abcd"}, 100).size(), 3U);
  EXPECT_TRUE(trained({"abcd"}, 100, 2).empty());
}

TEST(BpeTrainer, NoMergeMakesTheTextOfAnAddedToken) {
  AddedToken token;
  token.content = "ab";
  auto trainer =
      BpeTrainer::make({.vocab_size = 300, .added = {token}, .steps = no_cut(), .min_count = 1});
  for (int i = 0; i < 9; ++i) trainer->add_text("xabab");
  const auto json = trainer->train();
  for (const auto& [left, right] : merges_of(*json)) EXPECT_NE(left + right, "ab");
  const auto tokenizer = Tokenizer::from_value(*json, "test");
  ASSERT_TRUE(tokenizer.ok()) << message_of(tokenizer);
  for (const auto id : tokenizer->encode_ordinary("ab")) EXPECT_NE(id, 0);
  EXPECT_EQ(tokenizer->encode("ab"), (std::vector<std::int32_t>{0}));
}

TEST(BpeTrainer, WordsMayEndAtAddedTokens) {
  AddedToken token;
  token.content = "<t>";
  for (const bool cut : {false, true}) {
    auto trainer = BpeTrainer::make({.vocab_size = 300,
                                     .added = {token},
                                     .steps = no_cut(),
                                     .min_count = 1,
                                     .cut_at_added = cut});
    trainer->add_text("ab<t>cd<t><t>ab");
    bool across = false;
    for (const auto& [left, right] : merges_of(*trainer->train()))
      across = across || (left + right).find_first_of("<>") != std::string::npos;
    EXPECT_EQ(across, !cut);
  }
}

TEST(BpeTrainer, ABareWordIsTheSameTokensWhereverItStands) {
  auto trainer = BpeTrainer::make({.vocab_size = 340, .steps = *bare_words_steps()});
  for (int i = 0; i < 9; ++i)
    trainer->add_text("find the planning_step \"planning step\" of the planning: step_of_the");
  const auto tokenizer = Tokenizer::from_value(*trainer->train(), "test");
  ASSERT_TRUE(tokenizer.ok()) << message_of(tokenizer);
  const auto word = tokenizer->encode("planning");
  ASSERT_EQ(word.size(), 1U);
  for (const std::string before : {" ", "_", "\"", "\n", ": ", "{\"", "7"}) {
    const auto ids = tokenizer->encode(before + "planning");
    EXPECT_EQ(ids.back(), word[0]) << before;
    EXPECT_EQ(tokenizer->decode(std::span(ids).first(ids.size() - 1)), before);
  }
  const auto name = tokenizer->encode("findStep");
  ASSERT_GE(name.size(), 2U);
  EXPECT_EQ(name[0], tokenizer->encode("find")[0]) << "a new word begins at a change of case";
  EXPECT_EQ(tokenizer->encode("Step"), std::vector<std::int32_t>(name.begin() + 1, name.end()));
  EXPECT_EQ(tokenizer->encode(" the").size(), 1U) << "a function word keeps its space";
  EXPECT_EQ(tokenizer->encode(" these").size(), tokenizer->encode("these").size() + 1);
}

TEST(BpeTrainer, APhraseIsOneTokenAndCutsNoWord) {
  const std::vector<std::string> phrases = {"\": \"", "\", \"state\": \"", ", ordered by id",
                                            "_id\": [", "page (of it)"};
  const auto steps = bare_words_steps(phrases);
  ASSERT_TRUE(steps.ok()) << message_of(steps);
  auto trainer = BpeTrainer::make({.vocab_size = 330, .steps = *steps, .whole = phrases});
  ASSERT_TRUE(trainer.ok()) << message_of(trainer);
  for (int i = 0; i < 9; ++i)
    trainer->add_text("{\"name\": \"open\", \"state\": \"open\"} idle open");
  const auto json = *trainer->train();
  const auto tokenizer = Tokenizer::from_value(json, "test");
  ASSERT_TRUE(tokenizer.ok()) << message_of(tokenizer);
  for (const auto& phrase : phrases) {
    const auto ids = tokenizer->encode(phrase);
    ASSERT_EQ(ids.size(), 1U) << phrase;
    EXPECT_EQ(*tokenizer->token_bytes(ids[0]), phrase);
  }
  const auto open = tokenizer->encode("open");
  ASSERT_EQ(open.size(), 1U);
  const auto ids = tokenizer->encode("open\", \"state\": \"open");
  EXPECT_EQ(ids.size(), 3U) << "the longest phrase that fits, not the shorter within it";
  EXPECT_EQ(ids.front(), open[0]);
  EXPECT_EQ(ids.back(), open[0]);
  const auto whole = [&](std::string_view text, std::string_view phrase) {
    const auto cut = tokenizer->encode(text);
    return std::ranges::count(cut, tokenizer->encode(phrase)[0]);
  };
  EXPECT_EQ(whole("x, ordered by id.", ", ordered by id"), 1);
  EXPECT_EQ(whole("x, ordered by idle", ", ordered by id"), 0) << "it ends in a whole word";
  EXPECT_EQ(whole("new page (of it).", "page (of it)"), 1);
  EXPECT_EQ(whole("homepage (of it)", "page (of it)"), 0);
  EXPECT_EQ(tokenizer->decode(tokenizer->encode("é\": \"page (of it)")), "é\": \"page (of it)");
}

TEST(BpeTrainer, AWholeWordIsOneTokenWithoutMergesWhereItStandsAlone) {
  const std::vector<std::string> words = {"oven", "Oven", "ovens"};
  auto trainer =
      BpeTrainer::make({.vocab_size = 264, .steps = *bare_words_steps(), .whole = words});
  ASSERT_TRUE(trainer.ok()) << message_of(trainer);
  for (int i = 0; i < 9; ++i) trainer->add_text("oven findOven ovens overt ovenbird");
  const auto tokenizer = Tokenizer::from_value(*trainer->train(), "test");
  ASSERT_TRUE(tokenizer.ok()) << message_of(tokenizer);
  for (const auto& word : words) EXPECT_EQ(tokenizer->encode(word).size(), 1U) << word;
  const auto name = tokenizer->encode("findOven"), key = tokenizer->encode("oven_id");
  EXPECT_EQ(name.back(), tokenizer->encode("Oven")[0]);
  EXPECT_EQ(key.front(), tokenizer->encode("oven")[0]);
  const auto longer = tokenizer->encode("ovenbird");
  EXPECT_EQ(std::ranges::count(longer, key.front()), 0) << "only the whole of a word is it";
}

TEST(BpeTrainer, AWordThatThePatternsCutIsRefused) {
  for (const char* word : {"listOvens", "oven door", "oven_id", "123456", "x"}) {
    const auto trainer =
        BpeTrainer::make({.vocab_size = 400, .steps = *bare_words_steps(), .whole = {word}});
    EXPECT_FALSE(trainer.ok()) << word;
  }
}

TEST(BpeTrainer, WhatIsNoPhraseIsRefused) {
  for (const auto& wrong : std::vector<std::vector<std::string>>{{""},
                                                                 {"x"},
                                                                 {"\xff\xfe"},
                                                                 {"\xff"
                                                                  "a"},
                                                                 {"é: "},
                                                                 {": \"", ": \""},
                                                                 {std::string(40'000, 'a')}}) {
    const auto steps = bare_words_steps(wrong);
    EXPECT_FALSE(steps.ok() &&
                 BpeTrainer::make({.vocab_size = 400, .steps = *steps, .whole = wrong}).ok())
        << wrong[0].substr(0, 9);
  }
}

TEST(BpeTrainer, BareNumbersOfFiveDigitsAreOneToken) {
  auto trainer = BpeTrainer::make({.vocab_size = 300, .steps = *bare_words_steps()});
  for (int i = 0; i < 9; ++i) trainer->add_text("30052 RKX-3005: 300527");
  const auto tokenizer = Tokenizer::from_value(*trainer->train(), "test");
  ASSERT_TRUE(tokenizer.ok()) << message_of(tokenizer);
  const auto shorter = tokenizer->encode("3005"), id = tokenizer->encode("30052");
  ASSERT_EQ(shorter.size(), 1U);
  EXPECT_EQ(tokenizer->encode("RKX-3005").back(), shorter[0]);
  ASSERT_EQ(id.size(), 1U);
  const auto longer = tokenizer->encode("300527");
  ASSERT_EQ(longer.size(), 2U) << "a chunk holds five digits";
  EXPECT_EQ(longer[0], id[0]);
}

TEST(BpeTrainer, RefusesWhatCannotBeMade) {
  AddedToken one, two;
  one.content = "!";
  two.content = "<x>";
  EXPECT_FALSE(BpeTrainer::make({.vocab_size = 100}).ok());
  EXPECT_FALSE(BpeTrainer::make({.vocab_size = 400, .added = {one}}).ok());
  EXPECT_FALSE(BpeTrainer::make({.vocab_size = 400, .added = {two, two}}).ok());
}

TEST(BpeTrainer, ProgressMayEndIt) {
  auto trainer = BpeTrainer::make({.vocab_size = 600});
  trainer->add_text(training_text());
  const auto made = trainer->train([](std::int64_t, std::int64_t) { return false; });
  ASSERT_FALSE(made.ok());
  EXPECT_EQ(made.error().where, Where::interrupted);
}

TEST(BpeTrainer, LearnsToSayMoreWithFewerTokens) {
  const auto& t = small_tokenizer();
  EXPECT_LT(t.encode(training_text()).size() * 2, training_text().size());
}

}  // namespace
}  // namespace seedbed::engine::text
