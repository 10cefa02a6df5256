// Thousands of calls of every kind over a pool: are all causes right, is nothing left, and what do
// the bad ones cost the good ones?
#pragma once
#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "cli/output.h"
#include "sandbox/boxes.h"

namespace seedbed::cli {

struct MixedResult {
  int calls = 0, wrong = 0;  // wrong: calls whose cause was not the one that their kind must have
  std::string first_wrong;   // in words
  std::vector<double> good_ms;
  int left = 0;  // processes, groups, mounts and descriptors more than before
  std::string what_is_left;
};

// `calls` calls from `callers` threads over a pool of `ready` boxes. mixed: four in ten crash,
// hang, flood or fork without end; else all are good.
Result<MixedResult> mixed_calls(Output& out,
                                const std::shared_ptr<sandbox::Boxes>& boxes,
                                int calls,
                                int callers,
                                int ready,
                                bool mixed,
                                const std::atomic<bool>& stop);

}  // namespace seedbed::cli
