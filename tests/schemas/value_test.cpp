#include "schemas/value.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <cstring>
#include <limits>

#include "base/rng.h"
#include "base/text.h"

namespace seedbed::schemas {
namespace {

Value parsed(std::string_view text) {
  auto v = parse_json(text);
  EXPECT_TRUE(v.ok()) << text << ": " << (v.ok() ? "" : v.error().message);
  return v.ok() ? *std::move(v) : Value();
}
std::string refusal(std::string_view text, const ParseLimits& limits = {}) {
  const auto v = parse_json(text, limits);
  EXPECT_FALSE(v.ok()) << text;
  return v.ok() ? "" : v.error().message;
}

TEST(Value, CompactTextRoundTripsByteForByte) {
  for (const char* text : {"null",
                           "true",
                           "false",
                           "0",
                           "-1",
                           "9223372036854775807",
                           "-9223372036854775808",
                           "1.0",
                           "-0.0",
                           "0.1",
                           "1e+22",
                           "5e-324",
                           "1.7976931348623157e+308",
                           "\"\"",
                           "\"a\\\"\\\\\\n\\t\\u0001\\b\\f\\r\"",
                           "\"\xc3\xa9\xf0\x9f\x98\x80\"",
                           "[]",
                           "{}",
                           "[1,[2,[]],{}]",
                           "{\"b\":1,\"a\":{\"\":[null]}}"})
    EXPECT_EQ(dump(parsed(text)), text);
}

TEST(Value, WhitespaceAndEscapesReadAsTheirMeaning) {
  EXPECT_EQ(dump(parsed(" \t\r\n[ 1 , 2 ]\n")), "[1,2]");
  EXPECT_EQ(parsed("\"\\u00e9\\ud83d\\ude00\\/\\u0041\"").as_string(),
            "\xc3\xa9\xf0\x9f\x98\x80/A");
  EXPECT_EQ(parsed("\"\\u0000\"").as_string(), std::string(1, '\0'));
  EXPECT_EQ(dump(parsed("\"\\u0000\"")), "\"\\u0000\"");
}

TEST(Value, NumbersAreIntegersExactlyWhereTextHasNoFractionOrExponentAndFits) {
  EXPECT_TRUE(parsed("12").is_int());
  EXPECT_EQ(parsed("12.0").kind(), Value::Kind::number);
  EXPECT_EQ(parsed("1e2").kind(), Value::Kind::number);
  EXPECT_EQ(parsed("9223372036854775808").kind(), Value::Kind::number);
  EXPECT_EQ(parsed("-0").as_int(), 0);
  EXPECT_EQ(parsed("1e-999").as_double(), 0.0);
  EXPECT_TRUE(std::signbit(parsed("-1e-99999999999999999999").as_double()));
  EXPECT_EQ(parsed("0.000000000000000000001e300").as_double(), 1e279);
}

TEST(Value, EveryDoubleReadsBackTheSame) {
  Rng rng(7);
  for (int i = 0; i < 20'000; ++i) {
    const std::uint64_t bits = rng.next();
    double d = 0;
    static_assert(sizeof d == sizeof bits);
    std::memcpy(&d, &bits, sizeof d);
    if (!std::isfinite(d)) continue;
    const auto back = parsed(dump(Value(d)));
    ASSERT_EQ(back.kind(), Value::Kind::number) << dump(Value(d));
    const double again = back.as_double();
    ASSERT_EQ(std::memcmp(&again, &d, sizeof d), 0) << dump(Value(d));
  }
  EXPECT_EQ(dump(Value(std::numeric_limits<double>::infinity())), "null");
  EXPECT_EQ(dump(Value(std::nan(""))), "null");
}

TEST(Value, HostileTextIsRefused) {
  const std::vector<std::string> bad = {"",
                                        " ",
                                        "nul",
                                        "True",
                                        "NaN",
                                        "Infinity",
                                        "-Infinity",
                                        "+1",
                                        ".5",
                                        "1.",
                                        "01",
                                        "-",
                                        "-a",
                                        "1e",
                                        "1e+",
                                        "0x1",
                                        "1e999",
                                        "-1e999",
                                        "1 2",
                                        "[1",
                                        "[1,",
                                        "[1,]",
                                        "[,1]",
                                        "[1 2]",
                                        "{",
                                        "{\"a\"",
                                        "{\"a\":",
                                        "{\"a\":1",
                                        "{\"a\":1,",
                                        "{\"a\":1,}",
                                        "{a:1}",
                                        "{'a':1}",
                                        "{\"a\":1,\"a\":2}",
                                        "{\"a\":1,\"\\u0061\":2}",
                                        "\"",
                                        "\"a",
                                        "\"\\",
                                        "\"\\x\"",
                                        "\"\\u12\"",
                                        "\"\\u12g4\"",
                                        "\"\\ud800\"",
                                        "\"\\ud800\\u0041\"",
                                        "\"\\udc00\"",
                                        "\"\\ud800\\ud800\"",
                                        "\"\\ud83d",
                                        "\"\n\"",
                                        "\"\x01\"",
                                        "]",
                                        "}",
                                        "[1]]",
                                        "// c\n1",
                                        "[1]\x01",
                                        "\xef\xbb\xbf"
                                        "1",
                                        "\"\x80\"",
                                        "\"\xc0\xaf\"",
                                        "\"\xc3\"",
                                        "\"\xe0\x80\x80\"",
                                        "\"\xed\xa0\x80\"",
                                        "\"\xf0\x80\x80\x80\"",
                                        "\"\xf4\x90\x80\x80\"",
                                        "\"\xf8\x88\x80\x80\x80\"",
                                        "\"\xff\"",
                                        "\"\xe2\x82\"",
                                        "\xff"};
  for (const auto& text : bad) EXPECT_NE(refusal(text), "") << text;
  EXPECT_NE(refusal(std::string("1\0", 2)), "");
}

TEST(Value, RefusalsNameTheByteFoundAndWanted) {
  EXPECT_EQ(refusal("[1,]"),
            "JSON text 'byte 3': found ']', wanted a value; send one strict JSON value (RFC 8259)");
  EXPECT_EQ(refusal("[1"),
            "JSON text 'byte 2': found the end of the text, wanted ',' or ']'; send one strict "
            "JSON value (RFC 8259)");
  EXPECT_NE(refusal("\"\xff\"").find("'byte 1': found byte 0xff, wanted valid UTF-8"),
            std::string::npos);
  EXPECT_NE(refusal("{\"k\":1,\"k\":2}").find("key 'k' occurs twice"), std::string::npos);
}

TEST(Value, ADocumentCutAtAnyByteIsRefused) {
  const std::string text =
      R"({"tool":"orders.refund","args":{"id":12,"note":"caf\u00e9 \ud83d\ude00 \"x\"","at":[1.5e-3,true,null,{}]},"é":[]})";
  EXPECT_EQ(dump(parsed(text)).empty(), false);
  for (std::size_t n = 0; n < text.size(); ++n) EXPECT_NE(refusal(text.substr(0, n)), "") << n;
}

