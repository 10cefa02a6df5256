#include "tasks/admit_known.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "schemas/json_schema.h"
#include "tasks/admit_draw.h"

namespace seedbed::tasks {
namespace {

using schemas::Value;

TEST(Known, AWordOfTheProseIsKnownWhereItStandsAlone) {
  Known k;
  k.read(
      "Move  Ada Lovelace's booking B-301 to 2031-03-05, pay 1,250 and 15.50, wait THREE days (or "
      "40).");
  for (const Value& v :
       {Value("ada lovelace"), Value("B-301"), Value("b-301"), Value("2031-03-05"), Value(1250),
        Value(1250.0), Value(3), Value(40), Value("three"), Value(true), Value(), Value("")})
    EXPECT_TRUE(k.has(v)) << dump(v);
  for (const Value& v :
       {Value("Ada Love"), Value("B-30"), Value("301"), Value(301), Value(2031), Value(5),
        Value(250), Value(15), Value(50), Value(4), Value("ings"), Value(1.25)})
    EXPECT_FALSE(k.has(v)) << dump(v);
}

TEST(Known, ValuesOfResultsAndChoicesOfSchemas) {
  Known k;
  k.see(schemas::ToolResult{schemas::End::ok,
                            R"({"items": [{"id": "S-9", "n": 77}], "next_offset": 20})"});
  k.see_choices(*schemas::parse_json(
      R"({"properties": {"tier": {"enum": ["gold", "plain"]}, "size": {"default": 12, "description": "at most 99"}}})"));
  for (const Value& v : {Value("S-9"), Value(77), Value(20), Value("gold"), Value(12)})
    EXPECT_TRUE(k.has(v)) << dump(v);
  for (const Value& v : {Value("items"), Value("tier"), Value(99), Value("S")})
    EXPECT_FALSE(k.has(v)) << dump(v);
}

TEST(EchoWords, AreQuotedTextsNamesIdsAndNumbers) {
  const auto words = echo_words(
      "Please ask Ada Lovelace for the \"blue room\" on 2031-03-05, id B-301, 1,250 cents.");
  for (const char* w : {"blue room", "Ada Lovelace", "Ada", "B-301", "2031-03-05", "1,250"})
    EXPECT_NE(std::find(words.begin(), words.end(), w), words.end()) << w;
  EXPECT_EQ(std::find(words.begin(), words.end(), "cents"), words.end());
  EXPECT_TRUE(is_id_like("B-301"));
  EXPECT_FALSE(is_id_like("301"));
  EXPECT_FALSE(is_id_like("Ada"));
}

TEST(Draw, MakesSchemaValidValuesFromWhatItHasSeen) {
  const auto schema = *schemas::parse_json(
      R"({"type": "object", "required": ["slot_id", "day", "count", "how", "who"], "additionalProperties": false, "properties": {
          "slot_id": {"type": "string", "pattern": "^S-[0-9]+$"}, "day": {"type": "string", "format": "date"},
          "count": {"type": "integer", "minimum": 3, "maximum": 9}, "how": {"enum": ["a", "b"]},
          "who": {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 2}, "flag": {"type": ["null", "boolean"]}}})");
  const auto compiled = schemas::JsonSchema::compile(schema);
  ASSERT_TRUE(compiled.ok());
  const Draw draw({{"slot", "", "slot_id", {std::string("S-1"), std::string("S-2")}},
                   {"person", "name", "name", {std::string("Ada")}}},
                  16'403'670);
  Rng rng(1);
  int valid = 0;
  for (int i = 0; i < 500; ++i)
    valid += compiled->validate(draw.value(schema, "", rng)).empty() ? 1 : 0;
  EXPECT_GT(valid, 100);
}

TEST(MinutesText, CountsFromTheYear2000) {
  EXPECT_EQ(minutes_text(0), "2000-01-01 00:00");
  EXPECT_EQ(minutes_text(59L * 1440 + 61), "2000-02-29 01:01");
  EXPECT_EQ(minutes_text(60L * 1440), "2000-03-01 00:00");
  EXPECT_EQ(minutes_text(366L * 1440 - 1), "2000-12-31 23:59");
  EXPECT_EQ(minutes_text(16'394'910), "2031-03-04 08:30");
  EXPECT_EQ(minutes_text(-1), "1999-12-31 23:59");
}

}  // namespace
}  // namespace seedbed::tasks
