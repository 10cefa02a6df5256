// From a clause of the prompt to calls that change something.
#pragma once
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "schemas/call.h"
#include "tasks/solvers/knowledge.h"

namespace seedbed::tasks::solvers {

// One tool fitted to one clause. `score` says how much of the clause it explains: words that tool
// and clause share by rarity, 10 a record named and used, 8 a record described, -9 a record named
// and left over, -30 an argument that nothing gives.
struct Operation {
  int tool = -1;
  schemas::Value args;
  int score = 0;
  int verb = 0;                        // of it, for the tool's own words
  std::optional<std::string> lacking;  // an argument that nothing gives, in words
  std::vector<RowRef> rows;            // records in its arguments
  int several = -1;                    // the parameter that stands for every record of `each`
  std::vector<std::size_t> each;       // rows of that parameter's kind
};
// The record as the parameter wants it: id or name, in an array where it takes several.
schemas::Value argument_of(const SeenParam& p, const Row& row);
// Best first; at most `most`.
std::vector<Operation> fit_operations(const Catalog& c,
                                      const Knowledge& known,
                                      const Clause& clause,
                                      std::size_t most);
// One call a record, or one for all where the tool takes several.
std::vector<schemas::ToolCall> calls_of(const Catalog& c,
                                        const Knowledge& known,
                                        const Operation& operation);

// "if the A of X is above 3, B": whether it holds (empty where it cannot be told), and B.
struct Branch {
  std::optional<bool> holds;
  std::string_view then;
};
std::optional<Branch> branch_of(const Catalog& c,
                                const Knowledge& known,
                                std::string_view prompt,
                                const Clause& clause,
                                const std::vector<Mention>& mentions);

// A number with what it is compared by: "more than 3" gives (+1, 3, strict).
struct Comparison {
  int sign = 0;  // +1 greater, -1 less, 0 equal
  bool strict = true;
  std::int64_t number = 0;
  std::size_t begin = 0, end = 0;  // within the text
  [[nodiscard]] bool holds(std::int64_t value) const;
};
std::optional<Comparison> comparison_in(std::string_view text);

}  // namespace seedbed::tasks::solvers
