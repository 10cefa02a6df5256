// One solver at work: counted calls, what they showed, the prompt as it stands after the user's
// replies.
#pragma once
#include <set>
#include <string>
#include <vector>

#include "tasks/solvers/answer.h"
#include "tasks/solvers/handbook.h"
#include "tasks/solvers/solve.h"

namespace seedbed::tasks::solvers {

struct Style {
  bool refuses = true;    // heeds handbook and reasons
  int writes = 24;        // at most
  bool searches = false;  // over all assignments, breadth first
};

class Session {
 public:
  Session(const Sight& sight, const Ways& ways);

  // Makes those of the calls that fit the budget, learns what they show. Results are parallel to
  // the calls made.
  Result<std::vector<schemas::ToolResult>> call(const std::vector<schemas::ToolCall>& calls);
  // Reads what the prompt names and speaks of.
  Step explore();
  // Reads the kind anew from its first page on.
  Step read_again(int noun);
  // Asks for what is lacking; the reply joins the clause. False where nobody answers.
  Result<bool> ask(const std::string& lacking, std::size_t clause);

  // Asks for the next request; it takes the prompt's place, and what may have changed is to be read
  // again. False where nobody answers.
  Result<bool> ask_for_more();

  // Made anew where something was learned since. Good until the next call.
  const std::vector<Mention>& mentions();
  const std::vector<Clause>& clauses();
  [[nodiscard]] int left() const { return kMaxCalls - calls_; }

  const Catalog& catalog;
  Knowledge known;
  std::string prompt;

 private:
  Step read_names();
  Step read_lists(const std::set<int>& nouns);
  Step read_details();
  std::set<int> wanted_nouns();

  const Sight& sight_;
  const Ways& ways_;
  int calls_ = 0;
  std::set<std::string> made_;  // reads that were made, as text
  std::set<int> read_;          // nouns listed
  std::vector<Mention> mentions_;
  std::vector<Clause> clauses_;
  std::size_t mentions_at_ = kNever, clauses_at_ = kNever;  // as of known.learned and the prompt
  static constexpr std::size_t kNever = static_cast<std::size_t>(-1);
};

Result<Ending> solve_by_plan(const Sight& sight, const Ways& ways, const Style& style);
Result<Ending> solve_by_first_match(const Sight& sight, const Ways& ways);

}  // namespace seedbed::tasks::solvers
