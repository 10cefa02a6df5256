#include "engine/text/detokenizer.h"

#include "base/text.h"
#include "tests/engine_text/kit.h"

namespace seedbed::engine::text {
namespace {

std::int32_t byte_id(unsigned byte) {
  const auto c = static_cast<char>(byte);
  return *small_tokenizer().id_of({&c, 1});
}

TEST(Detokenizer, HoldsACharacterBackUntilItIsWhole) {
  Detokenizer stream(small_tokenizer());
  const std::string emoji = "🫠";
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(stream.push(byte_id(static_cast<unsigned char>(emoji[i]))), "");
    EXPECT_EQ(stream.held_bytes(), i + 1);
  }
  EXPECT_EQ(stream.push(byte_id(static_cast<unsigned char>(emoji[3]))), emoji);
  EXPECT_EQ(stream.flush(), "");
}

TEST(Detokenizer, PassesOnWhatCannotBecomeACharacter) {
  Detokenizer stream(small_tokenizer());
  EXPECT_EQ(stream.push(byte_id(0xe4)), "");
  EXPECT_EQ(stream.push(byte_id('a')),
            "\xe4"
            "a");
  EXPECT_EQ(stream.push(byte_id(0xff)), "\xff");
  EXPECT_EQ(stream.push(byte_id(0xf0)), "");
  EXPECT_EQ(stream.flush(), "\xf0");
  EXPECT_EQ(stream.flush(), "");
}

TEST(Detokenizer, PiecesTogetherAreTheDecodedText) {
  auto rng = rng_for(5, "detokenizer", 0, "ids");
  const auto& t = small_tokenizer();
  for (int i = 0; i < 4000; ++i) {
    std::vector<std::int32_t> ids;
    if (i % 2 == 0) {
      ids = t.encode(random_text(rng, 8));
    } else {
      for (auto n = rng.below(20); n > 0; --n)
        ids.push_back(static_cast<std::int32_t>(rng.below(610)));
    }
    Detokenizer stream(t, {.skip_special = i % 3 == 0});
    std::string all;
    for (const auto id : ids) {
      const auto piece = stream.push(id);
      if (i % 2 == 0) {
        EXPECT_TRUE(is_valid_utf8(piece));
      }
      EXPECT_LE(stream.held_bytes(), 3U);
      all += piece;
    }
    all += stream.flush();
    ASSERT_EQ(all, t.decode(ids, {.skip_special = i % 3 == 0}));
  }
}

}  // namespace
}  // namespace seedbed::engine::text
