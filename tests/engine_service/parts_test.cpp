// The small parts: stop strings, base64, remembered samples, members of a request.
#include <gtest/gtest.h>

#include "base/rng.h"
#include "engine/service/base64.h"
#include "engine/service/fields.h"
#include "engine/service/sampled_texts.h"
#include "engine/service/stop_finder.h"
#include "kit.h"

namespace seedbed {
namespace {

using namespace engine::service;  // NOLINT(google-build-using-namespace)

TEST(StopFinder, FindsTheSameHoweverTheTextIsCut) {
  Rng rng(5);
  for (int round = 0; round < 2'000; ++round) {
    std::string text;
    for (int i = 0; i < 30; ++i) text += static_cast<char>('a' + rng.below(3));
    std::vector<std::string> stops;
    for (std::uint64_t i = 0; i <= rng.below(3); ++i) {
      std::string stop;
      for (std::uint64_t k = 0; k <= rng.below(4); ++k)
        stop += static_cast<char>('a' + rng.below(3));
      stops.push_back(stop);
    }
    // The oracle: the match that ends first, of those the one that begins first.
    std::size_t begin = text.size(), end = std::string::npos;
    for (const auto& stop : stops)
      if (const auto at = text.find(stop); at != std::string::npos)
        if (at + stop.size() < end || (at + stop.size() == end && at < begin)) {
          begin = at;
          end = at + stop.size();
        }
    StopFinder finder(stops);
    std::string got;
    for (std::size_t at = 0; at < text.size() && !finder.found();) {
      const std::size_t step = 1 + rng.below(4);
      got += finder.push(text.substr(at, step));
      EXPECT_EQ(text.compare(0, got.size(), got), 0);
      EXPECT_LE(got.size(), begin);
      at += step;
    }
    got += finder.flush();
    EXPECT_EQ(got, text.substr(0, begin)) << text;
    EXPECT_EQ(finder.found(), end != std::string::npos);
  }
}

TEST(StopFinder, GivesOutAtOnceWhatCanBeginNoStop) {
  StopFinder finder({"STOP"});
  EXPECT_EQ(finder.push("a"), "a");
  EXPECT_EQ(finder.push("bS"), "b");
  EXPECT_EQ(finder.push("T"), "");
  EXPECT_EQ(finder.push("x"), "STx");
  EXPECT_EQ(finder.push("STO"), "");
  EXPECT_EQ(finder.flush(), "STO");
}

TEST(Base64, SpellsTheVectorsOfTheStandard) {
  const auto of = [](std::string_view text) {
    return base64(std::as_bytes(std::span(text.data(), text.size())));
  };
  EXPECT_EQ(of(""), "");
  EXPECT_EQ(of("f"), "Zg==");
  EXPECT_EQ(of("fo"), "Zm8=");
  EXPECT_EQ(of("foo"), "Zm9v");
  EXPECT_EQ(of("foobar"), "Zm9vYmFy");
  EXPECT_EQ(of(std::string("\xff\x00\xfe", 3)), "/wD+");
}

TEST(SampledTexts, KeepWhatFitsTheLastUsedLongest) {
  SampledTexts texts(3 * (160 + 10 + 40));
  const std::vector<std::int32_t> ids(10, 7);
  const auto name = [](int i) { return "text-" + std::to_string(10'000 + i); };
  for (int i = 0; i < 3; ++i) texts.put(0, 1, name(i), ids);
  std::vector<std::int32_t> got;
  EXPECT_TRUE(texts.find(0, 1, name(0), got));
  EXPECT_EQ(got, ids);
  texts.put(0, 1, name(3), ids);  // the second is the one used least
  got.clear();
  EXPECT_TRUE(texts.find(0, 1, name(0), got));
  EXPECT_FALSE(texts.find(0, 1, name(1), got));
  EXPECT_TRUE(texts.find(0, 1, name(3), got));
  EXPECT_LE(texts.bytes(), 3U * 210U);
  // Only after the ids that it was sampled after, and in its session.
  EXPECT_FALSE(texts.find(0, 2, name(0), got));
  EXPECT_FALSE(texts.find(5, 1, name(0), got));
}

TEST(SampledTexts, TellMarkersFromTheSameBytesInText) {
  const engine::chat::Segments marker{{"a", false, 0}, {"</think>", true, 0}, {"b", false, 0}};
  const engine::chat::Segments text{{"a</think>b", false, 0}};
  EXPECT_NE(spelled(marker), spelled(text));
}

TEST(Fields, RefuseWrongKindsAndNameThem) {
  const auto body = test::parsed(
      R"({"a": "x", "b": 1.5, "c": 7, "d": null, "e": [1, -1], "f": ["s", 2], "g": 3.0})");
  std::int64_t n = 4;
  double x = 0;
  bool yes = false;
  std::vector<std::int32_t> ids;
  std::vector<std::string> texts;
  EXPECT_TRUE(Fields(body).integer("c", n, 0, 10));
  EXPECT_EQ(n, 7);
  EXPECT_TRUE(Fields(body).integer("g", n, 0, 10));
  EXPECT_EQ(n, 3);
  EXPECT_FALSE(Fields(body).integer("d", n, 0, 10));  // null is absent
  const auto refused = [&](auto read) {
    Fields fields(body, "p.");
    EXPECT_FALSE(read(fields));
    EXPECT_FALSE(fields.ok());
    return fields.ok() ? "" : fields.refusal()->param;
  };
  EXPECT_EQ(refused([&](Fields& f) { return f.number("a", x, 0, 1); }), "p.a");
  EXPECT_EQ(refused([&](Fields& f) { return f.integer("b", n, 0, 9); }), "p.b");
  EXPECT_EQ(refused([&](Fields& f) { return f.integer("c", n, 0, 6); }), "p.c");
  EXPECT_EQ(refused([&](Fields& f) { return f.boolean("c", yes); }), "p.c");
  EXPECT_EQ(refused([&](Fields& f) { return f.ids("e", ids, 10, 5); }), "p.e");
  EXPECT_EQ(refused([&](Fields& f) { return f.texts("f", texts, 5); }), "p.f");
  EXPECT_EQ(refused([&](Fields& f) { return f.texts("f", texts, 1); }), "p.f");
}

}  // namespace
}  // namespace seedbed
