// `seedbed gen --from-mcp`: an environment around a server of somebody else, with the user's tasks.
#pragma once
#include <string>
#include <vector>

#include "cli/box_arguments.h"
#include "cli/generation.h"

namespace seedbed::cli {

struct FromMcpArguments {
  std::string command;  // program and arguments, quoted as in a shell
  std::string tasks, files, title;
};

// "a 'b c' \"d\"" -> a, b c, d. No variables, no globs. Error{usage}: a quote that is not closed.
Result<std::vector<std::string>> split_command(const std::string& text);

Result<int> generate_from_mcp(Context& context,
                              const FromMcpArguments& arguments,
                              const BoxArguments& box,
                              const GenArguments& gen,
                              bool dry_run);

}  // namespace seedbed::cli
