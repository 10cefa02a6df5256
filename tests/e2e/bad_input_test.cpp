// Damaged, foreign and hostile inputs: exit code 2 or 3, one message that says what, where, found
// and wanted, what to do, and nothing half-written.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

#include "program.h"

namespace seedbed::e2e {
namespace {

struct BadStore {
  const char* name;
  std::function<void(const std::string& path)> make;
  const char* says;
};

void patch(const std::string& path, std::size_t at, const std::string& bytes) {
  auto text = read_text(path);
  ASSERT_GE(text.size(), at + bytes.size());
  text.replace(at, bytes.size(), bytes);
  write_text(path, text);
}

// Offsets are those of SQLite's file header: 60 user version, 68 application id.
const std::vector<BadStore>& bad_stores() {
  static const std::vector<BadStore> all = {
      {"text",
       [](const auto& path) {
         write_text(path, "these are my notes, not a database, and they are dear to me\n");
       },
       "store"},
      {"cut",
       [](const auto& path) { write_text(path, read_text(small_store()).substr(0, 20'000)); },
       "damaged"},
      {"foreign",
       [](const auto& path) {
         copy_file(small_store(), path);
         patch(path, 68, std::string("\x01\x02\x03\x04", 4));
       },
       "store"},
      {"newer",
       [](const auto& path) {
         copy_file(small_store(), path);
         patch(path, 60, std::string("\0\0\x03\xe7", 4));
       },
       "999"},
  };
  return all;
}

TEST(BadStore, IsRefusedByEveryCommandAndLeftAsItWas) {
  ASSERT_TRUE(exists(small_store())) << small_store();
  Folder folder;
  const auto path = folder.file("a.db");
  for (const auto& bad : bad_stores()) {
    bad.make(path);
    const auto before = read_text(path);
    const std::vector<std::vector<std::string>> commands = {
        {"stats", path},
        {"gen", "--out", path, "--envs", "1"},
        {"run", path, "--policy", "nop"},
        {"verify-pack", path},
        {"reverify", path},
        {"export", path, "--format", "trl", "--out", folder.file("export")},
        {"merge", folder.file("merged.db"), path},
    };
    for (const auto& command : commands) {
      const auto ended = seedbed(command, 60);
      EXPECT_EQ(ended.code, 3) << bad.name << ", " << command[0] << ": " << ended.err;
      EXPECT_NE(ended.err.find(path), std::string::npos) << ended.err;
      EXPECT_NE(ended.err.find(bad.says), std::string::npos) << bad.name << ": " << ended.err;
      EXPECT_NE(ended.err.find("; "), std::string::npos) << "no advice: " << ended.err;
      EXPECT_TRUE(read_text(path) == before) << bad.name << " was changed by " << command[0];
    }
    EXPECT_FALSE(exists(folder.file("merged.db")));
    EXPECT_FALSE(exists(folder.file("export")));
  }
}

TEST(BadStore, AMissingFileIsNamedAndNotMade) {
  Folder folder;
  for (const auto* command : {"stats", "reverify", "verify-pack"}) {
    const auto ended = seedbed({command, folder.file("none.db")});
    EXPECT_EQ(ended.code, 3) << ended.err;
    EXPECT_NE(ended.err.find("none.db"), std::string::npos);
    EXPECT_FALSE(exists(folder.file("none.db")));
  }
}

TEST(Request, AnotherOneOnTheSameStoreIsRefusedWithTheDifference) {
  ASSERT_TRUE(exists(small_store())) << small_store();
  Folder folder;
  const auto path = folder.file("a.db");
  copy_file(small_store(), path);
  const auto before = digest(path);
  const auto ended =
      seedbed({"gen", "--envs", "4", "--tasks-per-env", "5", "--seed", "12", "--out", path});
  EXPECT_TRUE(ended.code == 2 || ended.code == 3) << ended.code;
  EXPECT_NE(ended.err.find("11"), std::string::npos) << ended.err;
  EXPECT_NE(ended.err.find("12"), std::string::npos) << ended.err;
  EXPECT_EQ(digest(path), before);
  const auto fresh = seedbed(
      {"gen", "--envs", "2", "--tasks-per-env", "3", "--seed", "12", "--out", path, "--fresh"});
  EXPECT_EQ(fresh.code, 0) << fresh.err;
  EXPECT_NE(digest(path), before);
}

struct BadPack {
  const char* name;
  const char* file;
  const char* text;
  std::vector<const char*> says;
};

TEST(BadPack, IsRefusedByFileAndPlaceBeforeAnythingIsWritten) {
  const BadPack table[] = {
      {"cyclic role",
       "mechanisms/loop.json",
       R"({"mechanism":"loop","about":"a circle","roles":{"a":"Party"},"concepts":{
            "x":{"words":[["x","xs"]],"id":"X","attrs":{"y":{"type":"ref y","noun":"y"}},"rows":{"count":"3..4"}},
            "y":{"words":[["y","ys"]],"id":"Y","attrs":{"x":{"type":"ref x","noun":"x"}},"rows":{"count":"3..4"}}},
            "transitions":{}})",
       {"loop", "cycl"}},
      {"no JSON", "lexicons/half.json", R"({"lexicon": "half", )", {"half.json"}},
      {"wrong kind", "mechanisms/kind.json", R"({"mechanism":7})", {"kind.json"}},
  };
  for (const auto& bad : table) {
    Folder folder;
    write_text(folder.file(std::string("pack/") + bad.file), bad.text);
    const auto out = folder.file("a.db");
    for (const auto& words : {std::vector<std::string>{"gen", "--out", out, "--envs", "1", "--pack",
                                                       folder.file("pack")},
                              std::vector<std::string>{"pack", "check", folder.file("pack")}}) {
      const auto ended = seedbed(words, 60);
      EXPECT_TRUE(ended.code == 2 || ended.code == 3 || (words[0] == "pack" && ended.code == 1))
          << bad.name << ": " << ended.code;
      for (const auto* part : bad.says)
        EXPECT_NE((ended.err + ended.out).find(part), std::string::npos)
            << bad.name << " should say " << part << ": " << ended.err;
      EXPECT_FALSE(exists(out));
    }
  }
}

TEST(BadPack, AnUnknownKeyNamesTheNearest) {
  const std::string source = SEEDBED_SOURCE_DIR "/envgen/packs/mechanisms/reservation.json";
  auto text = read_text(source);
  const auto at = text.find("\"reservation\"");
  ASSERT_NE(at, std::string::npos);
  text.replace(at, 13, "\"misspelt\", \"rolls\": {}");
  Folder folder;
  write_text(folder.file("pack/mechanisms/misspelt.json"), text);
  const auto ended = seedbed({"gen", "--out", folder.file("a.db"), "--pack", folder.file("pack")});
  EXPECT_TRUE(ended.code == 2 || ended.code == 3) << ended.code;
  for (const char* part : {"misspelt.json", "'rolls'", "'roles'"})
    EXPECT_NE(ended.err.find(part), std::string::npos) << part << ": " << ended.err;
  EXPECT_FALSE(exists(folder.file("a.db")));
}

TEST(Machine, WithoutNamespacesTheMissingLayerIsNamed) {
  ASSERT_TRUE(exists(small_store())) << small_store();
  Folder folder;
  copy_file(small_store(), folder.file("a.db"));
  // Inside a user namespace whose limit for further ones is 0, no jail can be made.
  const std::string inside =
      "for k in user mnt pid net ipc uts cgroup; do echo 0 > /proc/sys/user/max_${k}_namespaces; "
      "done 2>/dev/null; exec \"$@\"";
  const auto probe = run_words({"unshare", "--user", "--map-root-user", "sh", "-c", inside, "sh",
                                "unshare", "--mount", "true"});
  if (probe.code == 0 || probe.err.find("unshare") == std::string::npos)
    GTEST_SKIP() << "namespaces cannot be forbidden here: " << probe.err;
  const auto run = run_words({"unshare", "--user", "--map-root-user", "sh", "-c", inside, "sh",
                              program(), "run", folder.file("a.db"), "--policy", "nop"},
                             60);
  EXPECT_EQ(run.code, 3) << run.out << run.err;
  EXPECT_NE(run.err.find("_ns"), std::string::npos)
      << "the missing layer should be named: " << run.err;
  const auto doctor = run_words({"unshare", "--user", "--map-root-user", "sh", "-c", inside, "sh",
                                 program(), "doctor", "--json"},
                                60);
  EXPECT_EQ(doctor.code, 1) << doctor.err;
  EXPECT_NE(doctor.out.find("\"available\":false"), std::string::npos) << doctor.out;
}

}  // namespace
}  // namespace seedbed::e2e
