#include "engine/text/pattern.h"

#include "engine/text/unicode.h"
#include "tests/engine_text/kit.h"

namespace seedbed::engine::text {
namespace {

// What the pattern finds first, or "(none)".
std::string first(const std::string& pattern, const std::string& text) {
  const auto made = Pattern::compile(pattern, "test");
  if (!made.ok()) return made.error().message;
  const auto found = made->search(text, 0);
  return found.found == Pattern::Found::match ? text.substr(found.begin, found.end - found.begin)
                                              : "(none)";
}

TEST(Pattern, ReadsOnigurumasDialect) {
  EXPECT_EQ(first("^b$", "a\nb\nc"), "b");            // lines without a flag
  EXPECT_EQ(first("\\s", "\u180e\u3000"), "\u3000");  // U+180E is no space
  EXPECT_EQ(first("[^\\s]", "\u180e"), "\u180e");
  EXPECT_EQ(first("\\v", "\n\x0b"), "\x0b");  // the one character, not all vertical space
  EXPECT_EQ(first("a{,2}b", "aaab"), "aab");
  EXPECT_EQ(first("\\u4e00+", "x一一"), "一一");
  EXPECT_EQ(first("(?i:'S)", "'s"), "'s");
  EXPECT_EQ(first("[\\p{L}]+", "1\u1c89a"), "\u1c89a");  // a letter of Unicode 16
  EXPECT_EQ(first("\\P{L}", "\u1c89!"), "!");
  EXPECT_EQ(first("\\p{^N}", "12x"), "x");
}

TEST(Pattern, RefusesByNameWhatItDoesNotTranslate) {
  const std::pair<const char*, const char*> cases[] = {
      {"[a[b]]", "a class within a class"},
      {"[a-z&&[^b]]", "an intersection"},
      {"\\w+", "an escape '\\w'"},
      {"\\bword", "an escape '\\b'"},
      {"(a)\\1", "an escape '\\1'"},
      {"[\\S]", "an escape '\\S' within a class"},
      {"(?m:.)", "a group '(?m:'"},
      {"(*UTF)a", "a verb"},
      {"(?R)", "a group '(?R)'"},
      {"a{2,3}+", "an interval with '+'"},
      {"a{2}?", "an interval with '?'"},
      {"a{x}", "a '{' that begins no interval"},
      {"[]a]", "a class that begins with ']'"},
      {"[a", "a class without end"},
      {"\\p{Nonsense}", "PCRE2 refuses it"},
      {"(", "PCRE2 refuses it"},
      {"\\", "a '\\' at the end"},
      {"\\xff", "a byte that is no character"},
  };
  for (const auto& [pattern, why] : cases) {
    const auto made = Pattern::compile(pattern, "test");
    ASSERT_FALSE(made.ok()) << pattern;
    EXPECT_NE(made.error().message.find(why), std::string::npos) << made.error().message;
  }
  EXPECT_FALSE(Pattern::compile(std::string(kMaxPatternBytes + 1, 'a'), "test").ok());
}

TEST(Pattern, ALiteralMatchesItsSignsAsTheyStand) {
  const auto made = Pattern::literal("a.(é", "test");
  ASSERT_TRUE(made.ok()) << message_of(made);
  EXPECT_EQ(made->search("axa.(é", 0).begin, 2U);
}

TEST(Pattern, ABacktrackingPatternGivesUpInsteadOfRunningForEver) {
  const auto made = Pattern::compile("(?:a+)+[bc]", "test");
  ASSERT_TRUE(made.ok());
  EXPECT_EQ(made->search(std::string(60, 'a'), 0).found, Pattern::Found::gave_up);
}

// Every class of the table is what a compiled pattern takes, whatever Unicode PCRE2 was built with.
TEST(Pattern, ClassesAreThoseOfTheTable) {
  const std::pair<const char*, unsigned> classes[] = {{"\\p{L}", kLetter},
                                                      {"\\p{M}", kMark},
                                                      {"\\p{N}", kNumber},
                                                      {"[\\p{P}\\p{S}]", kPunctSymbol},
                                                      {"\\s", kSpace}};
  for (const auto& [pattern, bit] : classes) {
    const auto made = Pattern::compile(pattern, "test");
    ASSERT_TRUE(made.ok());
    int differ = 0;
    std::string text;
    for (std::uint32_t c = 0; c < 0x110000; ++c) {
      if (c >= 0xd800 && c < 0xe000) continue;
      text.clear();
      append_utf8(text, c);
      const bool found = made->search(text, 0).found == Pattern::Found::match;
      differ += found != ((class_table()[c] & bit) != 0) ? 1 : 0;
    }
    EXPECT_EQ(differ, 0) << pattern;
  }
}

TEST(Unicode, LengthsAndValidPrefixes) {
  EXPECT_EQ(valid_prefix("abcdefgh\xc3\xa9x"), 11U);
  EXPECT_EQ(valid_prefix("ab\xc0\x80"), 2U);
  EXPECT_EQ(valid_prefix("\xed\xa0\x80"), 0U);  // a surrogate
  EXPECT_EQ(valid_prefix("\xf4\x90\x80\x80"), 0U);
  EXPECT_EQ(unfinished_suffix("a\xe4\xbd"), 2U);
  EXPECT_EQ(unfinished_suffix("a\xf0\x9f\x98"), 3U);
  EXPECT_EQ(unfinished_suffix("a\xf0\x8f"), 0U);  // nothing makes this whole
  EXPECT_EQ(unfinished_suffix("\xe4\xbd\xa0"), 0U);
  EXPECT_EQ(unfinished_suffix("\xff"), 0U);
}

}  // namespace
}  // namespace seedbed::engine::text
