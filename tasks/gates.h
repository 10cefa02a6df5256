// The gates of one task, as functions over one record of it (Case). Inside tasks only; admit.h is
// the way in.
//
// Everything is played in two frames: gold in one host, then gold and every other plan in the
// other. A gate only judges.
#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <variant>
#include <vector>

#include "base/result.h"
#include "base/rng.h"
#include "schemas/json_schema.h"
#include "tasks/admit.h"
#include "tasks/admit_draw.h"
#include "tasks/admit_known.h"
#include "tasks/judge.h"
#include "tasks/solvers/ladder.h"

namespace seedbed::tasks {

// A plan as it is sent: host calls, then how the episode ends.
struct Script {
  std::vector<schemas::ToolCall> calls;
  schemas::Stop stop = schemas::Stop::stopped;
  schemas::Value submitted;
};
Script script_of(const std::vector<schemas::GoldStep>& steps);
std::string show(const Script& script);  // for a rejection's evidence, cut at 400 characters

struct Walk {
  std::vector<schemas::ToolCall> calls;
  PlayedPlan played;
  Draw seen;  // the state's values and what the walk's results showed
};

bool may_write(const schemas::Tool& tool);  // its program has a write

// A fact that a call is known to change, from the initial state.
struct Touch {
  int call = 0;  // index into Kit::writes
  int view = 0;
  int attribute = 0;  // index into View::attributes
  enum class Kind : std::uint8_t { set, add, remove } kind = Kind::set;
  schemas::Scalar key;
};
// A call that breaks a rule which no tool enforces, from the initial state, and one that takes back
// what it did.
struct BrokenRule {
  std::optional<schemas::ToolCall> call, undo;
  int tried = 0, undos_tried = 0;
};

// What all tasks of an environment share.
struct Kit {
  schemas::Environment env;
  std::string id, image_hash;
  std::unique_ptr<Judge> judge;
  Player player;
  Oracle oracle;
  std::uint64_t seed = 0;
  Draw draw;
  Known docs;     // handbook and tools as prose: what must not hold an answer (G10)
  Known choices;  // handbook as prose, enums and defaults of tools: what an argument may come from
                  // (G11)
  std::map<std::string, schemas::JsonSchema> schemas;  // by tool
  std::vector<schemas::ToolCall> reads,
      writes;  // random calls that succeed, most of them from the initial state
  std::vector<Walk> walks;
  std::int64_t integers = 0, texts = 0;  // distinct values in the state
  std::unique_ptr<solvers::Ladder> ladder;
  std::optional<std::vector<Touch>> touches;       // made at first use: kit_touches()
  std::map<std::string, BrokenRule> broken_rules;  // by tool and SQL, made at first use

  [[nodiscard]] const schemas::Tool* tool(const std::string& name) const;
  // Whether the call changed more than bookkeeping; around a server, any file.
  [[nodiscard]] bool writes_facts(const PlayedPlan& played, int call) const;
  // A schema-valid random call of the tool; empty where none was found in a few tries.
  [[nodiscard]] std::optional<schemas::ToolCall> random_call(const schemas::Tool& tool,
                                                             const Draw& from,
                                                             Rng& rng) const;
};

// A plan beside gold, and what is expected of it.
struct Trial {
  enum class Kind : std::uint8_t { wrong, mutant, stray, right, retry, probe };
  Kind kind = Kind::wrong;
  std::string gate, name;
  Script script;
  int plan = -1;     // index into Case::plays
  int retried = -1;  // retry: the call that must fail
};

bool is_policy_miss(const std::string& name);  // a near miss that G8 judges

struct Case {
  Case(Kit& k, const Draft& d)
      : kit(k),
        draft(d),
        rng(rng_for(k.seed, k.id, static_cast<std::uint64_t>(d.task.number), "admit")) {}

  Kit& kit;
  const Draft& draft;
  Rng rng;
  std::optional<schemas::JsonSchema> submit_schema;
  Script gold;
  PlayedPlan first;  // gold in the second host
  std::vector<Trial> trials;
  Plans plans;  // distinct; 0 is gold
  std::vector<PlayedPlan> plays;
  std::unordered_map<std::string, int> plan_of;
  LineDiff gold_facts;
  std::optional<schemas::MutationScore> mutation;

