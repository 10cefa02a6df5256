// Texts sampled by an adversary: uniform among what the masks allow.
#include <gtest/gtest.h>

#include "schemas/json_schema.h"
#include "tests/engine_grammar/cases.h"
#include "tests/engine_grammar/kit.h"

namespace seedbed::engine::grammar {
namespace {

using kit::Words;

std::string violation(const schemas::Value& schema, const std::string& text) {
  const auto value = schemas::parse_json(text);
  if (!value.ok()) return value.error().message;
  const auto compiled = schemas::JsonSchema::compile(schema);
  EXPECT_TRUE(compiled.ok());
  const auto found = compiled->validate(*value);
  return found.empty() ? "" : found[0].message;
}

// Invariant (3): whatever is drawn, it ends in time, and is a text of the schema.
TEST(GrammarSamples, EverySampleIsValidWithinItsBudget) {
  const auto words = kit::make_words(600, true);
  ASSERT_EQ(kit::schema_cases().size(), 50U);
  for (const auto& c : kit::schema_cases()) {
    const auto schema = kit::parse(c.schema);
    const auto grammar = Grammar::json_schema(words.vocabulary, schema);
    ASSERT_TRUE(grammar.ok()) << c.name << ": " << grammar.error().message;
    for (std::uint64_t i = 0; i < 20; ++i) {
      auto rng = rng_for(1, c.name, i, "walk");
      const auto most =
          i % 4 == 0 ? (*grammar)->shortest() : (*grammar)->shortest() + rng.between(0, 200);
      const auto walk = kit::walk(*grammar, words, rng, most);
      ASSERT_EQ(walk.broken, "") << c.name << " budget " << most;
      ASSERT_TRUE(walk.ended) << c.name;
      ASSERT_EQ(violation(schema, walk.text), "") << c.name << ": " << walk.text;
    }
  }
}

// A budget that cannot do cuts the text, as it would without a grammar; it is valid up to there.
TEST(GrammarSamples, TooSmallABudgetDoesNotNarrow) {
  const auto words = kit::make_words(0, true);
  const auto grammar = Grammar::json_schema(
      words.vocabulary, kit::parse(R"({"type":"array","minItems":30,"items":{"const":"y"}})"));
  ASSERT_TRUE(grammar.ok());
  auto rng = rng_for(1, "cut", 0, "walk");
  const auto walk = kit::walk(*grammar, words, rng, 40);
  EXPECT_EQ(walk.broken, "");
  EXPECT_FALSE(walk.ended);
  EXPECT_EQ(walk.ids.size(), 40U);
  EXPECT_EQ(walk.text.substr(0, 9), R"(["y","y",)");
}

}  // namespace
}  // namespace seedbed::engine::grammar
