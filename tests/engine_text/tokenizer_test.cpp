#include "engine/text/tokenizer.h"

#include <chrono>
#include <thread>

#include "tests/engine_text/kit.h"

namespace seedbed::engine::text {
namespace {

using Ids = std::vector<std::int32_t>;

// The small tokenizer's file with one member of the added tokens, or of the whole, replaced.
Tokenizer with_added(const std::vector<schemas::Value>& more, const std::string& model_key = "") {
  auto json = small_json();
  auto list = *json.find("added_tokens");
  for (const auto& token : more) list.push(token);
  json.set("added_tokens", list);
  if (!model_key.empty()) {
    auto model = *json.find("model");
    model.set(model_key, true);
    json.set("model", model);
  }
  auto made = Tokenizer::from_value(json, "test");
  EXPECT_TRUE(made.ok()) << message_of(made);
  return *std::move(made);
}

schemas::Value added(int id, const char* content, const std::vector<std::string>& flags) {
  auto token = schemas::Value::object().set("id", id).set("content", content);
  for (const auto& flag : flags) token.set(flag, true);
  return token;
}

TEST(Tokenizer, DecodingGivesBackEveryTextAndAllBytes) {
  auto rng = rng_for(1, "tokenizer", 0, "round trip");
  const auto& tokenizer = small_tokenizer();
  for (int i = 0; i < 5000; ++i) {
    auto text = random_text(rng, static_cast<int>(rng.below(10)));
    if (i % 3 == 0) text.insert(rng.below(text.size() + 1), random_bytes(rng, rng.below(9)));
    for (const auto mode : {AddedText::all, AddedText::not_special, AddedText::none})
      ASSERT_EQ(tokenizer.decode(tokenizer.encode(text, {.added = mode})), text);
  }
}

TEST(Tokenizer, TextOfAddedTokensIsWhatTheCallerSaysItIs) {
  const auto& t = small_tokenizer();
  const auto bos = *t.id_of("<｜begin▁of▁sentence｜>"), user = *t.id_of("<｜User｜>");
  EXPECT_EQ(bos, 0);
  EXPECT_EQ(t.id_of("<｜end▁of▁sentence｜>"), 1);
  const std::string text = "<｜begin▁of▁sentence｜><｜User｜>";
  EXPECT_EQ(t.encode(text), (Ids{bos, user}));
  auto not_special = t.encode_ordinary("<｜begin▁of▁sentence｜>");
  not_special.push_back(user);
  EXPECT_EQ(t.encode(text, {.added = AddedText::not_special}), not_special);
  for (const auto id : t.encode_ordinary(text)) {
    EXPECT_NE(id, bos);
    EXPECT_NE(id, user);
  }
  EXPECT_EQ(t.encode_ordinary(text), t.encode(text, {.added = AddedText::none}));
  EXPECT_EQ(t.encode("<｜User"), t.encode_ordinary("<｜User"));
  EXPECT_EQ(t.decode(Ids{bos, user}, {.skip_special = true}), "<｜User｜>");
}

TEST(Tokenizer, AddedTokensTakeSpaceAndStandAlone) {
  const auto t = with_added({added(600, "[L]", {"lstrip"}), added(601, "[R]", {"rstrip"}),
                             added(602, "cat", {"single_word"}), added(603, "catfish", {}),
                             added(604, "[N]", {"normalized"})});
  const auto ids = [&t](const std::string& text) { return t.encode(text); };
  EXPECT_EQ(ids(" \t[L]"), (Ids{600}));
  EXPECT_EQ(ids("[R]  \u3000[L]"), (Ids{601, 600}));  // white space is taken once
  EXPECT_EQ(ids("cat"), (Ids{602}));
  EXPECT_EQ(ids("cat!")[0], 602);
  for (const auto id : ids("concat")) EXPECT_NE(id, 602);
  for (const auto id : ids("écat")) EXPECT_NE(id, 602);
  for (const auto id : ids("cat9")) EXPECT_NE(id, 602);
  EXPECT_EQ(ids("catfish"), (Ids{603}));  // the longest
  EXPECT_EQ(ids("[N]catfish[N]"), (Ids{604, 603, 604}));
}

TEST(Tokenizer, TheTemplateIsPutAroundWhenAsked) {
  auto json = small_json();
  const auto special = [](const char* name) {
    return schemas::Value::object().set("SpecialToken",
                                        schemas::Value::object().set("id", name).set("type_id", 0));
  };
  auto single = schemas::Value::array();
  single.push(special("BOS"));
  single.push(schemas::Value::object().set(
      "Sequence", schemas::Value::object().set("id", "A").set("type_id", 0)));
  single.push(special("EOS"));
  const auto ids = [](int id) {
    auto list = schemas::Value::array();
    list.push(id);
    return schemas::Value::object().set("id", "x").set("ids", list);
  };
  json.set(
      "post_processor",
      schemas::Value::object()
          .set("type", "TemplateProcessing")
          .set("single", single)
          .set("pair", schemas::Value::array())
          .set("special_tokens", schemas::Value::object().set("BOS", ids(0)).set("EOS", ids(1))));
  const auto t = Tokenizer::from_value(json, "test");
  ASSERT_TRUE(t.ok()) << message_of(t);
  auto wanted = t->encode("the order");
  EXPECT_NE(wanted.front(), 0);
  wanted.insert(wanted.begin(), 0);
  wanted.push_back(1);
  EXPECT_EQ(t->encode("the order", {.add_special = true}), wanted);
}

TEST(Tokenizer, IgnoreMergesTakesAWordOfTheVocabularyAsItStands) {
  auto json = small_json();
  auto model = *json.find("model");
  auto vocab = *model.find("vocab");
  vocab.set("zqzqz", 600);  // no merge makes it
  model.set("vocab", vocab);
  json.set("model", model);
  EXPECT_GT(Tokenizer::from_value(json, "test")->encode("zqzqz").size(), 1U);
  model.set("ignore_merges", true);
  json.set("model", model);
  EXPECT_EQ(Tokenizer::from_value(json, "test")->encode("zqzqz"), (Ids{600}));
}

TEST(Tokenizer, AFullCacheChangesNothing) {
  auto rng = rng_for(1, "tokenizer", 0, "cache");
  const auto& t = small_tokenizer();
  for (int i = 0; i < 60'000; ++i) (void)t.encode("w" + std::to_string(rng.below(1'000'000)) + "x");
  const auto fresh = Tokenizer::from_value(small_json(), "test");
  for (int i = 0; i < 3000; ++i) {
    const auto text = random_text(rng, 6);
    const auto ids = t.encode(text);
    ASSERT_EQ(t.encode(text), ids);
    ASSERT_EQ(fresh->encode(text), ids);
  }
}

TEST(Tokenizer, ThreadsShareOneTokenizer) {
  const auto& t = small_tokenizer();
  std::vector<std::string> texts;
  std::vector<Ids> wanted;
  auto rng = rng_for(1, "tokenizer", 0, "threads");
  for (int i = 0; i < 400; ++i) {
    texts.push_back(random_text(rng, 20));
    wanted.push_back(t.encode(texts.back()));
  }
  std::array<int, 4> wrong{};
  {
    std::vector<std::jthread> threads;
    for (auto& count : wrong)
      threads.emplace_back([&] {
        for (std::size_t i = 0; i < texts.size(); ++i) count += t.encode(texts[i]) != wanted[i];
      });
  }
  for (const auto count : wrong) EXPECT_EQ(count, 0);
}

// Merging is n log n: eight times the letters take about eight times as long, never sixty-four.
TEST(Tokenizer, ARunWithoutABreakIsNoQuadraticWork) {
  const auto& t = small_tokenizer();
  const auto seconds = [&t](std::size_t n) {
    const std::string text(n, 'e');
    double best = 1e9;
    for (int i = 0; i < 3; ++i) {
      const auto begin = std::chrono::steady_clock::now();
      EXPECT_FALSE(t.encode(text).empty());
      best = std::min(
          best, std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
    }
    return best;
  };
  const auto one = seconds(1U << 16), eight = seconds(1U << 19);
  EXPECT_LT(eight, 32 * one + 0.01);
}

TEST(Tokenizer, SaysWhatItsTokensAre) {
  const auto& t = small_tokenizer();
  EXPECT_EQ(t.vocab_size(), 500);
  EXPECT_TRUE(t.has_hand_written_splitter());
  for (std::int32_t id = 0; id < t.vocab_size(); ++id) {
    ASSERT_TRUE(t.token_bytes(id).has_value());
    EXPECT_EQ(t.id_of(*t.token_bytes(id)), id);
  }
  EXPECT_FALSE(t.token_bytes(-1).has_value());
  EXPECT_FALSE(t.token_bytes(500).has_value());
  EXPECT_FALSE(t.id_of("no token").has_value());
  EXPECT_FALSE(t.id_of("").has_value());
  EXPECT_TRUE(t.is_special(0));
  EXPECT_FALSE(t.is_special(300));
  EXPECT_EQ(t.decode(Ids{300, 77'777, -5, 300}), t.decode(Ids{300, 300}));
}

TEST(Tokenizer, AMissingOrOversizedFileIsRefused) {
  EXPECT_NE(message_of(Tokenizer::load("/no/such/file")).find("no such file"), std::string::npos);
  EXPECT_NE(message_of(Tokenizer::from_text("{", "x.json")).find("x.json"), std::string::npos);
}

}  // namespace
}  // namespace seedbed::engine::text
