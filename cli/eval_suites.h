// The suites of `seedbed eval`: requests to the generator under seeds that `gen --seed` cannot
// name.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "cli/generation.h"
#include "schemas/environment.h"

namespace seedbed::cli {

struct Suite {
  std::string name;
  GenArguments request;  // without store and lanes
};
// general-l1 ... general-l10, compact-l1 ... compact-l10, heldout, compact-heldout.
std::vector<std::string> suite_names();
// One for each name of the comma-separated list, each once, in its order; `general` and `compact`
// stand for their ten levels. Error{usage} names the nearest.
Result<std::vector<Suite>> suites_of(const std::string& list);

// Where suites are kept: `given`, or $XDG_CACHE_HOME/seedbed/eval, or ~/.cache/seedbed/eval. Made
// where absent.
Result<std::string> suite_folder(const std::string& given);

// What of an environment is held out: mechanism, lexicon, both, class; "" for the train split.
std::string held_out(const envgen::Packs& packs, const schemas::Recipe& recipe);
// FOLDER/NAME-HASH.db: another generator, other packs or another suite of that name is another
// file.
std::string suite_path(const std::string& folder, const Suite& suite, const envgen::Packs& packs);

}  // namespace seedbed::cli
