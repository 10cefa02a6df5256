// How hard a task is: a vector of orthogonal knobs, and a level from 1 to 10 (docs/levels.md). A
// function of the formats alone, so that a draft has its level before anything is played, and of
// structure, not of the names of kinds. Integers only: the same on any machine.
#pragma once
#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "schemas/environment.h"
#include "schemas/task.h"

namespace seedbed::tasks::solvers {

struct Hardness {
  std::int64_t plan_calls = 0;
  std::int64_t data_flow_edges = 0;  // calls that use the result of an earlier step
  std::int64_t hops = 0;             // of them in the longest chain
  std::int64_t writes = 0;
  std::int64_t verbs = 0;       // different tools among the writes
  std::int64_t kinds_read = 0;  // different tools among the reads
  std::int64_t interactions = 0;
  std::int64_t mechanisms = 0;
  std::int64_t obligations = 0;  // rules in force that no tool enforces, duties
  std::int64_t refusal = 0;      // 1: the right end is a refusal
  std::int64_t hidden = 0;       // what must be asked of the user
  std::int64_t branches = 0;     // other ways that a condition or an obstacle closes
  std::int64_t each_size = 0;    // calls of the tool that is called most, where it writes
  std::int64_t distractors = 0;  // wrong records or choices at distance one
  std::int64_t constraints = 0;  // on what is chosen
  std::int64_t scarcity = 0;     // 1/16 bits: choices over right ones
  std::int64_t pages = 0;        // calls for a further page
  std::int64_t derived = 0;      // arguments that are computed
  std::int64_t answer_fields = 0;
  std::int64_t answer_items = 0;  // of sets
  std::int64_t tools = 0;
  std::int64_t policy_words = 0;
  std::int64_t prompt_words = 0;
  std::int64_t search_bits = 0;  // 1/16 bits: see below
};
template <class V>
void fields(V&& at, Hardness& x) {
  at("plan_calls", x.plan_calls, "calls of the gold plan");
  at("data_flow_edges", x.data_flow_edges, "uses of an earlier step's result by a call");
  at("hops", x.hops, "of them in the longest chain");
  at("writes", x.writes, "calls that may write");
  at("verbs", x.verbs, "different tools among the writes");
  at("kinds_read", x.kinds_read, "different tools among the reads");
  at("interactions", x.interactions, "interactions that plan or answer hang on");
  at("mechanisms", x.mechanisms, "mechanisms that the data flow touches");
  at("obligations", x.obligations, "rules in force that no tool enforces, duties");
  at("refusal", x.refusal, "1: the right end is a refusal");
  at("hidden", x.hidden, "what must be asked of the user");
  at("branches", x.branches, "ways that a condition or an obstacle closes");
  at("each_size", x.each_size, "calls of the write that is called most");
  at("distractors", x.distractors, "wrong records or choices at distance one");
  at("constraints", x.constraints, "on what is chosen");
  at("scarcity", x.scarcity, "choices over right ones, in 1/16 bits");
  at("pages", x.pages, "calls for a further page");
  at("derived", x.derived, "arguments that are computed");
  at("answer_fields", x.answer_fields, "fields of the answer that are compared");
  at("answer_items", x.answer_items, "items of its sets");
  at("tools", x.tools, "tools offered");
  at("policy_words", x.policy_words, "words of the handbook");
  at("prompt_words", x.prompt_words, "words of the prompt");
  at("search_bits", x.search_bits, "cost of a blind search, in 1/16 bits");
}

// search_bits: what a caller would pay who knows the length of the plan, and at each of its calls
// draws a tool and then well-typed arguments among what it knows by then. Known are the names,
// numbers and words of the prompt, and of each earlier read as many records as it shows: a page, 12
// for a list without pages, one for any other tool. The submission counts as a call.
Hardness hardness_of(const schemas::Environment& env,
                     const schemas::TaskSpec& task,
                     const schemas::Gold& gold,
                     const schemas::Verifier& verifier);
std::vector<schemas::Knob> knobs_of(const Hardness& hardness);

inline constexpr int kLevels = 10;
inline constexpr std::int64_t kMinCalls = 3, kMinEdges = 1, kMinTools = 8;  // floors of level 1
// What one unit of a knob adds to the points of a task; negative where it makes a task easier than
// its search suggests.
struct Weight {
  std::string_view knob;
  int points;
  int most;  // units that count
};
std::span<const Weight> level_weights();
// The least points of each level.
std::span<const int> level_floors();
std::int64_t points_of(const Hardness& hardness);

// 1 to 10; 0: below the floor of level 1 (3 calls, 1 data-flow edge, 8 tools), no task to keep.
// From level 6 on there is an obligation (a refusal is one), an interaction or a duty: a task with
// none of them counts half, 1 to 5, so that the hard ones among them do not all meet at one level.
int level_of(const Hardness& hardness);

// log2 in 1/16 bits, rounded down; 0 for n < 2.
std::int64_t log2_16(std::uint64_t n);

}  // namespace seedbed::tasks::solvers