TEST(Value, MutatedDocumentsAreReadAsStrictJsonOrRefused) {
  const std::string text =
      R"({"a":[1,-2.5e3,"\u00e9\n",{"b":null}],"c":"日本","d":[true,false,[]],"e":1.0})";
  Rng rng(11);
  int accepted = 0;
  for (int i = 0; i < 50'000; ++i) {
    std::string mutated = text;
    for (auto n = 1 + rng.below(3); n > 0; --n) {
      const auto at = static_cast<std::size_t>(rng.below(mutated.size()));
      switch (rng.below(4)) {
        case 0:
          mutated[at] = static_cast<char>(rng.below(256));
          break;
        case 1:
          mutated.erase(at, 1);
          break;
        case 2:
          mutated.insert(at, 1, "{}[],:\"\\0123456789.eE+-u"[rng.below(23)]);
          break;
        default:
          mutated.insert(at,
                         mutated.substr(static_cast<std::size_t>(rng.below(mutated.size())), 4));
          break;
      }
    }
    const auto v = parse_json(mutated);
    if (!v.ok()) continue;
    ++accepted;
    ASSERT_TRUE(is_valid_utf8(mutated)) << mutated;
    const auto printed = dump(*v);
    ASSERT_EQ(parsed(printed), *v) << mutated;
    ASSERT_EQ(dump(parsed(printed)), printed) << mutated;
  }
  EXPECT_GT(accepted, 1'000);
  EXPECT_LT(accepted, 40'000);
}

TEST(Value, BoundsHoldForDepthBytesAndCount) {
  const auto nested = [](int n) {
    return std::string(static_cast<std::size_t>(n), '[') +
           std::string(static_cast<std::size_t>(n), ']');
  };
  EXPECT_TRUE(parse_json(nested(64)).ok());
  EXPECT_NE(refusal(nested(65)).find("nested deeper than 64"), std::string::npos);
  EXPECT_NE(refusal(std::string(10'000'000, '[')).find("nested deeper"), std::string::npos);
  EXPECT_NE(refusal("[1,2,3]", {.max_bytes = 6}).find("wanted at most 6"), std::string::npos);
  EXPECT_TRUE(parse_json("[1,2,3]", {.max_bytes = 7}).ok());
  EXPECT_TRUE(parse_json("[1,2,3]", {.max_values = 4}).ok());
  EXPECT_NE(refusal("[1,2,3]", {.max_values = 3}).find("more than 3 values"), std::string::npos);
}

TEST(Value, BigObjectsRefuseDuplicatesToo) {
  std::string text = "{";
  for (int i = 0; i < 20'000; ++i)
    text += "\"k" + std::to_string(i) + "\":" + std::to_string(i) + ",";
  const auto v = parsed(text + "\"last\":0}");
  EXPECT_EQ(v.members().size(), 20'001U);
  EXPECT_EQ(v.integer("k19999"), 19'999);
  EXPECT_NE(refusal(text + "\"k7\":0}").find("key 'k7' occurs twice"), std::string::npos);
}

TEST(Value, EqualityIsBlindToOrderAndTo1Against1Point0) {
  EXPECT_EQ(parsed("1"), parsed("1.0"));
  EXPECT_NE(parsed("1"), parsed("true"));
  EXPECT_NE(parsed("0"), parsed("false"));
  EXPECT_NE(parsed("1"), parsed("\"1\""));
  EXPECT_NE(parsed("null"), parsed("0"));
  EXPECT_NE(parsed("9007199254740993"), parsed("9007199254740992.0"));
  EXPECT_NE(parsed("9223372036854775807"), parsed("9223372036854775808.0"));
  EXPECT_EQ(parsed("-9223372036854775808"), parsed("-9223372036854775808.0"));
  EXPECT_EQ(parsed(R"({"a":1,"b":[2,{"c":3,"d":4}]})"),
            parsed(R"({"b":[2,{"d":4.0,"c":3}],"a":1})"));
  EXPECT_NE(parsed("[1,2]"), parsed("[2,1]"));
  EXPECT_NE(parsed(R"({"a":1})"), parsed(R"({"a":1,"b":2})"));
  EXPECT_NE(parsed(R"({"a":1,"b":2})"), parsed(R"({"a":1,"c":2})"));
}

TEST(Value, SetReplacesAndFindAnswersNullptrWhereThereIsNothing) {
  Value v;
  v.set("a", 1).set("b", "x").set("a", 2);
  EXPECT_EQ(dump(v), R"({"a":2,"b":"x"})");
  EXPECT_EQ(v.find("c"), nullptr);
  EXPECT_EQ(Value(3).find("a"), nullptr);
  EXPECT_EQ(v.text("a", "fallback"), "fallback");
  EXPECT_EQ(v.integer("b", 9), 9);
}

TEST(Value, PrettyTextIndentsByTwoAndReadsBackTheSame) {
  const auto v = parsed(R"({"a":[1,{"b":[]}],"c":{}})");
  EXPECT_EQ(dump_pretty(v),
            "{\n  \"a\": [\n    1,\n    {\n      \"b\": []\n    }\n  ],\n  \"c\": {}\n}\n");
  EXPECT_EQ(parsed(dump_pretty(v)), v);
}

class ReadFile : public testing::Test {
 protected:
  ReadFile()
      : path_(testing::TempDir() + "seedbed_value_test_" + std::to_string(::getpid()) + ".json") {}
  ~ReadFile() override { std::remove(path_.c_str()); }
  Result<Value> read(const std::string& text, std::size_t max_bytes = 1000) {
    std::FILE* f = std::fopen(path_.c_str(), "wb");
    std::fwrite(text.data(), 1, text.size(), f);
    std::fclose(f);
    return read_json_file(path_, max_bytes);
  }
  std::string refusal(const std::string& text, std::size_t max_bytes = 1000) {
    const auto v = read(text, max_bytes);
    EXPECT_FALSE(v.ok()) << text;
    return v.ok() ? "" : v.error().message;
  }
  const std::string path_;
};

TEST_F(ReadFile, ReadsWhatTheOwnParserReads) {
  const std::string text =
      R"({"a":[1,-2.5,"\u00e9",null,true],"b":{"c":9223372036854775807,"d":9223372036854775808}})";
  const auto v = read(text);
  ASSERT_TRUE(v.ok()) << v.error().message;
  EXPECT_EQ(dump(*v), dump(parsed(text)));
}

TEST_F(ReadFile, RefusalsNamePathLineAndColumn) {
  EXPECT_NE(
      refusal("{\n  \"a\": 1,\n  \"é\": [1, 2,, 3]\n}\n").find(path_ + ":3:14': syntax error"),
      std::string::npos);
  EXPECT_NE(
      refusal("{\n \"a\":1,\n \"b\":2, \"a\":3}").find(path_ + ":3:11': key 'a' occurs twice"),
      std::string::npos);
  EXPECT_NE(refusal("[\n1e999]").find(path_ + ":2:5'"), std::string::npos);
  EXPECT_NE(refusal("").find(path_ + ":1:1'"), std::string::npos);
  EXPECT_NE(refusal("[\"\xff\"]").find(path_ + ":1:"), std::string::npos);
}

TEST_F(ReadFile, RefusesWhatIsTooBigTooDeepAbsentOrADirectory) {
  EXPECT_NE(refusal("[1,2,3,4,5]", 10).find("more than 10 bytes"), std::string::npos);
  EXPECT_NE(refusal(std::string(70, '[') + std::string(70, ']')).find("nested deeper than 64"),
            std::string::npos);
  EXPECT_NE(read_json_file(path_ + ".absent").error().message.find("No such file"),
            std::string::npos);
  EXPECT_NE(read_json_file(testing::TempDir()).error().message.find("found a directory"),
            std::string::npos);
}

TEST_F(ReadFile, AFileCutAtAnyByteIsRefused) {
  const std::string text = R"({"a":[1.5e3,"\ud83d\ude00",true,null,{"b":[]}]})";
  ASSERT_TRUE(read(text).ok());
  for (std::size_t n = 0; n < text.size(); ++n) EXPECT_NE(refusal(text.substr(0, n)), "") << n;
}

}  // namespace
}  // namespace seedbed::schemas
