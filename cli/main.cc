// seedbed: one row a subcommand, and a loop over the rows.
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <string>
#include <vector>

#include "base/text.h"
#include "cli/commands.h"

namespace seedbed::cli {
namespace {

struct Command {
  const char* name;
  const char* about;
  Result<int> (*run)(Context&, const Words&);
};
constexpr Command kCommands[] = {
    {"gen", "generate environments and certified tasks into a store", cmd_gen},
    {"stats", "say what a store holds, how diverse it is, and its digests", cmd_stats},
    {"verify-pack", "make stored tasks again from their seeds and repeat every gate",
     cmd_verify_pack},
    {"run", "drive an agent through tasks and record trajectories", cmd_run},
    {"eval", "score a policy on suites of fresh tasks, with intervals and kinds of error",
     cmd_eval},
    {"reverify", "score stored episodes again from what they wrote", cmd_reverify},
    {"show", "print one environment, task or trajectory", cmd_show},
    {"merge", "join the stores of shards", cmd_merge},
    {"export", "write trajectories as a dataset folder for training", cmd_export},
    {"issue", "keep the ledger of what is wrong with tasks", cmd_issue},
    {"schema", "print the JSON Schema of a format", cmd_schema},
    {"chat", "write a conversation's prompt, read a completion", cmd_chat},
    {"pack", "check a folder of mechanisms and lexicons", cmd_pack},
    {"doctor", "say what this machine can enforce", cmd_doctor},
    {"sandbox", "run a command of yours in a jail of its own", cmd_sandbox},
    {"serve", "serve a model over HTTP, for OpenAI's clients and for training", cmd_serve},
    {"engine", "make, check and run models (DeepSeek-V3.2, GLM)", cmd_engine},
    {"demo", "the whole way in a few minutes: generate, verify, run, export", cmd_demo},
};

std::atomic<bool> g_stop{false};  // NOLINT(cppcoreguidelines-avoid-non-const-global-variables): a
                                  // handler can reach nothing else

// The first signal asks for a clean end; the second does not wait for it.
extern "C" void on_signal(int) {
  if (g_stop.exchange(true)) _exit(130);
}

std::string usage() {
  std::string out =
      "seedbed " SEEDBED_VERSION
      ": tool environments with provable tasks, agents in jails, trajectories for training\n\n"
      "usage: seedbed COMMAND [operands] [flags]\n\n";
  for (const auto& command : kCommands) {
    std::string name = command.name;
    name.resize(14, ' ');
    out += "  " + name + command.about + "\n";
  }
  return out +
         "\n`seedbed COMMAND --help` shows its flags and an example.\n"
         "Exit codes: 0 ok, 1 checks failed, 2 usage, 3 refused, 130 interrupted.\n";
}

Result<int> dispatch(Context& context, Words words) {
  if (words.empty() || words[0] == "help" || words[0] == "--help" || words[0] == "-h") {
    if (words.size() < 2 || words[1].starts_with("-")) {
      context.out.raw(usage());
      return words.empty() ? 2 : 0;
    }
    words = {words[1], "--help"};
  }
  if (words[0] == "--version") {
    context.out.raw("seedbed " SEEDBED_VERSION "\n");
    return 0;
  }
  std::vector<std::string> names;
  for (const auto& command : kCommands) {
    if (words[0] == command.name)
      return command.run(context, Words(words.begin() + 1, words.end()));
    names.emplace_back(command.name);
  }
  const auto near = nearest(words[0], names);
  return make_error(Where::usage, "seedbed", words[0],
                    "unknown command; there are " + join(names, ", "),
                    near.empty() ? "see `seedbed help`" : "did you mean '" + near + "'?");
}

int program(const Words& words) {
  struct sigaction action = {};
  action.sa_handler = on_signal;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  signal(SIGPIPE, SIG_IGN);

  Output out;
  Context context{out, g_stop};
  const auto result = dispatch(context, words);
  int code = 0;
  if (result.ok()) {
    code = *result;
  } else {
    out.error(result.error());
    code = exit_code(result.error());
  }
  if (!out.finish()) {
    out.error(make_error(Where::config, "output", "stdout", "could not be written in full",
                         "free space where it goes"));
    return 3;
  }
  return code;
}

}  // namespace
}  // namespace seedbed::cli

int main(int argc, char** argv) {
  return seedbed::cli::program({argv + 1, argv + argc});
}
