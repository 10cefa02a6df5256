// The command line of a server, as people quote it, and which flags `gen` takes beside it.
#include "cli/from_mcp.h"

#include <gtest/gtest.h>

#include <atomic>

namespace seedbed::cli {
namespace {

// What `gen` says of the words in the way of an error; "" where there is none. A dry run: what is
// taken by mistake makes nothing.
std::string refusal(Words words) {
  words.insert(words.end(), {"--out", "never-made.db", "--dry-run"});
  const std::atomic<bool> stop{false};
  Output output;
  Context context{output, stop};
  testing::internal::CaptureStdout();
  const auto result = cmd_gen(context, words);
  output.finish();
  testing::internal::GetCapturedStdout();
  if (result.ok()) return "";
  EXPECT_EQ(exit_code(result.error()), 2) << result.error().message;
  return result.error().message;
}

TEST(FromMcp, CommandsAreSplitAsAShellWould) {
  const std::pair<const char*, Words> table[] = {
      {"", {}},
      {"  python3  -m server ", {"python3", "-m", "server"}},
      {"a 'b c' \"d e\" f\\ g", {"a", "b c", "d e", "f g"}},
      {"x'y'z \"\" '\\'", {"xyz", "", "\\"}},
      {"\"a\\\"b\" $HOME *", {"a\"b", "$HOME", "*"}},
  };
  for (const auto& [text, words] : table) {
    const auto made = split_command(text);
    ASSERT_TRUE(made.ok()) << text;
    EXPECT_EQ(*made, words) << text;
  }
  EXPECT_FALSE(split_command("a 'b").ok());
  EXPECT_FALSE(split_command("a \"b").ok());
}

TEST(FromMcp, FlagsThatSayNothingToAServerAreRefused) {
  const std::pair<const char*, const char*> table[] = {
      {"--family", "general"}, {"--envs", "3"},     {"--tasks-per-env", "3"}, {"--split", "all"},
      {"--level", "1-2"},      {"--mix", "m.json"}, {"--tools", "8-12"},      {"--pack", "folder"},
      {"--from-db", "a.db"},   {"--jobs", "2"},     {"--shard", "0/2"},
  };
  for (const auto& [flag, value] : table) {
    const auto said = refusal({"--from-mcp", "server", "--tasks", "t.jsonl", flag, value});
    EXPECT_NE(said.find("'" + std::string(flag) + " and --from-mcp'"), std::string::npos) << said;
    EXPECT_NE(said.find("; leave " + std::string(flag) + " out"), std::string::npos) << said;
  }
}

TEST(FromMcp, FlagsOfAServerAreRefusedWithoutOne) {
  const std::pair<const char*, const char*> table[] = {
      {"--tasks", "t.jsonl"}, {"--files", "folder"}, {"--title", "a watchmaker"},
      {"--memory-mib", "64"}, {"--pids", "16"},      {"--net", "none"},
      {"--mount", "/a:/b"},
  };
  for (const auto& [flag, value] : table) {
    const auto said = refusal({flag, value});
    EXPECT_NE(said.find("'" + std::string(flag) + "': found without --from-mcp"), std::string::npos)
        << flag << ": " << said;
  }
}

TEST(FromMcp, FlagsThatAServerNeedsAreTaken) {
  // Without --tasks it ends before anything starts, behind the checks of flags.
  const auto said = refusal({"--from-mcp", "server", "--files", "folder", "--title", "t",
                             "--memory-mib", "64", "--pids", "16", "--net", "loopback", "--mount",
                             "/a:/b", "--seed", "3", "--fresh", "--isolation", "strict"});
  EXPECT_NE(said.find("'--tasks': not given"), std::string::npos) << said;
}

TEST(FromMcp, NoCommandIsNoServerAndNoOtherGenerator) {
  const std::pair<Words, const char*> table[] = {
      {{"--from-mcp", "", "--tasks", "t.jsonl"}, "'--from-mcp': found ''"},
      {{"--tasks", "t.jsonl", "--from-mcp=", "--fresh"}, "'--from-mcp=': found nothing after '='"},
      {{"--tasks", "t.jsonl", "--from-mcp", "--fresh"}, "found the flag '--fresh'"},
      {{"--tasks", "t.jsonl", "--from-mcp", "  "}, "found no program"},
  };
  for (const auto& [words, says] : table) {
    const auto said = refusal(words);
    EXPECT_NE(said.find(says), std::string::npos) << says << "\nbut said: " << said;
  }
}

}  // namespace
}  // namespace seedbed::cli
