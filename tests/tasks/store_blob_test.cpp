#include <gtest/gtest.h>

#include "base/hash.h"
#include "base/rng.h"
#include "tasks/blob.h"

namespace seedbed::tasks {
namespace {

TEST(Blob, BytesComeBack) {
  BlobCodec codec;
  for (const std::string& bytes :
       {std::string(), std::string("x"), std::string(1 << 20, 'a'), std::string("a\0b", 3)}) {
    const auto frame = codec.compress(bytes);
    ASSERT_TRUE(frame.ok());
    const auto back = codec.decompress(std::string(*frame), bytes.size(), content_hash(bytes));
    ASSERT_TRUE(back.ok()) << back.error().message;
    EXPECT_EQ(*back, bytes);
  }
}

TEST(Blob, AnotherSizeHashOrFrameIsRefused) {
  BlobCodec codec;
  const std::string bytes(10'000, 'b');
  const auto compressed = codec.compress(bytes);
  const std::string frame(*compressed);
  const std::string hash = content_hash(bytes);
  EXPECT_FALSE(codec.decompress(frame, bytes.size() - 1, hash).ok());
  EXPECT_FALSE(codec.decompress(frame, kMaxBlobBytes + 1, hash).ok());
  EXPECT_FALSE(codec.decompress(frame, bytes.size(), content_hash("other")).ok());
  EXPECT_FALSE(codec.decompress(frame.substr(0, frame.size() - 1), bytes.size(), hash).ok());
  EXPECT_FALSE(codec.decompress(frame + frame, bytes.size(), hash).ok());
  EXPECT_FALSE(codec.decompress("", 0, content_hash("")).ok());
  Rng rng(2);
  for (int i = 0; i < 500; ++i) {
    std::string bad = frame;
    bad[static_cast<std::size_t>(rng.below(bad.size()))] = static_cast<char>(rng.below(256));
    const auto back = codec.decompress(bad, bytes.size(), hash);
    if (back.ok()) {
      EXPECT_EQ(*back, bytes);
    }
  }
}

TEST(Blob, SectionsComeBackAndMalformedOnesAreRefused) {
  const std::string packed = pack_sections({"abc", "", std::string_view("\0\1", 2)});
  const auto back = unpack_sections(packed, 3);
  ASSERT_TRUE(back.ok());
  EXPECT_EQ((*back)[0], "abc");
  EXPECT_EQ((*back)[2].size(), 2U);
  EXPECT_FALSE(unpack_sections(packed, 2).ok());
  EXPECT_FALSE(unpack_sections(packed, 4).ok());
  for (std::size_t cut = 0; cut < packed.size(); ++cut)
    EXPECT_FALSE(unpack_sections(packed.substr(0, cut), 3).ok()) << cut;
  EXPECT_FALSE(unpack_sections("\xFF\xFF\xFF\xFFx", 1).ok());
}

}  // namespace
}  // namespace seedbed::tasks
