// From what was seen to the arguments of submit_result, field by field, by the fields'
// descriptions.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "tasks/solvers/knowledge.h"

namespace seedbed::tasks::solvers {

struct Findings {
  const Catalog& catalog;
  const Knowledge& known;
  const Knowledge& before;  // as it was before the first write
  std::string_view prompt;
  const std::vector<Clause>& clauses;
  const std::vector<RowRef>& touched;  // records in the arguments of writes
};
// Every required field gets some value of its type, so that the submission is valid wherever that
// can be told from the schema.
schemas::Value fill_submission(const Findings& f, const schemas::Value& submit_schema);

// Kinds of records that the descriptions or the clauses that ask speak of, each once.
std::vector<int> nouns_asked(const Catalog& c,
                             const std::vector<Clause>& clauses,
                             const schemas::Value& submit_schema);
// Whether the fields ask what became of something, so that a change is wanted first.
bool asks_afterwards(const schemas::Value& submit_schema);
// Names of required fields.
std::vector<std::string> required_fields(const schemas::Value& submit_schema);

}  // namespace seedbed::tasks::solvers
