// What compares tasks of different environments is a selection, not a gate: a pure function of the
// set that keeps the lowest key of each group, so that merge and a single run agree whatever the
// order.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace seedbed::tasks {

struct SelectionTask {
  std::string id;
  std::int64_t number = 0;
  std::string masked_skeleton;  // hash of the prompt with names and numbers masked
  bool selected = false;
};
struct SelectionEnvironment {
  std::string id;
  std::int64_t slot = 0;
  std::string schema_class;
  std::string core_schema_class;
  std::vector<SelectionTask> tasks;
  bool selected = false;
};
struct SelectionRules {
  std::int64_t envs = 0;  // first survivors kept
  std::int64_t tasks_per_env = 0;
  int max_per_schema_class = 1;  // lowest slots kept
  int max_per_core_class = 3;
  int max_per_masked_skeleton = 10;  // tasks over all kept environments
  bool written = false;              // tasks by people: everything stays
};
// Sets `selected` on environments (by slot order) and tasks (by number). An environment with fewer
// than tasks_per_env / 2 tasks left is not kept.
void select(std::vector<SelectionEnvironment>& set, const SelectionRules& rules);
// The prompt with its particulars masked: what masked_skeleton hashes. For people and tests.
std::string masked_text(const std::string& prompt);
// The prompt with quoted strings, names (capitalised words inside a sentence), ids, dates and
// numbers masked; hashed.
std::string masked_skeleton(const std::string& prompt);

}  // namespace seedbed::tasks
