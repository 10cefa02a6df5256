// The same request gives the same bytes: on one thread, on two, and in two shards merged.
#include <gtest/gtest.h>

#include "program.h"

namespace seedbed::e2e {
namespace {

std::vector<std::string> generate(const std::string& out, const std::vector<std::string>& more) {
  std::vector<std::string> words = {"gen", "--envs", "8", "--tasks-per-env", "6", "--seed",
                                    "5",   "--out",  out};
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

TEST(SameBytes, OneThreadTwoThreadsAndTwoShardsMerged) {
  Folder folder;
  const auto one = folder.file("one.db"), two = folder.file("two.db"),
             merged = folder.file("merged.db");
  ASSERT_EQ(seedbed(generate(one, {"--jobs", "1"})).code, 0);
  ASSERT_EQ(seedbed(generate(two, {"--jobs", "2"})).code, 0);
  ASSERT_EQ(seedbed(generate(folder.file("s0.db"), {"--shard", "0/2"})).code, 0);
  ASSERT_EQ(seedbed(generate(folder.file("s1.db"), {"--shard", "1/2"})).code, 0);
  const auto wanted = digest(one);
  ASSERT_NE(wanted, "");
  EXPECT_EQ(digest(two), wanted);
  const auto merge = seedbed({"merge", merged, folder.file("s0.db"), folder.file("s1.db")});
  ASSERT_EQ(merge.code, 0) << merge.err;
  EXPECT_EQ(digest(merged), wanted);
  EXPECT_NE(digest(folder.file("s0.db")), wanted) << "a shard is not the whole";
  // Merged the other way round, and once more on top: the same.
  ASSERT_EQ(seedbed({"merge", merged, folder.file("s1.db"), "--fresh"}).code, 0);
  ASSERT_EQ(seedbed({"merge", merged, folder.file("s0.db"), folder.file("s1.db")}).code, 0);
  EXPECT_EQ(digest(merged), wanted);
}

TEST(SameBytes, AnotherSeedGivesAnotherStore) {
  Folder folder;
  ASSERT_EQ(seedbed({"gen", "--envs", "2", "--tasks-per-env", "3", "--seed", "5", "--out",
                     folder.file("a.db")})
                .code,
            0);
  ASSERT_EQ(seedbed({"gen", "--envs", "2", "--tasks-per-env", "3", "--seed", "6", "--out",
                     folder.file("b.db")})
                .code,
            0);
  EXPECT_NE(digest(folder.file("a.db")), digest(folder.file("b.db")));
}

TEST(SameBytes, RunsOfTheSameSeedAgreeOnOneLaneTwoLanesAndTwoShards) {
  ASSERT_TRUE(exists(small_store())) << small_store();
  Folder folder;
  const auto one = folder.file("one.db"), two = folder.file("two.db"), a = folder.file("a.db"),
             b = folder.file("b.db");
  for (const auto& path : {one, two, a, b}) copy_file(small_store(), path);
  const auto run = [](const std::string& store, const std::vector<std::string>& more) {
    std::vector<std::string> words = {"run",       store, "--policy", "random",
                                      "--samples", "3",   "--seed",   "9"};
    words.insert(words.end(), more.begin(), more.end());
    return seedbed(words).code;
  };
  ASSERT_EQ(run(one, {"--jobs", "1"}), 0);
  ASSERT_EQ(run(two, {"--jobs", "2"}), 0);
  ASSERT_EQ(run(a, {"--shard", "0/2"}), 0);
  ASSERT_EQ(run(b, {"--shard", "1/2"}), 0);
  const auto wanted = digest(one);
  ASSERT_NE(wanted, "");
  EXPECT_NE(wanted, digest(small_store())) << "the runs are part of the digests";
  EXPECT_EQ(digest(two), wanted);
  ASSERT_EQ(seedbed({"merge", folder.file("merged.db"), a, b}).code, 0);
  EXPECT_EQ(digest(folder.file("merged.db")), wanted);
  ASSERT_EQ(run(one, {}), 0);  // again on its own store: nothing new
  EXPECT_EQ(digest(one), wanted);
}

}  // namespace
}  // namespace seedbed::e2e
