// A server's files as a SQLite image and back.
#include "envgen/from_mcp/file_image.h"

#include <gtest/gtest.h>

#include "sandbox/hosts/file_rows.h"
#include "tasks/image.h"

namespace seedbed::envgen {
namespace {

using sandbox::kMostText;
using sandbox::WorkState;
using Kind = sandbox::WorkEntry::Kind;

WorkState some_files() {
  WorkState out;
  const std::string binary("\x00\xff\x80 bytes", 9);
  out.entries = {{Kind::folder, "a", 0755, ""},
                 {Kind::file, "a/b.txt", 0644, "a text\n"},
                 {Kind::file, "a/run", 0755, ""},
                 {Kind::link, "a/to", 0, "b.txt"},
                 {Kind::link, "a/to odd", 0, "\xff"},
                 {Kind::file, "a-b", 0600, binary},  // '-' is less than '/'
                 {Kind::file, "large", 0644, std::string(kMostText + 1, 'x')},
                 {Kind::file, "larger", 0644, std::string(2'500'000, '\xfe') + "end"}};
  return out;
}

TEST(FileImage, GivesTheSameFilesBack) {
  const WorkState files = some_files();
  const auto image = image_of(files);
  ASSERT_TRUE(image.ok()) << image.error().message;
  const auto back = files_of(*image);
  ASSERT_TRUE(back.ok()) << back.error().message;
  ASSERT_EQ(back->entries.size(), files.entries.size());
  for (std::size_t i = 0; i < files.entries.size(); ++i) {
    EXPECT_EQ(back->entries[i].path, files.entries[i].path);
    EXPECT_EQ(back->entries[i].bytes, files.entries[i].bytes) << files.entries[i].path;
    EXPECT_EQ(back->entries[i].mode, files.entries[i].mode);
    EXPECT_EQ(back->entries[i].kind, files.entries[i].kind);
  }
  EXPECT_EQ(back->digest(), files.digest());
  EXPECT_EQ(*image_of(*back), *image) << "same files, same bytes";
}

TEST(FileImage, NamesThatAreNoTextAreRefused) {
  WorkState files;
  files.entries = {{Kind::file, "\xff", 0644, ""}};
  const auto image = image_of(files);
  ASSERT_FALSE(image.ok());
  EXPECT_NE(image.error().message.find("\\xff"), std::string::npos) << image.error().message;
}

// The image comes from a store that somebody else may have written.
TEST(FileImage, HostileImagesAreRefused) {
  const std::vector<std::string> tables = {
      "CREATE TABLE file (path TEXT NOT NULL PRIMARY KEY, kind TEXT, mode INTEGER, size INTEGER, "
      "hash TEXT, text TEXT)",
      "CREATE TABLE binary (path TEXT NOT NULL, part INTEGER NOT NULL, hex TEXT NOT NULL)"};
  const char* const rows[] = {
      "INSERT INTO file VALUES ('../up', 'file', 420, 0, '', '')",
      "INSERT INTO file VALUES ('/etc/passwd', 'file', 420, 0, '', '')",
      "INSERT INTO file VALUES ('a//b', 'file', 420, 0, '', '')",
      "INSERT INTO file VALUES ('', 'file', 420, 0, '', '')",
      "INSERT INTO file VALUES ('a', 'device', 420, 0, '', '')",
      "INSERT INTO file VALUES ('a', 'file', 65535, 0, '', '')",
      "INSERT INTO file VALUES ('a', 'file', 'x', 0, '', '')",
      "INSERT INTO file VALUES ('a', 'file', 420, 0, '', x'00')",
      "INSERT INTO binary VALUES ('nowhere', 0, '00')",
      "INSERT INTO file VALUES (CAST(x'ff' AS TEXT), 'file', 420, 0, '', '')",
      "INSERT INTO file VALUES ('no/folder', 'file', 420, 0, '', '')",
      "INSERT INTO file VALUES ('f', 'file', 420, 0, '', ''), ('f/g', 'file', 420, 0, '', '')",
      "INSERT INTO file VALUES ('d', 'folder', 493, 0, '', 'text')",
  };
  for (const char* row : rows) {
    auto ddl = tables;
    ddl.emplace_back(row);
    const auto image = tasks::build_image(ddl, {});
    ASSERT_TRUE(image.ok()) << image.error().message;
    EXPECT_FALSE(files_of(*image).ok()) << row;
  }
  auto odd = tables;
  odd.emplace_back("INSERT INTO file VALUES ('a', 'file', 420, 0, '', NULL)");
  odd.emplace_back("INSERT INTO binary VALUES ('a', 0, '0g')");
  EXPECT_FALSE(files_of(*tasks::build_image(odd, {})).ok());
  EXPECT_FALSE(files_of("no database").ok());
  EXPECT_FALSE(
      files_of(*tasks::build_image({"CREATE TABLE t (a INTEGER PRIMARY KEY NOT NULL)"}, {})).ok());
}

}  // namespace
}  // namespace seedbed::envgen
