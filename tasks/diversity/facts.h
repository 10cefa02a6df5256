// What is kept of an environment and of a task to measure how a set of them differs: hashes of
// their structure with names erased, the values of their knobs, and the 5-grams of the prompt.
// Never the texts.
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "schemas/environment.h"
#include "schemas/task.h"
#include "tasks/diversity/graph.h"

namespace seedbed::tasks::diversity {

// read: one record; list: rows, pages or filters; find: rows that an argument must pick; query: one
// record without a required argument; write: anything that may write.
enum class Role : std::uint8_t { read, list, find, query, write };
Role role_of(const schemas::Tool& tool);
std::string_view name_of(Role role);

// ---- of an environment ----
// The multiset of (role, types of the arguments, shape of the result and its number of columns,
// tables read and written); tables are told apart by the tools that use them, not by name.
std::uint64_t tool_signature(const schemas::Environment& env);
// An edge where a result holds values of the kind that an argument takes. Kinds are found by
// following equalities between columns and arguments through all of the environment's SQL.
Graph dependency_graph(const schemas::Environment& env);
// The handbook's rules; numbers are #, words of tables, columns and tools @. Sorted, not unique.
std::vector<std::uint64_t> rule_skeletons(const schemas::Environment& env);

// ---- of a task ----
// The gold plan with what is repeated counted once: further pages are their first page, and calls
// of one tool that need the same things are one. Vertices are roles, say, submit or refuse; edges
// are needs that no path implies.
Graph solution_shape(const std::map<std::string, Role, std::less<>>& roles,
                     const std::vector<schemas::GoldStep>& steps);

struct TextFacts {
  std::int64_t words = 0, sentences = 0, questions = 0;
};
TextFacts text_facts(std::string_view prompt);
// The first three words of a text, lower case.
std::string opening_of(std::string_view prompt);

struct TaskFacts {
  std::uint64_t shape = 0, skeleton = 0, masked = 0;
  std::uint64_t obligations = 0;  // of the symbols of the rules that its verifier holds
  std::string kind;
  std::int64_t level = 0, plan_calls = 0, interactions = 0, mechanisms = 0;
  std::int64_t writes = 0, turns = 0, duties = 0, obstacles = 0;
  TextFacts text;
  std::vector<std::uint32_t> grams, masked_grams;  // sorted
};

struct EnvironmentFacts {
  bool heldout = false;
  std::uint64_t schema_class = 0, core_schema_class = 0;
  std::uint64_t tools_signature = 0, dependencies = 0, policy = 0;
  Extent dependency_extent;
  std::vector<std::uint64_t> rules;
  std::int64_t tools = 0;
  std::string lexicon;
  std::vector<std::string> mechanisms;
  std::vector<std::string> layout_passes, surface_passes;  // kinds of pass, sorted, unique
  std::vector<TaskFacts> tasks;
};

EnvironmentFacts facts_of(const schemas::Environment& env);  // without its tasks
TaskFacts facts_of(const std::map<std::string, Role, std::less<>>& roles,
                   const schemas::TaskSpec& task,
                   const schemas::Gold& gold,
                   const schemas::Verifier& verifier,
                   const std::string& masked_prompt);
std::map<std::string, Role, std::less<>> roles_of(const schemas::Environment& env);

}  // namespace seedbed::tasks::diversity
