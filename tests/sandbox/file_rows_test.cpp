// What changed between two states of files, as rows; hashes of trees.
#include "sandbox/hosts/file_rows.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "sandbox/hosts/tree_hash.h"

namespace seedbed::sandbox {
namespace {

namespace fs = std::filesystem;
using Kind = WorkEntry::Kind;

WorkState some_files() {
  WorkState out;
  const std::string binary("\x00\xff\x80 bytes", 9);
  out.entries = {{Kind::folder, "a", 0755, ""},
                 {Kind::file, "a/b.txt", 0644, "a text\n"},
                 {Kind::file, "a/run", 0755, ""},
                 {Kind::link, "a/to", 0, "b.txt"},
                 {Kind::file, "a-b", 0600, binary},  // '-' is less than '/'
                 {Kind::file, "large", 0644, std::string(kMostText + 1, 'x')}};
  return out;
}

TEST(FileRows, TellsChangesByPath) {
  const WorkState before = some_files();
  WorkState after = before;
  after.entries[1].bytes = "another\n";
  after.entries.erase(after.entries.begin() + 3);
  after.entries.push_back({Kind::file, "z\xff", 0644, "new"});
  const auto changes = file_changes(before, after, 4);
  ASSERT_EQ(changes.size(), 3U);
  for (const auto& change : changes) {
    EXPECT_EQ(change.call, 4);
    EXPECT_EQ(change.table, "file");
  }
  EXPECT_TRUE(changes[0].before.empty());
  EXPECT_EQ(std::get<std::string>(changes[0].after[0]), "//z\\xff") << "as no other path is told";
  EXPECT_EQ(std::get<std::string>(changes[1].before[5]), "a text\n");
  EXPECT_EQ(std::get<std::string>(changes[1].after[5]), "another\n");
  EXPECT_TRUE(changes[2].after.empty()) << "a/to is gone";
  EXPECT_TRUE(file_changes(before, before, 0).empty());
}

class TreeHash : public ::testing::Test {
 protected:
  TreeHash() {
    std::string name = (fs::temp_directory_path() / "tree_XXXXXX").string();
    root_ = ::mkdtemp(name.data());
    put("a/one", "1");
    put("two", "2");
  }
  ~TreeHash() override { fs::remove_all(root_); }
  void put(const std::string& path, const std::string& text) {
    fs::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path) << text;
  }
  std::string hash(const std::string& path = "") {
    const auto made = tree_hash((root_ / path).string());
    EXPECT_TRUE(made.ok()) << made.error().message;
    return made.ok() ? *made : "";
  }
  fs::path root_;
};

TEST_F(TreeHash, IsOfNamesAndContents) {
  const std::string first = hash();
  EXPECT_EQ(hash(), first);
  put("a/__pycache__/one.pyc", "cached");
  EXPECT_EQ(hash(), first) << "what Python caches does not count";
  put("a/one", "3");
  const std::string other = hash();
  EXPECT_NE(other, first);
  put("a/one", "1");
  EXPECT_EQ(hash(), first) << "times do not count";
  fs::permissions(root_ / "two", fs::perms::owner_exec, fs::perm_options::add);
  EXPECT_NE(hash(), first) << "whether it may be run does";
  fs::permissions(root_ / "two", fs::perms::owner_exec, fs::perm_options::remove);
  fs::rename(root_ / "two", root_ / "three");
  EXPECT_NE(hash(), first);
  fs::rename(root_ / "three", root_ / "two");
  fs::create_symlink("two", root_ / "link");
  EXPECT_NE(hash(), first);
  EXPECT_EQ(hash("link"), hash("two")) << "a mount of one file is what it leads to";
}

TEST_F(TreeHash, SaysWhatIsNotThere) {
  const auto none = tree_hash((root_ / "none").string());
  ASSERT_FALSE(none.ok());
  EXPECT_NE(none.error().message.find("found nothing there"), std::string::npos);
}

}  // namespace
}  // namespace seedbed::sandbox
