// Scripted solvers: functions over what an agent sees and a way to call tools. They never see gold,
// verifier, programs or state; the same task and the same results give the same calls. What they
// are for: baselines (`seedbed run --policy`), and the ladder of G15 (ladder.h).
//
//   first-match  the tool that shares most words with the prompt, each argument the first value
//   that
//                fits, then whatever was seen
//   greedy       keeps what it has seen by kind of record; reads what the prompt names, picks the
//                records that fit each clause, calls the tool that fits the clause best, heeds the
//                handbook where it can read it, refuses with a tool's own reason
//                also: asks for the next request where the prompt tells of one; does what hangs on
//                a refusal only after one; tries what may clear a refusal's way; does the duties
//                that the handbook tells
//   bfs-K        greedy's reading; then all assignments of tools and records to clauses, breadth
//                first up to K writes, and the sequence that explains most of the prompt
//   no-policy    greedy without the handbook: it never refuses and knows no duty
//   refuse-all   reads nothing, refuses with the first reason
//   prompt-echo  reads nothing, submits the prompt's own words
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "schemas/call.h"
#include "tasks/solvers/sight.h"

namespace seedbed::tasks::solvers {

// How a solver acts. An Error from either ends the solver, which returns it.
struct Ways {
  // All of them, in order; one result each.
  std::function<Result<std::vector<schemas::ToolResult>>(const std::vector<schemas::ToolCall>&)>
      call;
  // The user's reply; nothing where the user has left or there is none (the episode is then over).
  std::function<Result<std::optional<std::string>>(const std::string&)> say;
};

struct Ending {
  enum class Kind : std::uint8_t { submit, refuse, stop } kind = Kind::stop;
  schemas::Value args;
};

inline constexpr int kMaxBfs = 6;
inline constexpr std::string_view kSolvers[] = {"first-match", "greedy",     "bfs-1",      "bfs-2",
                                                "bfs-3",       "bfs-4",      "bfs-5",      "bfs-6",
                                                "no-policy",   "refuse-all", "prompt-echo"};
bool is_solver(std::string_view name);

// At most kMaxCalls calls; `name` is one of kSolvers.
inline constexpr int kMaxCalls = 56;
Result<Ending> solve(std::string_view name, const Sight& sight, const Ways& ways);

}  // namespace seedbed::tasks::solvers
