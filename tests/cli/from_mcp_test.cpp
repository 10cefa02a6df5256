// The command line of a server, as people quote it.
#include "cli/from_mcp.h"

#include <gtest/gtest.h>

namespace seedbed::cli {
namespace {

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

}  // namespace
}  // namespace seedbed::cli
