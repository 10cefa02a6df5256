#include "tasks/solvers/solve.h"

#include <algorithm>

#include "tasks/admit_known.h"
#include "tasks/solvers/session.h"

namespace seedbed::tasks::solvers {
namespace {

using schemas::Value;

Result<Ending> refuse_all(const Sight& sight) {
  Value args = Value::object();
  args.set("reason_code",
           sight.catalog.reasons.empty() ? "not_found" : sight.catalog.reasons.front().code);
  args.set("evidence_ids", Value::array());
  return Ending{Ending::Kind::refuse, std::move(args)};
}

// Each required field gets the prompt's next word that is of its type.
Result<Ending> prompt_echo(const Sight& sight) {
  const auto words = echo_words(sight.prompt);
  const auto numbers = [&](std::size_t n) -> std::int64_t {
    for (const auto& word : words)
      if (const auto value = number_of(word); value && n-- == 0) return *value;
    return 0;
  };
  Value args = Value::object();
  std::size_t texts = 0, integers = 0;
  const Value* properties = sight.submit_schema.find("properties");
  for (const auto& name : required_fields(sight.submit_schema)) {
    const Value* field = properties == nullptr ? nullptr : properties->find(name);
    const std::string type = field == nullptr ? "string" : field->text("type");
    const Value word =
        texts < words.size() ? Value(words[texts]) : Value(std::string(sight.prompt));
    if (type == "integer" || type == "number") {
      args.set(name, numbers(integers++));
    } else if (type == "array") {
      Value all = Value::array();
      for (const auto& each : words) all.push(each);
      args.set(name, std::move(all));
    } else if (type == "boolean") {
      args.set(name, true);
    } else {
      ++texts;
      args.set(name, word);
    }
  }
  return Ending{Ending::Kind::submit, std::move(args)};
}

}  // namespace

bool is_solver(std::string_view name) {
  return std::find(std::begin(kSolvers), std::end(kSolvers), name) != std::end(kSolvers);
}

Result<Ending> solve(std::string_view name, const Sight& sight, const Ways& ways) {
  if (name == "first-match") return solve_by_first_match(sight, ways);
  if (name == "greedy") return solve_by_plan(sight, ways, {});
  if (name == "no-policy") return solve_by_plan(sight, ways, {.refuses = false});
  if (name == "refuse-all") return refuse_all(sight);
  if (name == "prompt-echo") return prompt_echo(sight);
  if (name.size() == 5 && name.starts_with("bfs-") && name[4] >= '1' && name[4] <= '0' + kMaxBfs)
    return solve_by_plan(sight, ways, {.refuses = true, .writes = name[4] - '0', .searches = true});
  return make_error(Where::usage, "solver", name, "found no solver of that name",
                    "name one of kSolvers");
}

}  // namespace seedbed::tasks::solvers
