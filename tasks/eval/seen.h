// What a training store holds, so that an evaluation can show that it tries nothing of it.
#pragma once
#include <cstdint>
#include <functional>
#include <set>
#include <string>

#include "base/result.h"
#include "tasks/store.h"

namespace seedbed::tasks::eval {

// "level|lexicon|skeleton": what a task is about once names and numbers are erased.
std::string triple_of(const schemas::Environment& env, const schemas::TaskSpec& task);

struct Seen {
  std::set<std::string> environments;  // ids
  std::set<std::string> triples;
  std::int64_t tasks = 0;
};
// The selected environments and tasks of a store. `on_task(done, total)` may return false to stop:
// Error{interrupted}.
Result<Seen> read_seen(Store& store,
                       const std::function<bool(std::int64_t, std::int64_t)>& on_task);

}  // namespace seedbed::tasks::eval
