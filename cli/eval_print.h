// An evaluation for people: tables on the terminal, one self-contained page.
#pragma once
#include <string>
#include <vector>

#include "cli/output.h"
#include "schemas/evaluation.h"

namespace seedbed::cli {

// "61.2 % [55.0, 67.1]"; "-" where nothing was tried.
std::string format_rate(const schemas::EvalRate& rate);

// A policy's row; null where it has none.
const schemas::EvalRow* row_named(const schemas::EvalPolicy& policy,
                                  const std::string& by,
                                  const std::string& name);
// Names of the groups that any of them has: levels by number, suites as they came, others by name.
std::vector<std::string> groups_of(const std::vector<schemas::EvalPolicy>& policies,
                                   const std::string& by);

// Rows of one grouping. With one policy a row a group; with several a row a group and policy.
Table score_table(const std::vector<schemas::EvalPolicy>& policies, const std::string& by);
// A row a policy: shares of all its episodes that ended in each error class.
Table error_table(const std::vector<schemas::EvalPolicy>& policies);
Table cost_table(const std::vector<schemas::EvalPolicy>& policies);
Table suite_table(const std::vector<schemas::EvalSuite>& suites);
Table comparison_table(const std::vector<schemas::EvalComparison>& comparisons);
// pass@1 of each suite, level and kind, a column a policy; `earlier` come first.
Table beside_table(const std::vector<schemas::EvalPolicy>& policies);
Table leak_table(const std::vector<schemas::EvalLeak>& leaks);
// How the intervals were found, in a sentence.
std::string interval_note(const std::vector<schemas::EvalPolicy>& policies);

void print_evaluation(Output& out,
                      const schemas::Evaluation& evaluation,
                      const std::vector<schemas::EvalPolicy>& earlier);
std::string eval_html(const schemas::Evaluation& evaluation,
                      const std::vector<schemas::EvalPolicy>& earlier);

}  // namespace seedbed::cli
