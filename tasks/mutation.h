// G13: mutants of a verifier's symbol form, decided from what each of its parts said of each play.
// Inside tasks only.
//
// (1) A mutant changes one part. Where another part fails too, it fails like the true verifier:
// only plays in which nothing but the part (or nothing at all) fails can tell it apart. (2) `post`
// speaks of the final state alone, and delta and frame fix every fact of it: post is implied, is
// not mutated, and mutants of delta and frame are judged without it. (3) A weaker mutant lets more
// pass than the true verifier; any other is killed by gold itself.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tasks/judge_state.h"

namespace seedbed::tasks {

// Bits of a play's failing parts, in the order of Parts.
struct PartBits {
  explicit PartBits(const schemas::Verifier& verifier);
  int answers = 1, code = -1, evidence = -1, choose = 0, post = 0, delta = -1, frame = 0,
      obligations = 0;  // first bit of each group; outcome is bit 0
  int count = 0;
  std::uint64_t facts = 0;  // delta, frame and post
};
std::uint64_t failing(const Parts& parts);

struct JudgedPlay {
  schemas::Stop stop = schemas::Stop::stopped;
  schemas::Value submitted;
  std::uint64_t failing = 0;
  std::shared_ptr<const Difference> state;
  std::string name;
};

struct Mutant {
  enum class Kind : std::uint8_t {
    drop,      // the part always holds
    negate,    // it holds where it did not
    also,      // the value of `field` is accepted too
    instead,   // the value of `field` is accepted in place of the right one
    subset,    // a part of the set is accepted too
    superset,  // more than the set is accepted too
    widen,     // `sql` in place of the condition
    free,      // what becomes of the place (or the new fact) does not matter
    free_attribute,
    swap,          // `change` in place of the wanted one
    thaw,          // any other fact may change
    thaw_set,      // other facts may get other attributes
    thaw_add,      // new facts of other concepts may come
    thaw_removed,  // other facts may go
  };
  std::string name = {};
  Kind kind = Kind::drop;
  bool weaker = true;
  std::uint64_t part = 0;  // the bits that it changes
  int index = -1;          // of the answer, the condition, the change
  schemas::AnswerField field = {};
  std::string sql = {}, attribute = {};
  schemas::FactChange change = {};
  bool killed = false;
};

struct Implied {
  std::string part, reason;
};
struct Mutants {
  std::vector<Mutant> made;
  std::vector<Implied> implied;
};

// Which values may stand beside the right one; what other facts are known to change.
struct MutationHints {
  std::function<std::vector<schemas::Value>(const std::string& name, const schemas::Value& value)>
      siblings;
  std::vector<std::string> other_codes;               // of the handbook, not accepted
  bool writes = false;                                // some call is known to change facts
  bool sets = false, adds = false, removals = false;  // some call makes such changes alone
};
Mutants make_mutants(const schemas::Verifier& verifier, const MutationHints& hints);

// Whether the play tells the mutant from the true verifier. `holds`: a condition of the mutant on
// the play's submission.
Result<bool> kills(
    const schemas::Verifier& verifier,
    const PartBits& bits,
    const Mutant& mutant,
    const JudgedPlay& play,
    const Judge::State& judge,
    const std::function<Result<bool>(const std::string& sql, const JudgedPlay&)>& holds);

// The bound of an upper or lower limit at the end of the condition moved outwards by a tenth; empty
// where it has none.
std::string widened(const std::string& sql);

}  // namespace seedbed::tasks
