// Masks against the slow way: each token run symbol by symbol from each configuration.
#include <gtest/gtest.h>

#include <thread>

#include "engine/grammar/configuration.h"
#include "engine/grammar/grammar_data.h"
#include "engine/grammar/token_tree.h"
#include "tests/engine_grammar/cases.h"
#include "tests/engine_grammar/kit.h"

namespace seedbed::engine::grammar {

// Compiles a schema to the automaton that a Grammar holds.
struct GrammarProbe {
  static const Program& program(const Grammar& g) { return g.data_->program; }
  static std::size_t cache_bytes(const Grammar& g) { return g.data_->cache.bytes(); }
};

namespace {

using kit::Words;

std::vector<std::uint8_t> slow_mask(const Program& p,
                                    const TokenTree& tree,
                                    const std::vector<Configuration>& now,
                                    std::int64_t left) {
  std::vector<std::uint8_t> out(tree.table.bytes.size(), 0);
  for (std::size_t id = 0; id < out.size(); ++id) {
    if (tree.is_end(static_cast<std::int32_t>(id))) {
      for (const auto& c : now)
        if (complete(p, c) && left >= 1) out[id] = 1;
      continue;
    }
    const auto symbols = tree.symbols(static_cast<std::int32_t>(id));
    auto at = symbols.empty() ? std::vector<Configuration>{} : now;
    for (const auto s : symbols) at = advance(p, at, s);
    for (const auto& c : at)
      if (distance(p, c) <= left - 2) out[id] = 1;
  }
  return out;
}

// Walks at random and compares every mask, with budgets that narrow and that do not.
void compare(const std::shared_ptr<const Grammar>& grammar,
             const Words& words,
             const char* name,
             std::uint64_t seed,
             std::int64_t steps) {
  const auto& p = GrammarProbe::program(*grammar);
  const TokenTree tree(words.table);
  Matcher matcher(grammar);
  std::vector<Configuration> now{begin(p)};
  auto rng = rng_for(seed, name, 0, "masks");
  std::string text;
  for (auto left = steps + grammar->shortest(); left > 0; --left) {
    std::vector<std::int32_t> open;
    std::int64_t nearest = kFar;
    for (const auto& c : now) nearest = std::min(nearest, distance(p, c));
    // The one that counts comes last: mask() may be asked again.
    for (const auto budget : {nearest + 1, nearest + 2 + rng.between(0, 40), left}) {
      const auto* mask = matcher.mask(budget);
      const auto slow = slow_mask(p, tree, now, budget);
      open.clear();
      for (std::size_t id = 0; id < slow.size(); ++id) {
        ASSERT_EQ(kit::allows(mask, static_cast<std::int32_t>(id)), slow[id] != 0)
            << name << " token " << id << " '" << words.table.bytes[id] << "' budget " << budget
            << " nearest " << nearest << " after: " << text;
        if (slow[id] != 0) open.push_back(static_cast<std::int32_t>(id));
      }
    }
    ASSERT_FALSE(open.empty()) << text;
    const auto id = rng.pick(open);
    ASSERT_TRUE(matcher.accept(id));
    if (matcher.finished()) return;
    for (const auto s : tree.symbols(id)) now = advance(p, now, s);
    text += words.table.bytes[static_cast<std::size_t>(id)];
  }
}

TEST(GrammarMasks, AreWhatEachTokenByItselfSays) {
  const auto words = kit::make_words(100, true);
  for (const auto& c : kit::schema_cases()) {
    const auto grammar = Grammar::json_schema(words.vocabulary, kit::parse(c.schema));
    ASSERT_TRUE(grammar.ok()) << grammar.error().message;
    for (std::uint64_t seed = 0; seed < 3; ++seed) compare(*grammar, words, c.name, seed, 25);
    if (HasFatalFailure()) return;
  }
}

// The key that comes next must be new, though a token may hold all of it, or two.
TEST(GrammarMasks, KeysAreNewAcrossTokens) {
  const auto words = kit::make_words(300, true);
  for (
      const char* schema :
      {R"({"type":"object","additionalProperties":{"type":["integer","object"]}})",
       R"({"type":"object","propertyNames":{"pattern":"^[ab]{1,2}$"},"additionalProperties":{"const":1}})",
       R"({"type":"object","patternProperties":{"^a*$":{"type":"integer"}},"additionalProperties":false})",
       R"({"type":"array","items":{"type":"object","minProperties":3,"additionalProperties":{"const":1}}})"}) {
    const auto grammar = Grammar::json_schema(words.vocabulary, kit::parse(schema));
    ASSERT_TRUE(grammar.ok()) << grammar.error().message;
    for (std::uint64_t seed = 0; seed < 12; ++seed) compare(*grammar, words, schema, seed, 30);
    if (HasFatalFailure()) return;
  }
  const auto grammar = Grammar::json_schema(
      words.vocabulary, kit::parse(R"({"type":"object","additionalProperties":{}})"));
  ASSERT_TRUE(grammar.ok());
  EXPECT_TRUE(kit::takes(*grammar, words, R"({"a":1,"b":{"a":1},"ab":2})"));
  EXPECT_FALSE(kit::takes(*grammar, words, R"({"a":1,"b":{"a":1},"a":2})"));
  Matcher matcher(*grammar);
  std::int32_t twice = -1, once = -1;
  for (std::size_t id = 0; id < words.table.bytes.size(); ++id) {
    if (words.table.bytes[id] == "{\"a\":1,\"a\":") twice = static_cast<std::int32_t>(id);
    if (words.table.bytes[id] == "{\"a\":1") once = static_cast<std::int32_t>(id);
  }
  ASSERT_TRUE(twice > 0 && once > 0);
  EXPECT_FALSE(kit::allows(matcher.mask(100), twice));
  EXPECT_TRUE(kit::allows(matcher.mask(100), once));
  EXPECT_FALSE(matcher.accept(twice));
  EXPECT_TRUE(matcher.accept(once)) << "a refused token changes nothing";
}

TEST(GrammarMasks, TheChatFormatToo) {
  for (const bool markers : {true, false}) {
    const auto words = kit::make_words(100, markers);
    ChatFormat f;
    f.reasoning = true;
    f.choice = ToolChoice::required;
    f.functions = {
        {"f",
         kit::parse(
             R"({"type":"object","properties":{"a":{"type":"string","maxLength":9},"b":{"type":["integer","string"]}},"required":["a"]})"),
         true},
        {"g", {}, false}};
    const auto grammar = Grammar::chat(words.vocabulary, f);
    ASSERT_TRUE(grammar.ok()) << grammar.error().message;
    for (std::uint64_t seed = 0; seed < 4; ++seed) compare(*grammar, words, "chat", seed, 40);
    if (HasFatalFailure()) return;
  }
}

TEST(GrammarMasks, SpecialTokensStandForThemselves) {
  const auto words = kit::make_words(0, true);
  const auto grammar = Grammar::json_schema(words.vocabulary, kit::parse(R"({"type":"string"})"));
  ASSERT_TRUE(grammar.ok());
  Matcher matcher(*grammar);
  ASSERT_TRUE(matcher.accept(kit::byte_id('"')));
  const auto* mask = matcher.mask(1000);
  for (std::size_t id = 0; id < words.table.bytes.size(); ++id) {
    if (words.table.special[id] == 0) continue;
    EXPECT_FALSE(kit::allows(mask, static_cast<std::int32_t>(id)));
    EXPECT_FALSE(matcher.accept(static_cast<std::int32_t>(id)));
  }
  EXPECT_FALSE(matcher.accept(-1));
  EXPECT_FALSE(matcher.accept(1 << 20));
  EXPECT_FALSE(matcher.finished());
  ASSERT_TRUE(matcher.accept(kit::byte_id('"')));
  EXPECT_TRUE(kit::allows(matcher.mask(1), words.end));
  ASSERT_TRUE(matcher.accept(words.end));
  EXPECT_TRUE(matcher.finished());
  EXPECT_FALSE(matcher.accept(words.end));
  for (std::size_t w = 0; w < (words.table.bytes.size() + 31) / 32; ++w)
    EXPECT_EQ(matcher.mask(10)[w], 0U);
}

// What the cache holds changes no mask, nor does another matcher.
TEST(GrammarMasks, AreTheSameForTwoThreadsOnOneGrammar) {
  const auto words = kit::make_words(300, true);
  for (const auto* name : {"any object", "address book", "same twice"}) {
    const kit::Case* found = nullptr;
    for (const auto& c : kit::schema_cases())
      if (std::string(c.name) == name) found = &c;
    ASSERT_NE(found, nullptr);
    const auto schema = kit::parse(found->schema);
    const auto shared = Grammar::json_schema(words.vocabulary, schema);
    ASSERT_TRUE(shared.ok());
    std::vector<std::string> texts(2);
    const auto run = [&](std::size_t which) {
      for (std::uint64_t i = 0; i < 20; ++i) {
        auto rng = rng_for(9, name, i, "threads");
        texts[which] += kit::walk(*shared, words, rng, (*shared)->shortest() + 80).text + "\n";
      }
    };
    std::thread other([&] { run(1); });
    run(0);
    other.join();
    EXPECT_EQ(texts[0], texts[1]);
    std::string fresh;
    for (std::uint64_t i = 0; i < 20; ++i) {
      const auto own = Grammar::json_schema(words.vocabulary, schema);
      ASSERT_TRUE(own.ok());
      auto rng = rng_for(9, name, i, "threads");
      fresh += kit::walk(*own, words, rng, (*own)->shortest() + 80).text + "\n";
    }
    EXPECT_EQ(texts[0], fresh);
    EXPECT_LT(GrammarProbe::cache_bytes(**shared), std::size_t{65} << 20);
  }
}

}  // namespace
}  // namespace seedbed::engine::grammar
