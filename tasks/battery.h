// The mutants of one task's verifier and the plays and submissions that tell them apart.
#pragma once
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tasks/gates.h"
#include "tasks/mutation.h"

namespace seedbed::tasks {

// As the argument of a call.
inline schemas::Value value_of(const schemas::Scalar& scalar) {
  if (const auto* i = std::get_if<std::int64_t>(&scalar)) return *i;
  if (const auto* s = std::get_if<std::string>(&scalar)) return *s;
  return {};
}

// Borrows the case, which must outlive it; plays what it adds to the case's trials.
class Battery {
 public:
  explicit Battery(Case& c) : c_(c), verifier_(c.draft.verifier), bits_(verifier_) {}

  Step run();

  // Why a mutant that is left cannot be told apart; empty where it could be.
  std::string implied(const Mutant& m) const;

  Mutants mutants;
  [[nodiscard]] int parts() const { return bits_.count; }

 private:
  Judge::State& judge() const { return c_.kit.judge->state(); }

  Step fill(MutationHints& hints);

  Step judge_one(const Script& script, const PlayedPlan& played, const std::string& name);

  Step judge_trials();

  // Gold's calls with another submission: what the calls did is judged already.
  Step add_submission(schemas::Stop stop, schemas::Value submitted);

  Step judge_submissions();

  // Each set with one item more: a sibling of one that is in it.
  std::vector<schemas::Value> larger_sets() const;

  // ---- choices (battery_choices.cpp) ----

  [[nodiscard]] std::uint64_t choose_mask() const;

  // The database in gold's final state, for as long as submissions are judged on it.
  template <class F>
  auto after_gold(F&& f) -> decltype(f()) {
    if (auto e = Replay(*judge().db, c_.plays[0].changes).to(kToTheEnd)) return *std::move(e);
    auto out = f();
    if (auto e = judge().db->rollback()) return *std::move(e);
    return out;
  }

  Result<std::uint64_t> choices_now(const schemas::Value& submitted);
  Result<std::uint64_t> failing_choices(const JudgedPlay& play);

  // Submissions made of the ids that a choice can name, until every condition is failed alone.
  Step choices();
  // Whether the one condition that fails holds with its bound moved: such a submission tells the
  // wider condition apart. The database is in gold's final state.
  bool is_near(std::uint64_t fails, const schemas::Value& args);

  std::vector<std::pair<std::string, std::vector<schemas::Value>>> choice_values() const;

  // ---- deciding ----

  bool none_left(const std::string& prefix) const;

  Step decide();

  // ---- plays for what is left of the delta (battery_probes.cpp) ----

  // The concept and the attribute that the mutant frees, where it frees one.
  std::pair<int, int> place(const Mutant& m) const;

  // The key of the changed fact; for a new one the key that gold's play gave it.
  std::optional<schemas::Value> key_of(const Mutant& m, int view) const;

  // Known calls that change the same attribute of another fact, pointed at this one; of different
  // tools first.
  std::vector<schemas::ToolCall> overwriting(const Mutant& m) const;

  // Known calls whose changes are all of the kind.
  std::vector<int> calls_of(Touch::Kind kind) const;

  // Calls after gold that may tell the mutant apart.
  std::vector<schemas::ToolCall> probes(const Mutant& m) const;

  // Gold with the argument that gives the new fact its attribute replaced, as often as it takes.
  void probe_arguments(const Mutant& m);

  void add_probe(const Mutant& m, Script script);

  // Gold's call that writes the mutant's place: a write that names the fact, else the last write.
  int writer_of(const Mutant& m) const;

  // Whether a play made for the mutant left its place other than it is wanted.
  bool took_effect(const Mutant& m) const;

  Step probe();

  // ---- what cannot be told apart (battery_implied.cpp) ----

  std::string implied_rule(const Mutant& m) const;

  // Whether a known call changes nothing but that place: such a call could make it wrong alone.
  bool changes_alone(int view, int attribute, Touch::Kind kind) const;

  // A place that no known call changes alone: what makes it wrong shows in another part as well.
  std::string implied_change(const Mutant& m) const;

  Case& c_;
  const schemas::Verifier& verifier_;
  PartBits bits_;
  const std::vector<Touch>* touches_ = nullptr;
  std::vector<JudgedPlay> plays_;
  JudgedPlay gold_;
  std::size_t judged_ = 0;
  std::map<std::string, std::vector<std::size_t>> probed_;  // trials made for a mutant
  std::vector<std::size_t> trial_play_;                     // trial -> index into plays_
  std::size_t choices_tried_ = 0;
  bool all_choices_ = false;
};

}  // namespace seedbed::tasks
