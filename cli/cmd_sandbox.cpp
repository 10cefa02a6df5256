// `seedbed sandbox run`: hands over to seedbed-box, a small static program, so that a command in a
// jail starts at once.
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "cli/commands.h"
#include "cli/options.h"
#include "cli/sandbox_bench.h"
#include "cli/sandbox_mcp.h"
#include "cli/sandbox_session.h"
#include "sandbox/libexec.h"

namespace seedbed::cli {
namespace {

const char* const kHelp =
    "usage: seedbed sandbox COMMAND\n\n"
    "  run           one command in a jail of its own: seedbed sandbox run --help\n"
    "  session       a shell or a Python that stays in one: seedbed sandbox session --help\n"
    "  mcp           a third-party MCP server in one: seedbed sandbox mcp --help\n"
    "  bench         what a jail costs on this machine: seedbed sandbox bench --help\n\n"
    "example: seedbed sandbox run --wall-ms 2000 --memory-mib 128 -- python3 -c 'print(6*7)'\n";

}  // namespace

Result<int> cmd_sandbox(Context& context, const Words& words) {
  if (words.empty() || words[0] == "--help" || words[0] == "-h")
    return context.out.raw(kHelp), words.empty() ? 2 : 0;
  if (words[0] == "bench") return cmd_sandbox_bench(context, {words.begin() + 1, words.end()});
  if (words[0] == "session") return cmd_sandbox_session(context, {words.begin() + 1, words.end()});
  if (words[0] == "mcp") return cmd_sandbox_mcp(context, {words.begin() + 1, words.end()});
  if (words[0] != "run")
    return make_error(Where::usage, "command", "sandbox " + words[0],
                      "is unknown, wanted run, session, mcp or bench",
                      "see `seedbed sandbox --help`");
  SEEDBED_TRY(const std::string program, sandbox::libexec_path("seedbed-box"));
  std::vector<char*> argv = {const_cast<char*>("seedbed-box")};
  for (const auto& word : words) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  ::execv(program.c_str(), argv.data());
  return make_error(Where::sandbox, "helper program", program,
                    std::string("cannot be run: ") + std::strerror(errno), "build it again");
}

}  // namespace seedbed::cli