  void add(Trial trial);
  Step play();  // whatever of `plans` is not played yet, in one frame
  [[nodiscard]] bool valid_submission(const schemas::Value& submitted) const;
  Result<bool> solves(const Script& script, const PlayedPlan& played)
      const;  // played may hold more than the script's calls
  Result<bool> solves_without_calls(schemas::Stop stop, const schemas::Value& submitted) const;
};

using Passed = schemas::GateResult;
using GateOutcome = std::variant<Passed, Rejected>;
using Gate = Result<GateOutcome> (*)(Case&);

// ---- before anything is played ----
Result<GateOutcome> gate_build(Case& c);
Result<GateOutcome> gate_g10_no_leak(Case& c);
Result<GateOutcome> gate_g12_unique(Case& c);
Result<GateOutcome> gate_g18_budget(Case& c);
// ---- on gold's evidence ----
Result<GateOutcome> gate_g11_reachable(Case& c);
Result<GateOutcome> gate_g2_nop(Case& c);
Result<GateOutcome> gate_g3_prefixes(Case& c);
Result<GateOutcome> gate_g4_empty_ways(Case& c);
Result<GateOutcome> gate_g5_random(Case& c);
// ---- on the plays ----
Result<GateOutcome> gate_g1_gold(Case& c);
Result<GateOutcome> gate_g6_mutants(Case& c);
Result<GateOutcome> gate_g7_stray(Case& c);
Result<GateOutcome> gate_g8_policy(Case& c);
Result<GateOutcome> gate_g9_other_ways(Case& c);
Result<GateOutcome> gate_g13_mutation(Case& c);
Result<GateOutcome> gate_g14_oracle(Case& c);
Result<GateOutcome> gate_g15_ladder(Case& c);
Result<GateOutcome> gate_g17_reset(Case& c);

// Adds the trials that need a replay; gold's first play must be there.
Step add_trials(Case& c);
Step add_policy_trials(Case& c);
// Around a server: gold, and gold without calls that changed files.
Step add_server_trials(Case& c);
// What a caller might submit in the place of a text: other texts that gold's calls or random ones
// have shown; at most `most`.
std::vector<schemas::Value> shown_instead(const Case& c,
                                          const std::string& name,
                                          const schemas::Value& value,
                                          std::size_t most);
// Whether both leave the same rows, by their first column: a server has no views of what it did.
bool same_rows_after(const std::vector<schemas::RowChange>& a,
                     const std::vector<schemas::RowChange>& b);
// Random calls of a server's tools, for every task to judge, and an exact reset after them.
Result<std::optional<Rejected>> check_server(Kit& kit);
// Strays of tools that have none which took effect.
void add_more_strays(Case& c, const std::set<std::string>& seen);
// What each of kit.writes changes when it is the first call.
Result<const std::vector<Touch>*> kit_touches(Kit& kit);
// Gold's call with one argument replaced, as far as the tool's schema takes it.
std::vector<schemas::Value> swapped_arguments(const Case& c, const schemas::ToolCall& call);
std::vector<int> writing_calls(const Case& c);  // of gold
// Other values beside `value` that the same argument could have had: nearest first, at most `most`.
std::vector<schemas::Value> siblings(const Kit& kit,
                                     const schemas::Value& schema,
                                     const std::string& name,
                                     const schemas::Value& value,
                                     std::size_t most);
// Submissions that differ from gold's in one place.
std::vector<schemas::Value> mutated_submissions(const Case& c);
// Submissions that mean the same as gold's, spelled otherwise, as far as the schema takes them.
std::vector<schemas::Value> respelled_submissions(const Case& c);
// Compares the oracle with a play, step by step; empty text where they agree.
Result<std::string> oracle_differs(Kit& kit,
                                   const std::vector<schemas::ToolCall>& calls,
                                   const PlayedPlan& played);

}  // namespace seedbed::tasks
