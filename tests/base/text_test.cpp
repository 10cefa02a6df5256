#include "base/text.h"

#include <gtest/gtest.h>

#include "base/hash.h"
#include "base/result.h"

namespace seedbed {
namespace {

using Strings = std::vector<std::string>;

TEST(Text, SplitKeepsEmptyPartsAndJoinUndoesIt) {
  EXPECT_EQ(split("a,b,,c", ','), (Strings{"a", "b", "", "c"}));
  EXPECT_EQ(split("", ','), (Strings{""}));
  EXPECT_EQ(split(",", ','), (Strings{"", ""}));
  for (const char* text : {"a,b,,c", "", ",", "abc", ",,a"})
    EXPECT_EQ(join(split(text, ','), ","), text);
  EXPECT_EQ(join({}, ", "), "");
}

TEST(Text, TrimTakesSpaceFromBothEndsOnly) {
  EXPECT_EQ(trim(" \t a b \r\n"), "a b");
  EXPECT_EQ(trim("   "), "");
  EXPECT_EQ(trim(""), "");
}

TEST(Text, LowerChangesAsciiLettersAlone) {
  EXPECT_EQ(lower_ascii("ABCz\xc3\x89[@"), "abcz\xc3\x89[@");
}

TEST(Text, ReplaceAllDoesNotReadWhatItWrote) {
  EXPECT_EQ(replace_all("aaa", "a", "aa"), "aaaaaa");
  EXPECT_EQ(replace_all("aXbX", "X", ""), "ab");
  EXPECT_EQ(replace_all("abc", "x", "y"), "abc");
}

TEST(Text, Utf8IsValidExactlyAsUnicodeDefinesIt) {
  for (const std::string_view good :
       {"", "abc", "\x7f", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf", "\xee\x80\x80",
        "\xef\xbf\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf"})
    EXPECT_TRUE(is_valid_utf8(good)) << good;
  for (const std::string_view bad :
       {"\x80", "\xbf", "\xc0\x80", "\xc1\xbf", "\xc2", "\xc2\x41", "\xe0\x9f\xbf", "\xe2\x82",
        "\xed\xa0\x80", "\xed\xbf\xbf", "\xf0\x8f\xbf\xbf", "\xf0\x90\x80", "\xf4\x90\x80\x80",
        "\xf5\x80\x80\x80", "\xfe", "\xff", "a\xc3", "\xe2\x28\xa1"})
    EXPECT_FALSE(is_valid_utf8(bad));
}

TEST(Text, EditDistanceCountsInsertionsDeletionsAndReplacements) {
  EXPECT_EQ(edit_distance("", ""), 0U);
  EXPECT_EQ(edit_distance("", "abc"), 3U);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3U);
  EXPECT_EQ(edit_distance("sitting", "kitten"), 3U);
}

TEST(Text, NearestFindsATypoAndNothingWhereNothingIsNear) {
  const Strings known = {"amount_cents", "order_id", "note"};
  EXPECT_EQ(nearest("amout_cents", known), "amount_cents");
  EXPECT_EQ(nearest("orderid", known), "order_id");
  EXPECT_EQ(nearest("zzzzzz", known), "");
  EXPECT_EQ(nearest("x", {}), "");
}

TEST(Hash, ContentHashesArePinned) {
  EXPECT_EQ(content_hash(""),
            "99aa06d3014798d86001c324468d497f");  // XXH3-128 of nothing, as published
  EXPECT_EQ(hash64(""), 0x2d06800538d394c2ULL);   // XXH3-64 of nothing, as published
  EXPECT_EQ(content_hash("seedbed"), "c647bfee0490922687a3d3b2a5c6061d");
  EXPECT_NE(hash64("a", 1), hash64("a", 2));
}

TEST(Text, BytesThatAreNoCharacterBecomeReplacements) {
  EXPECT_EQ(replace_invalid_utf8("a\xc3\xa9\xe4\xb8\xad"), "a\xc3\xa9\xe4\xb8\xad");
  EXPECT_EQ(replace_invalid_utf8("\xc3"), "\xef\xbf\xbd");
  EXPECT_EQ(replace_invalid_utf8("a\xff"
                                 "b"),
            "a\xef\xbf\xbd"
            "b");
  EXPECT_EQ(utf8_length("\xf0\x9f\x98\x80!"), 4U);
  EXPECT_EQ(utf8_length("\xed\xa0\x80"), 0U);  // a surrogate
  EXPECT_EQ(utf8_length(""), 0U);
}

TEST(Hash, AContentHashIsThirtyTwoLowerCaseHexDigits) {
  EXPECT_TRUE(is_content_hash(content_hash("x")));
  for (const char* bad :
       {"", "99aa06d3014798d86001c324468d497", "99aa06d3014798d86001c324468d497ff",
        "99AA06D3014798D86001C324468D497F", "99aa06d3014798d86001c324468d497g"})
    EXPECT_FALSE(is_content_hash(bad)) << bad;
}

TEST(Error, AMessageHasItsFourParts) {
  const auto e = make_error(Where::store, "task store", "run.db",
                            "schema version 3, this build reads 5", "open it with `--upgrade`");
  EXPECT_EQ(e.where, Where::store);
  EXPECT_EQ(e.message,
            "task store 'run.db': schema version 3, this build reads 5; open it with `--upgrade`");
  EXPECT_EQ(make_error(Where::usage, "what", "", "why", "").message, "what: why");
}

Result<int> half(int x) {
  if (x % 2 != 0)
    return make_error(Where::usage, "number", std::to_string(x), "odd, wanted even", "");
  return x / 2;
}
Result<std::string> quarter(int x) {
  SEEDBED_TRY(const int h, half(x));
  SEEDBED_TRY(const int q, half(h));
  return std::to_string(q);
}

TEST(Result, TryHandsValuesOnAndErrorsUp) {
  EXPECT_EQ(*quarter(12), "3");
  EXPECT_EQ(quarter(6).error().message, "number '3': odd, wanted even");
  EXPECT_FALSE(quarter(7).ok());
}

}  // namespace
}  // namespace seedbed
