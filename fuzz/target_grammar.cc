// Schemas to grammars: whatever is compiled, a random walk through its masks ends in time, and what
// it gives is valid.
#include "fuzz/targets.h"
#include "schemas/json_schema.h"
#include "tests/engine_grammar/cases.h"
#include "tests/engine_grammar/kit.h"

namespace seedbed::fuzz {
namespace {

using namespace engine::grammar;

constexpr std::int64_t kMaxTokens = 400;  // longer texts are not walked to their end

// Matching a pattern may be too much for the validator, which then says so.
bool too_costly(const std::string& message) {
  return message.find("takes too long") != std::string::npos;
}

std::string walk_schema(const kit::Words& words, const schemas::Value& schema, std::uint64_t seed) {
  const auto grammar = Grammar::json_schema(words.vocabulary, schema);
  if (!grammar.ok()) return grammar.error().where == Where::usage ? "" : "an error of another kind";
  const auto checker = schemas::JsonSchema::compile(schema);
  if (!checker.ok()) return "a grammar of a schema that does not compile";
  const auto shortest = (*grammar)->shortest();
  if (shortest > kMaxTokens) return "";
  for (std::uint64_t i = 0; i < 2; ++i) {
    auto rng = rng_for(seed, "grammar", i, "fuzz");
    const auto walk = kit::walk(*grammar, words, rng, shortest + (i == 0 ? 0 : 60));
    if (!walk.broken.empty()) return walk.broken;
    const auto value = schemas::parse_json(walk.text);
    if (!value.ok()) return "no JSON: " + walk.text;
    const auto found = checker->validate(*value);
    if (!found.empty() && !too_costly(found[0].message)) return found[0].message + ": " + walk.text;
  }
  return "";
}

// A function with these parameters, in a reply of the chat format.
std::string walk_chat(const kit::Words& words, const schemas::Value& schema, std::uint64_t seed) {
  ChatFormat format;
  format.choice = ToolChoice::named;
  format.named = "f";
  format.functions = {{"f", schema, true}};
  const auto grammar = Grammar::chat(words.vocabulary, format);
  if (!grammar.ok()) return grammar.error().where == Where::usage ? "" : "an error of another kind";
  const auto shortest = (*grammar)->shortest();
  if (shortest > 2 * kMaxTokens) return "";
  auto rng = rng_for(seed, "grammar", 2, "fuzz");
  return kit::walk(*grammar, words, rng, shortest + rng.between(0, 40)).broken;
}

std::string grammar(std::string_view input) {
  static const auto words = kit::make_words(200, false);
  const auto schema = schemas::parse_json(input);
  if (!schema.ok()) return "";
  const auto seed = static_cast<std::uint64_t>(input.size());
  auto broken = walk_schema(words, *schema, seed);
  return broken.empty() ? walk_chat(words, *schema, seed) : broken;
}

}  // namespace

std::vector<Target> grammar_targets() {
  std::vector<std::string> seeds;
  for (const auto& c : kit::schema_cases()) seeds.emplace_back(c.schema);
  return {{"grammar", grammar, seeds}};
}

}  // namespace seedbed::fuzz
