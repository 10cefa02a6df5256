// Verification: a pure function of (initial image, transcript, what the calls wrote, verifier).
// Never sees a process.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "schemas/environment.h"
#include "schemas/task.h"
#include "schemas/trajectory.h"

namespace seedbed::tasks {

// What an episode did, as the parent saw it. `calls` holds host calls only, in order;
// RowChange::call indexes it.
struct Episode {
  std::vector<schemas::ToolCall> calls;
  std::vector<schemas::ToolResult> results;
  std::vector<schemas::RowChange> changes;
  schemas::Stop stop = schemas::Stop::stopped;
  schemas::Value submitted;  // arguments of the accepted submit_result or refuse, else null
};

// One fact as text: "concept|key|attribute=value|...", attributes in the view's order. Integers in
// decimal, null as \N; a backslash, a bar or a newline inside a text is written \\ \p \n, so that
// different facts never print alike.
std::string fact_line(const schemas::View& view,
                      const schemas::Scalar& key,
                      const std::vector<schemas::Scalar>& values);

struct LineDiff {
  std::vector<std::string> gone,
      come;  // sorted: initial lines that no longer hold; lines that hold now and did not at first
  friend bool operator==(const LineDiff&, const LineDiff&) = default;
};

// The distinct values of one attribute in the initial state, without nulls, sorted.
struct FactColumn {
  std::string concept_name;
  std::string attribute;  // empty for the key
  std::string column;     // its name in the database
  std::vector<schemas::Scalar> values;
};

// One environment opened for judging: its image in memory, its views' rows cached. Not thread-safe;
// one a lane.
class Judge {
 public:
  static Result<std::unique_ptr<Judge>> open(const schemas::Environment& env,
                                             const std::string& image);
  ~Judge();
  Judge(const Judge&) = delete;
  Judge& operator=(const Judge&) = delete;

  // Refuses (Error{verifier}) a verifier with empty criteria or SQL that does not prepare.
  Step check(const schemas::Verifier& verifier);
  // Parts: outcome, answer:FIELD, refuse_code, evidence, choose:NAME, post:NAME, delta, frame,
  // obligation:RULE. Score: 1 where all hold, else the weighted share of those that hold, a tenth
  // of it where the outcome (submitted, refused) is not the wanted one, and at most 0.99.
  // Error{verifier}: the evidence does not fit the state, or the verifier is broken.
  Result<schemas::Verdict> judge(const schemas::Verifier& verifier, const Episode& episode);
  // judge(...).solved, stopping at the first part that fails: cheap parts go first.
  Result<bool> solves(const schemas::Verifier& verifier, const Episode& episode);
  // All facts after the changes of calls [0, upto), in view terms, sorted, one fact_line() each.
  // For G14.
  Result<std::vector<std::string>> facts(const std::vector<schemas::RowChange>& changes, int upto);
  // The same as a difference from the initial facts; remembered, so that plans with a shared prefix
  // pay once.
  Result<LineDiff> difference(const std::vector<schemas::RowChange>& changes, int upto);
  // All the well-typed values that occur in the initial state, distinct and sorted (for the
  // guessing bound).
  [[nodiscard]] std::vector<std::string> values() const;
  // The same by where they occur: one column for each view's key and for each attribute.
  [[nodiscard]] const std::vector<FactColumn>& columns() const;
  struct State;
  [[nodiscard]] State& state() { return *state_; }  // inside tasks only

 private:
  explicit Judge(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// Whether the verifier demands anything at all: submit needs an answer, a choose, a post or a
// delta; refuse needs codes and evidence.
Step check_not_empty(const schemas::Verifier& verifier);

}  // namespace seedbed::tasks
