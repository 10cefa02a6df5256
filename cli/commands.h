// One function a subcommand. main turns what they return into the exit code: their number (0 ok, 1
// checks failed), or by the boundary that an error crossed 2 (usage), 3 (refused), 130
// (interrupted).
#pragma once
#include <atomic>
#include <string>
#include <vector>

#include "base/result.h"
#include "cli/output.h"

namespace seedbed::cli {

struct Context {
  Output& out;
  const std::atomic<bool>&
      stop;  // set by Ctrl-C; long commands then flush and return Error{interrupted}
};
using Words = std::vector<std::string>;

Result<int> cmd_gen(Context& context, const Words& words);
Result<int> cmd_stats(Context& context, const Words& words);
Result<int> cmd_verify_pack(Context& context, const Words& words);
Result<int> cmd_run(Context& context, const Words& words);
Result<int> cmd_eval(Context& context, const Words& words);
Result<int> cmd_reverify(Context& context, const Words& words);
Result<int> cmd_show(Context& context, const Words& words);
Result<int> cmd_merge(Context& context, const Words& words);
Result<int> cmd_issue(Context& context, const Words& words);
Result<int> cmd_export(Context& context, const Words& words);
Result<int> cmd_schema(Context& context, const Words& words);
Result<int> cmd_chat(Context& context, const Words& words);
Result<int> cmd_pack(Context& context, const Words& words);
Result<int> cmd_doctor(Context& context, const Words& words);
Result<int> cmd_sandbox(Context& context, const Words& words);
Result<int> cmd_demo(Context& context, const Words& words);
Result<int> cmd_serve(Context& context, const Words& words);
Result<int> cmd_engine(Context& context, const Words& words);  // a group: engine_commands.h

int exit_code(const Error& error);

}  // namespace seedbed::cli
