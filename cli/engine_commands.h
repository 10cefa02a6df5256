// The subcommands of `seedbed engine`: one function each, called as those of cli/commands.h are.
// `words` begin after the subcommand's name; what is returned becomes the exit code in the same
// way.
#pragma once
#include "base/result.h"
#include "cli/commands.h"

namespace seedbed::cli {

Result<int> engine_inspect(Context& context, const Words& words);     // cmd_engine.cpp
Result<int> engine_make_model(Context& context, const Words& words);  // cmd_engine.cpp
Result<int> engine_logits(Context& context, const Words& words);      // cmd_engine_run.cpp
Result<int> engine_generate(Context& context, const Words& words);    // cmd_engine_run.cpp
Result<int> engine_train_tokenizer(Context& context,
                                   const Words& words);  // cmd_engine_tokenizer.cpp

}  // namespace seedbed::cli
