// What each keyword lets through, held against the validator.
#include <gtest/gtest.h>

#include "engine/grammar/text_dfa.h"
#include "schemas/json_schema.h"
#include "schemas/json_schema_node.h"
#include "tests/engine_grammar/kit.h"

namespace seedbed::engine::grammar {
namespace {

using schemas::Value;

const kit::Words& words() {
  static const auto made = kit::make_words(0, true);
  return made;
}
std::shared_ptr<const Grammar> compiled(const std::string& schema) {
  auto g = Grammar::json_schema(words().vocabulary, kit::parse(schema));
  EXPECT_TRUE(g.ok()) << schema << ": " << (g.ok() ? "" : g.error().message);
  return g.ok() ? *g : nullptr;
}
bool valid(const Value& schema, const std::string& text) {
  const auto value = schemas::parse_json(text);
  const auto checker = schemas::JsonSchema::compile(schema);
  return value.ok() && checker.ok() && checker->validate(*value).empty();
}

struct Row {
  const char* schema;
  std::vector<const char*> taken, refused;
};

TEST(GrammarKeywords, TakeWhatTheyShouldAndNoMore) {
  const Row rows[] = {
      {R"({"type":["null","boolean"]})", {"null", "true", "false"}, {"0", "nul", "\"\"", ""}},
      {R"({"type":"number"})",
       {"0", "-0", "1.5", "-12.25e-3", "1E9", "3e+07"},
       {"01", ".5", "1.", "+1", "1e", "1e999", "--1", "NaN"}},
      {R"({"type":"integer"})", {"0", "-7", "123456789012345678"}, {"1.0", "1e3", "00", "-"}},
      {R"({"type":"string"})",
       {R"("")", R"("a\"b\\c\/\b\f\n\r\t")", R"("\u00e9\uD83D\ude00é€😀")", "\"\x7f\""},
       {R"("\ud83d")", R"("\ude00")", R"("\ud83d\u0041")", R"("\x41")", "\"\n\"", "\"\xff\"",
        "\"\xc0\x80\"", "\"\xed\xa0\x80\"", "\"\xf4\x90\x80\x80\"", "\"a", "'a'"}},
      {R"({"minLength":2,"maxLength":3,"type":"string"})",
       {R"("ab")", R"("€😀")", R"("\ud83d\ude00\n")", R"("abc")"},
       {R"("a")", R"("abcd")", R"("\ud83d\ude00")", R"("😀")"}},
      {R"({"type":"string","pattern":"^\\w+\\s[^a]$"})",
       {R"("x_1 b")", R"("x\tb")"},
       {R"("x a")", R"(" b")", R"("xb")"}},
      {R"x({"type":"string","pattern":"(foo|ba+r)"})x",
       {R"("a foo!")", R"("baaar")", R"("\nfoo")"},
       {R"("fo")", R"("br")"}},
      {R"({"enum":["a",1,1.5,null,{"b":[true]}]})",
       {R"("a")", "1", "1.5", "null", R"({"b":[true]})"},
       {R"("b")", "2", R"({"b":[]})"}},
      {R"({"const":"x","type":"string","minLength":1})", {R"("x")"}, {R"("y")"}},
      {R"({"enum":["abc","b",3],"type":"string","maxLength":2})", {R"("b")"}, {R"("abc")", "3"}},
      {R"({"type":"integer","minimum":-5,"exclusiveMaximum":12})",
       {"-5", "0", "9", "11"},
       {"-6", "12", "-0", "99", "05"}},
      {R"({"type":"number","minimum":-1.5,"maximum":2.25})",
       {"-1.5", "2.25", "0.0", "2.2499", "-1.4999", "1"},
       {"2.26", "-1.51", "2.2501", "3", "1e0"}},
      {R"({"type":"number","exclusiveMinimum":0,"exclusiveMaximum":1})",
       {"0.1", "0.9999", "0.0001"},
       {"0", "1", "0.0", "1.0", "-0.1"}},
      {R"({"type":"number","multipleOf":0.25,"minimum":0,"maximum":1})",
       {"0", "0.25", "0.5", "0.50", "1", "1.00"},
       {"0.3", "0.255", "1.25"}},
      {R"({"type":"array","items":{"type":"integer"},"minItems":1,"maxItems":3})",
       {"[1]", "[1,2,3]"},
       {"[]", "[1,2,3,4]", "[1,]", "[,1]", "[\"a\"]"}},
      {R"({"type":"array","prefixItems":[{"const":1},{"const":2}],"items":{"const":3},"maxItems":4})",
       {"[]", "[1]", "[1,2]", "[1,2,3,3]"},
       {"[2]", "[1,3]", "[1,2,3,3,3]"}},
      {R"({"type":"array","prefixItems":[true,false],"items":{}})", {"[]", "[1]"}, {"[1,2]"}},
      {R"({"type":"array","uniqueItems":true,"maxItems":1})", {"[]", "[1]"}, {"[1,1]"}},
      {R"({"type":"object","properties":{"a":{"const":1},"b":{"const":2},"c":{"const":3}},"required":["b"]})",
       {R"({"b":2})", R"({"a":1,"b":2,"c":3})", R"({"b":2,"c":3})"},
       {"{}", R"({"a":1})", R"({"b":2,"b":2})", R"({"b":2,"d":1})", R"({"b":1})"}},
      {R"({"type":"object","required":["z"]})", {R"({"z":[]})", R"({"z":1,"y":2})"}, {"{}"}},
      {R"({"type":"object","properties":{"a":{}},"additionalProperties":{"type":"null"}})",
       {"{}", R"({"a":1,"b":null})", R"({"b":null,"c":null})"},
       {R"({"b":1})", R"({"b":null,"b":null})", R"({"b":null,"a":null,"a":1})"}},
      {R"({"type":"object","properties":{"a":false,"b":{"const":1}},"additionalProperties":true})",
       {R"({"b":1,"c":[]})", "{}"},
       {R"({"a":1})"}},
      {R"({"type":"object","patternProperties":{"^x":{"type":"integer"},"y$":{"maximum":5}}})",
       {R"({"x1":9})", R"({"xy":3})", R"({"y":"q"})"},
       {R"({"x1":null})", R"({"xy":9})", R"({"z":1})"}},
      {R"({"type":"object","minProperties":1,"maxProperties":2,"additionalProperties":{"const":0}})",
       {R"({"a":0})", R"({"a":0,"b":0})"},
       {"{}", R"({"a":0,"b":0,"c":0})"}},
      {R"({"anyOf":[{"type":"integer","minimum":5},{"type":"integer","maximum":2},{"const":"x"}]})",
       {"7", "-1", R"("x")"},
       {"3", R"("y")"}},
      {R"({"oneOf":[{"type":"integer"},{"type":"string"}]})", {"1", R"("a")"}, {"null"}},
      {R"({"oneOf":[{"type":"object","properties":{"t":{"const":"a"}},"required":["t"]},{"type":"object","properties":{"t":{"enum":["b","c"]},"x":{"type":"null"}},"required":["t"]}]})",
       {R"({"t":"a"})", R"({"t":"c","x":null})"},
       {R"({"t":"d"})", "{}"}},
      {R"({"oneOf":[{"type":"integer","minimum":5},{"type":"integer","maximum":4}]})",
       {"4", "5"},
       {}},
      {R"({"allOf":[{"type":"integer","minimum":3},{"maximum":8},{"multipleOf":2},{"multipleOf":3}]})",
       {"6"},
       {"3", "4", "12", "0"}},
      {R"({"allOf":[{"anyOf":[{"minimum":10},{"maximum":0}]},{"type":"integer"},{"anyOf":[{"multipleOf":2},{"multipleOf":5}]}]})",
       {"10", "15", "-2", "0"},
       {"5", "11"}},
      {R"({"type":"object","properties":{"a":{"$ref":"#/$defs/p~1q"}},"$defs":{"p/q":{"type":"array","items":{"$ref":"#"}}}})",
       {"{}", R"({"a":[]})", R"({"a":[{"a":[]},{}]})"},
       {R"({"a":[1]})"}},
      {R"({"type":"string","format":"date"})",
       {R"("2024-02-29")", R"("2000-02-29")", R"("0001-12-31")"},
       {R"("2023-02-29")", R"("1900-02-29")", R"("2024-13-01")", R"("2024-04-31")",
        R"("0000-01-01")"}},
      {R"({"type":"string","format":"date-time"})",
       {R"("2024-02-29T23:59:59Z")", R"("2024-01-01T00:00:00.5+02:30")"},
       {R"("2024-02-29")", R"("2024-02-30T00:00:00Z")", R"("2024-01-01T24:00:00Z")"}},
      {R"({"type":"string","format":"uri"})", {R"("anything")"}, {}},
      {R"({"title":"t","description":"d","default":3,"examples":[1],"x-own":{"not":1}})",
       {"1"},
       {}},
      {R"({"if":true,"then":true})", {}, {}},
  };
  for (const auto& row : rows) {
    if (row.taken.empty()) continue;
    const auto schema = kit::parse(row.schema);
    const auto grammar = compiled(row.schema);
    ASSERT_NE(grammar, nullptr);
    for (const auto* text : row.taken) {
      EXPECT_TRUE(kit::takes(grammar, words(), text)) << row.schema << " " << text;
      EXPECT_TRUE(valid(schema, text)) << row.schema << " " << text;
    }
    for (const auto* text : row.refused)
      EXPECT_FALSE(kit::takes(grammar, words(), text)) << row.schema << " " << text;
  }
}

TEST(GrammarKeywords, IntegerRangesAreExact) {
  for (std::uint64_t i = 0; i < 60; ++i) {
    auto rng = rng_for(5, "range", i, "test");
    const auto lo = rng.between(-1100, 1100), hi = lo + rng.between(0, 900);
    auto schema = Value::object().set("type", "integer");
    if (rng.chance(3, 4)) schema.set(rng.chance(1, 2) ? "minimum" : "exclusiveMinimum", lo);
    if (rng.chance(3, 4)) schema.set("maximum", static_cast<double>(hi) + 0.5);
    if (rng.chance(1, 2)) schema.set("multipleOf", rng.between(1, 40));
    const auto grammar = Grammar::json_schema(words().vocabulary, schema);
    const auto checker = schemas::JsonSchema::compile(schema);
    bool any = false;
    for (std::int64_t n = -2100; n <= 2100; ++n) {
      const bool wanted = checker->validate(Value(n)).empty();
      any = any || wanted;
      if (grammar.ok()) {
        ASSERT_EQ(kit::takes(*grammar, words(), std::to_string(n)), wanted)
            << schemas::dump(schema) << " " << n;
      }
    }
    ASSERT_EQ(grammar.ok(), any) << schemas::dump(schema);
  }
}

TEST(GrammarKeywords, DecimalsAreExact) {
  for (std::uint64_t i = 0; i < 40; ++i) {
    auto rng = rng_for(6, "decimal", i, "test");
    auto schema = Value::object().set("type", "number");
    const auto lo = static_cast<double>(rng.between(-300, 300)) / 100;
    schema.set(rng.chance(1, 2) ? "minimum" : "exclusiveMinimum", lo);
    schema.set(rng.chance(1, 2) ? "maximum" : "exclusiveMaximum",
               lo + static_cast<double>(rng.between(1, 400)) / 100);
    if (rng.chance(1, 2)) schema.set("multipleOf", rng.chance(1, 2) ? 0.05 : 0.3);
    const auto grammar = Grammar::json_schema(words().vocabulary, schema);
    const auto checker = schemas::JsonSchema::compile(schema);
    if (!grammar.ok()) continue;
    for (int n = -800; n <= 800; ++n) {
      const auto magnitude = std::to_string(n < 0 ? -n : n);
      const auto padded =
          std::string(magnitude.size() < 3 ? 3 - magnitude.size() : 0, '0') + magnitude;
      if (n == 0) continue;
      auto text = (n < 0 ? "-" : "") + padded.substr(0, padded.size() - 2) + "." +
                  padded.substr(padded.size() - 2);
      if (text.back() == '0') text.pop_back();
      ASSERT_EQ(kit::takes(*grammar, words(), text),
                checker->validate(*schemas::parse_json(text)).empty())
          << schemas::dump(schema) << " " << text;
    }
  }
}

TEST(GrammarKeywords, PatternsFindWhatTheValidatorFinds) {
  const char* const patterns[] = {"a",          "^a",
                                  "a$",         "^a$",
                                  "^$",         "$",
                                  "^",          "",
                                  "a|^b",       "(^a|b)c$",
                                  "^(a|b)*c?$", "^[ab]{2,3}$",
                                  "[^a]b",      "^[^ab]*$",
                                  "a{2}",       "^(ab?)+$",
                                  "(a|b|c){3}", "^.b.$",
                                  "a.*c",       "^(?:a|bc)+$",
                                  "\\d",        "^\\D$",
                                  "\\w\\W",     "^\\S+$",
                                  "a\\.b",      "^[a-c]?[\\d-]$",
                                  "(a$|b)",     "^a+?b*?$",
                                  "^(?<n>a)b",  "b(^a)",
                                  "[\\]a]",     "^\\u0061\\x62",
                                  "a||b"};
  const char kLetters[] = {'a', 'b', 'c', '1', '-', '.', ' ', ']'};
  for (const auto* pattern : patterns) {
    const auto dfa = text_matching(pattern);
    ASSERT_TRUE(dfa.ok()) << pattern << ": " << dfa.error().message;
    const auto oracle = schemas::Pattern::compile(pattern);
    ASSERT_TRUE(oracle.ok()) << pattern;
    auto rng = rng_for(7, pattern, 0, "test");
    for (int i = 0; i < 400; ++i) {
      std::string text;
      for (auto n = rng.below(7); n > 0; --n) text += kLetters[rng.below(sizeof kLetters)];
      ASSERT_EQ(accepts(*dfa, text), oracle->search(text) == schemas::Pattern::Found::yes)
          << pattern << " on '" << text << "'";
    }
  }
}

TEST(GrammarKeywords, WhatNoMaskCanHoldIsRefusedWithItsPlace) {
  const std::pair<const char*, const char*> rows[] = {
      {R"({"properties":{"a":{"not":{"type":"null"}}}})", "#/properties/a/not"},
      {R"({"if":{"type":"null"},"then":{"const":1}})", "#/if"},
      {R"({"type":"object","dependentRequired":{"a":["b"]}})", "#/dependentRequired"},
      {R"({"type":"object","dependentSchemas":{"a":{"type":"object"}}})", "#/dependentSchemas"},
      {R"({"type":"array","contains":{"const":1}})", "#/contains"},
      {R"({"type":"array","items":{"type":"array","uniqueItems":true}})", "#/items/uniqueItems"},
      {R"({"oneOf":[{"type":"integer"},{"type":"number"}]})", "#/oneOf"},
      {R"({"oneOf":[{"type":"object","required":["a"]},{"type":"object","required":["b"]}]})",
       "#/oneOf"},
      {R"({"type":"string","pattern":"(?=a)b"})", "pattern"},
      {R"({"type":"string","pattern":"(a)\\1"})", "pattern"},
      {R"({"type":"string","pattern":"\\bword"})", "pattern"},
      {R"({"type":"string","pattern":"^(a{1,900}){1,900}$"})", "pattern"},
      {R"({"unevaluatedProperties":false})", "unevaluatedProperties"},
      {R"({"type":"integer","multipleOf":7919,"minimum":0})", "#/multipleOf"},
      {R"({"type":"integer","minimum":3,"maximum":2})", "#"},
      {R"({"type":"string","minLength":3,"maxLength":2})", "#"},
      {R"(false)", "#"},
      {R"({"enum":["a"],"type":"integer"})", "#"},
      {R"({"type":"object","required":["a"],"properties":{"a":false}})", "#"},
      {R"({"type":"object","required":["a"],"properties":{"a":{"$ref":"#"}}})", "#"},
      {R"({"$ref":"https://example.com/x"})", "$ref"},
      {R"({"$ref":"#"})", "#"},
      {R"({"type":"strin"})", "#/type"},
  };
  for (const auto& [schema, place] : rows) {
    const auto grammar = Grammar::json_schema(words().vocabulary, kit::parse(schema));
    ASSERT_FALSE(grammar.ok()) << schema;
    EXPECT_EQ(grammar.error().where, Where::usage) << schema;
    EXPECT_NE(grammar.error().message.find(place), std::string::npos)
        << schema << ": " << grammar.error().message;
  }
}

// Sizes from outside: refused or held, but neither slow nor big.
TEST(GrammarKeywords, HostileSizesAreBounded) {
  std::string deep = R"({"const":1})";
  for (int i = 0; i < 58; ++i) deep = R"({"type":"array","minItems":1,"items":)" + deep + "}";
  EXPECT_FALSE(Grammar::json_schema(words().vocabulary, kit::parse("[" + deep + "]")).ok());
  EXPECT_NE(compiled(deep), nullptr);
  std::string wide = R"({"type":"object","properties":{)";
  for (int i = 0; i < 900; ++i)
    wide +=
        (i > 0 ? "," : "") + std::string("\"key") + std::to_string(i) + R"(":{"type":"integer"})";
  const auto grammar = Grammar::json_schema(words().vocabulary, kit::parse(wide + "}}"));
  if (!grammar.ok()) {
    EXPECT_EQ(grammar.error().where, Where::usage);
  }
  for (const char* schema :
       {R"({"type":"array","items":{"type":"integer"},"minItems":100000000,"maxItems":2000000000})",
        R"({"type":"string","minLength":1000000,"maxLength":1000000000})",
        R"({"type":"object","additionalProperties":{},"maxProperties":1000000000})"})
    EXPECT_NE(compiled(schema), nullptr);
  EXPECT_EQ(compiled(R"({"type":"array","items":{"const":7},"minItems":100000000})")->shortest(),
            200'000'002);
  EXPECT_FALSE(
      Grammar::json_schema(words().vocabulary,
                           kit::parse(R"({"type":"string","pattern":"^(a|b)*a(a|b){40}$"})"))
          .ok())
      << "2^40 states";
}

}  // namespace
}  // namespace seedbed::engine::grammar
