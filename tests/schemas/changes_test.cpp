#include <gtest/gtest.h>

#include <limits>

#include "base/rng.h"
#include "schemas/call.h"

namespace seedbed::schemas {
namespace {

std::vector<RowChange> sample() {
  return {{0, "orders", {}, {std::int64_t{1}, "caf\xc3\xa9", std::monostate{}}},
          {0,
           "orders",
           {std::int64_t{1}, "x", std::monostate{}},
           {std::int64_t{1}, "", std::int64_t{-5}}},
          {7, "items", {std::numeric_limits<std::int64_t>::min(), std::string("a\0b", 3)}, {}}};
}
std::string refusal(std::string_view bytes) {
  const auto r = decode_changes(bytes);
  EXPECT_FALSE(r.ok());
  return r.ok() ? "" : r.error().message;
}

TEST(Changes, RoundTripGivesTheSameChangesAndTheSameBytes) {
  for (const auto& changes : {std::vector<RowChange>{}, sample()}) {
    const auto bytes = encode_changes(changes);
    const auto back = decode_changes(bytes);
    ASSERT_TRUE(back.ok()) << back.error().message;
    EXPECT_EQ(*back, changes);
    EXPECT_EQ(encode_changes(*back), bytes);
  }
}

TEST(Changes, TheBytesAreLittleEndianAndStayAsTheyAre) {
  const auto bytes = encode_changes({{1, "t", {}, {std::int64_t{258}, "ab", std::monostate{}}}});
  const std::string_view wanted(
      "SBCH\x01"
      "\x01\0\0\0"
      "\x01\0\0\0"
      "\x01\0\0\0t"
      "\0\0"
      "\x03\0"
      "\x01\x02\x01\0\0\0\0\0\0"
      "\x02\x02\0\0\0ab"
      "\0",
      39);
  EXPECT_EQ(bytes, wanted);
}

TEST(Changes, BytesCutAnywhereOrWithATailAreRefused) {
  const auto bytes = encode_changes(sample());
  for (std::size_t n = 0; n < bytes.size(); ++n)
    EXPECT_NE(refusal(std::string_view(bytes).substr(0, n)), "") << n;
  EXPECT_NE(refusal(bytes + '\0').find("1 bytes after the last change"), std::string::npos);
}

TEST(Changes, WrongFormatVersionCountOrValueIsRefusedByName) {
  const auto bytes = encode_changes(sample());
  const auto with = [&bytes](std::size_t at, char c) {
    auto out = bytes;
    out[at] = c;
    return out;
  };
  EXPECT_NE(refusal(with(0, 'X')).find("another format"), std::string::npos);
  EXPECT_NE(refusal(with(4, 9)).find("found version 9, wanted 1"), std::string::npos);
  EXPECT_NE(refusal(with(8, 1)).find("wanted at most 1000000"), std::string::npos);
  EXPECT_NE(refusal(with(12, '\xff')).find("negative call index"), std::string::npos);
  EXPECT_NE(refusal(with(27, 3)).find("found value kind 3"), std::string::npos);
}

TEST(Changes, RowsThatCannotBeAreRefused) {
  EXPECT_NE(refusal(encode_changes({{0, "t", {}, {}}})).find("without rows"), std::string::npos);
  EXPECT_NE(refusal(encode_changes({{0, "", {}, {Scalar{}}}})).find("table name of 0 bytes"),
            std::string::npos);
  EXPECT_NE(refusal(encode_changes({{0, "t", {Scalar{}}, {Scalar{}, Scalar{}}}}))
                .find("from 1 to 2 columns"),
            std::string::npos);
  EXPECT_NE(refusal(encode_changes({{0, "t", {}, {"\xff"}}})).find("invalid UTF-8"),
            std::string::npos);
  EXPECT_NE(
      refusal(encode_changes({{0, "t", {}, std::vector<Scalar>(2001)}})).find("too many values"),
      std::string::npos);
  EXPECT_NE(refusal(encode_changes({{-1, "t", {}, {Scalar{}}}})).find("negative call index"),
            std::string::npos);
}

TEST(Changes, CountsThatPromiseMoreThanTheBytesHoldTakeNoMemory) {
  // One million changes promised in nine bytes, and a row of 2,000 columns in two.
  EXPECT_NE(refusal(std::string_view("SBCH\x01\x40\x42\x0f\0", 9)), "");
  EXPECT_NE(refusal(std::string_view("SBCH\x01\x01\0\0\0\0\0\0\0\x01\0\0\0t\xd0\x07", 20))
                .find("column count beyond the end"),
            std::string::npos);
  EXPECT_NE(refusal(std::string((64U << 20) + 1, '\0')).find("wanted at most 67108864"),
            std::string::npos);
}

TEST(Changes, MutatedBytesAreRefusedOrReadToTheOneFormTheyHave) {
  const auto bytes = encode_changes(sample());
  Rng rng(3);
  int accepted = 0, refused = 0;
  for (int i = 0; i < 100'000; ++i) {
    auto mutated = bytes;
    for (auto n = 1 + rng.below(4); n > 0; --n) {
      const auto at = static_cast<std::size_t>(rng.below(mutated.size()));
      switch (rng.below(4)) {
        case 0:
          mutated[at] = static_cast<char>(rng.below(256));
          break;
        case 1:
          mutated[at] = static_cast<char>(mutated[at] ^ (1 << rng.below(8)));
          break;
        case 2:
          mutated.erase(at, 1 + static_cast<std::size_t>(rng.below(4)));
          break;
        default:
          mutated.insert(at, 1 + static_cast<std::size_t>(rng.below(4)),
                         static_cast<char>(rng.below(4)));
          break;
      }
      if (mutated.empty()) mutated = "S";
    }
    const auto back = decode_changes(mutated);
    if (!back.ok()) {
      ++refused;
      continue;
    }
    ++accepted;
    ASSERT_EQ(encode_changes(*back), mutated);
  }
  EXPECT_GT(accepted, 1'000);
  EXPECT_GT(refused, 50'000);
}

}  // namespace
}  // namespace seedbed::schemas
