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

// A schema of many keywords, whether they go together or not.
schemas::Value invent(Rng& rng, int depth) {
  using schemas::Value;
  static const std::vector<std::string> types = {"null",   "boolean", "integer", "number",
                                                 "string", "array",   "object"};
  static const std::vector<std::string> names = {"a", "ab", "b", "x-y", "\xef\xbd\x9c", ""};
  static const std::vector<std::string> patterns = {
      "^a", "b$", "^[a-c]{1,3}$", "^(ab|a)*$", "\\d+", "^[^b]*$", ".", "^x"};
  static const std::vector<std::string> values = {
      "1", "-3", "2.5", "null", "true", "\"a\"", "\"ab\"", "[1]", "{\"a\":1}", "\"\"", "0", "1.0"};
  const auto sub = [&] { return depth > 0 ? invent(rng, depth - 1) : Value(rng.chance(4, 5)); };
  const auto list = [&] {
    auto out = Value::array();
    for (auto n = rng.between(1, 3); n > 0; --n) out.push(sub());
    return out;
  };
  const auto number = [&]() -> Value {
    if (rng.chance(1, 3)) return static_cast<double>(rng.between(-40, 40)) / 8;
    return rng.between(-12, 30);
  };
  if (rng.chance(1, 12)) return Value(rng.chance(2, 3));
  auto out = Value::object();
  if (rng.chance(3, 4)) {
    auto kinds = Value::array();
    for (const auto& t : types)
      if (rng.chance(1, 4)) kinds.push(Value(t));
    if (kinds.items().empty()) kinds = Value(rng.pick(types));
    out.set("type", std::move(kinds));
  }
  for (auto n = rng.between(0, 5); n > 0; --n) switch (rng.below(20)) {
      case 0: {
        auto choices = Value::array();
        for (auto m = rng.between(1, 5); m > 0; --m) choices.push(kit::parse(rng.pick(values)));
        out.set("enum", std::move(choices));
        break;
      }
      case 1:
        out.set("const", kit::parse(rng.pick(values)));
        break;
      case 2:
        out.set(rng.chance(1, 2) ? "minimum" : "exclusiveMinimum", number());
        break;
      case 3:
        out.set(rng.chance(1, 2) ? "maximum" : "exclusiveMaximum", number());
        break;
      case 4:
        out.set("multipleOf", rng.chance(1, 2) ? Value(rng.between(1, 9)) : Value(0.25));
        break;
      case 5:
        out.set(rng.chance(1, 2) ? "minLength" : "maxLength", rng.between(0, 6));
        break;
      case 6:
        out.set("pattern", rng.pick(patterns));
        break;
      case 7:
        out.set("items", sub());
        break;
      case 8:
        out.set("prefixItems", list());
        break;
      case 9:
        out.set(rng.chance(1, 2) ? "minItems" : "maxItems", rng.between(0, 4));
        break;
      case 10:
      case 11: {
        auto properties = Value::object();
        for (const auto& name : names)
          if (rng.chance(1, 2)) properties.set(name, sub());
        out.set("properties", std::move(properties));
        break;
      }
      case 12: {
        auto required = Value::array();
        for (const auto& name : names)
          if (rng.chance(1, 4)) required.push(Value(name));
        out.set("required", std::move(required));
        break;
      }
      case 13:
        out.set("additionalProperties", sub());
        break;
      case 14:
        out.set("patternProperties", Value::object().set(rng.pick(patterns), sub()));
        break;
      case 15:
        out.set(rng.chance(1, 2) ? "minProperties" : "maxProperties", rng.between(0, 4));
        break;
      case 16:
        out.set(rng.chance(1, 2) ? "anyOf" : "allOf", list());
        break;
      case 17:
        out.set("oneOf", list());
        break;
      case 18:
        out.set("$ref", rng.chance(1, 2) ? "#/$defs/d" : "#");
        break;
      default:
        out.set("propertyNames", Value::object().set("pattern", rng.pick(patterns)));
    }
  return out;
}

// JSON is a schema; other bytes choose one.
std::string grammar(std::string_view input) {
  static const auto words = kit::make_words(200, false);
  auto schema = schemas::parse_json(input);
  if (!schema.ok()) {
    auto rng = rng_for(std::hash<std::string_view>()(input), "schema", 0, "fuzz");
    auto made = invent(rng, 3);
    if (made.is_object()) made.set("$defs", schemas::Value::object().set("d", invent(rng, 2)));
    schema = std::move(made);
  }
  const auto seed = static_cast<std::uint64_t>(input.size());
  auto broken = walk_schema(words, *schema, seed);
  if (broken.empty()) broken = walk_chat(words, *schema, seed);
  return broken.empty() ? "" : broken.substr(0, 200) + " of schema " + schemas::dump(*schema);
}

}  // namespace

std::vector<Target> grammar_targets() {
  std::vector<std::string> seeds;
  for (const auto& c : kit::schema_cases()) seeds.emplace_back(c.schema);
  return {{"grammar", grammar, seeds}};
}

}  // namespace seedbed::fuzz
