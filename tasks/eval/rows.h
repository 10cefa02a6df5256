// From tries to tables: scores by group, costs, choices of tasks, comparisons.
#pragma once
#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "schemas/evaluation.h"
#include "schemas/trajectory.h"
#include "tasks/eval/outcome.h"

namespace seedbed::tasks::eval {

// `n` of the tasks, spread over the environments: the first of each, then the second of each, and
// so on; all where n is 0 or there are no more. One list an environment, in the store's order.
std::set<std::string> spread(const std::vector<std::vector<std::string>>& tasks_of_environment,
                             std::int64_t n);

// 1, 2, 4, ... and samples itself.
std::vector<std::int64_t> ks_of(std::int64_t samples);

// The rows of a policy's tasks: all, then by suite, level, mechanism (an environment's tasks count
// for each that it has), kind of goal, and what is held out. Tasks with fewer tries than k (those
// that met an infrastructure error) have no part in the rates of k; tasks without a try in none.
std::vector<schemas::EvalRow> rows_of(const std::vector<schemas::EvalTask>& tasks,
                                      std::int64_t samples);

// Sums of what episodes took.
struct Spent {
  std::int64_t episodes = 0, prompt_tokens = 0, generated_tokens = 0, turns = 0, calls = 0;
};
void add(Spent& spent, const schemas::Trajectory& trajectory);
// `timed` episodes took `seconds`.
schemas::EvalCost cost_of(const Spent& spent, std::int64_t timed, double seconds);

// One more try of a task.
void count_try(schemas::EvalTask& task, bool solved, ErrorClass error);

// Paired by task, over all suites and for each where there are several; nothing where no task is in
// both.
std::vector<schemas::EvalComparison> compare(const schemas::EvalPolicy& before,
                                             const schemas::EvalPolicy& after);

}  // namespace seedbed::tasks::eval
