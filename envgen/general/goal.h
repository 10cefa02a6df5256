// Goals over a World: what is to be achieved or told, bound to facts so that it is unique; and how
// the prompt refers to facts.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "envgen/general/surface.h"
#include "schemas/task.h"

namespace seedbed::envgen {

// A description that fits exactly one fact: by name, or by attribute values and at most one
// superlative.
struct Reference {
  int concept_id = -1;
  std::int64_t key = kNone;
  bool by_name = false;
  std::vector<std::pair<int, std::int64_t>> filters;  // attribute = value
  int extreme = -1;  // attribute whose extremum it has among the filtered
  bool lowest = true;
  std::string phrase;
  int turn = 0;
  [[nodiscard]] TermPtr condition(const World& world, int variable) const;  // the filters as a term
};

struct Operation {
  int transition = -1;
  std::vector<std::int64_t> args;
  std::vector<Reference> refs;  // for reference parameters, parallel to them (others empty)
  std::string phrase;           // "cancel the sign-up made by ..."
  int turn = 0;                 // asked for by the prompt (0) or by the user's later messages
  int duty = -1;                // done because this duty of the handbook wants it
};

// One field of submit_result. Either a closed term, or the set (and so the count) of facts that
// satisfy a condition.
struct Answer {
  std::string field, about;  // about: for the schema's description
  TermPtr term;
  int concept_id = -1;  // ids of facts (term) or set of ids
  TermPtr condition;    // set: over variable slot 0
  int attribute = -1;   // text attributes: of which concept and attribute the term is
};

struct Choice {  // choose(x1..xn | constraints)
  int concept_id = -1;
  int count = 2;
  int number = -1;  // numeric attribute summed
  std::int64_t limit = 0;
  bool optimum = false;  // the total must be the smallest possible
  int differ = -1;       // attribute whose values must differ
  int each = -1;         // attribute that each chosen one must have within a bound; or -1
  bool least = false;    // the bound is a least value
  std::int64_t bound = 0;
  int some = -1;  // attribute that at least one of them must have a value of; or -1
  std::int64_t some_value = 0;
  std::vector<std::pair<int, std::int64_t>> filters;
  std::vector<std::int64_t> best;   // one right choice
  std::vector<std::int64_t> wrong;  // one that breaks exactly one constraint
  std::int64_t feasible = 0, space = 0;
  std::int64_t total = 0;  // of the best
};

struct Refusal {
  std::string code;
  std::vector<std::pair<int, std::int64_t>> evidence;  // (concept, key)
  int rule = -1, gate = -1;
};

struct Condition {  // if
  TermPtr term;     // closed
  bool holds = false;
  std::string phrase;
};

struct Goal {
  // lookup, aggregate, achieve, multi, each, if, choose, refuse, ask, restore, fallback, saga,
  // exception, duty, talk
  std::string kind;
  std::vector<Operation> operations;  // in order; for `if` those of the branch that holds
  std::vector<Operation> other;       // if: the other branch
  std::vector<Answer> answers;
  std::optional<Choice> choice;
  std::optional<Refusal> refusal;
  std::optional<Condition> condition;
  std::vector<Reference> mentions;    // facts named in the prompt outside operations
  std::vector<std::string> requests;  // clauses of the prompt, imperative
  // Later turns: the operations from `begin` on are asked for only when the user is asked.
  struct Turn {
    std::size_t begin = 0;
    std::vector<std::string> requests;
  };
  std::vector<Turn> turns;
  // Operations that cannot be done once `after` operations are: what a way back or a second best is
  // for.
  struct Blocked {
    Operation operation;
    std::size_t after = 0;
  };
  std::vector<Blocked> blocked;
  std::vector<std::pair<TermPtr, std::int64_t>> holds;    // closed terms and what they must give
  std::string hidden_keyword, hidden_text, hidden_value;  // ask
  int hidden_param = -1;
  // What the plan must read, in order, besides resolving references: (concept, filters) lists,
  // attributes, derived terms, and whatever a closed term hangs on.
  struct Need {
    enum class Kind : std::uint8_t { list, attribute, derived, term } kind = Kind::list;
    int concept_id = -1;
    std::vector<std::pair<int, std::int64_t>> filters;  // list
    std::vector<int> attributes;                        // list: that must be seen for every row
    std::int64_t key = kNone;                           // attribute, derived
    int index = -1;
    std::size_t after = 0;  // how many operations are done before; kEnd: all of the turn
    TermPtr term;           // term; with concept_id: the condition of a set over variable slot 0
    int turn = 0;
  };
  static constexpr std::size_t kEnd = 1000;
  std::vector<Need> needs, duty_needs;
  std::optional<Refusal> excused;  // exception: the refusal that would be wrong
  std::vector<schemas::Knob> knobs;
  std::string expression;  // the goal with constants erased, for its skeleton
  int interactions = 0;    // edges whose removal changes plan or answer; draw_goal counts them
  int mechanisms = 0;      // that it touches
};

// One goal of the packs (an index of World::goals) bound once, duties added.
std::optional<Goal> draw_scheme(const Lowered& lowered, int scheme, Rng rng);
// Adds what the handbook's duties want done on top; false where that cannot be done.
bool add_duties(const Lowered& lowered, Goal& goal);
// Draws one goal of the kind; nothing where the world has none or it could not be bound.
std::optional<Goal> draw_goal(const Lowered& lowered, const std::string& kind, Rng rng);

// ---- pieces ----
struct Speaker {  // words for facts and values
  const Lowered& l;
  [[nodiscard]] std::string noun(int concept_id, bool plural = false) const;
  [[nodiscard]] std::string name(int concept_id, std::int64_t key) const;  // of a named fact
  [[nodiscard]] std::string value(int concept_id, int attribute, std::int64_t v) const;
  [[nodiscard]] std::string value(const Domain& domain, std::int64_t v) const;
  // "confirmed sign-ups made by Dana Reyes": filters as words.
  [[nodiscard]] std::string described(int concept_id,
                                      const std::vector<std::pair<int, std::int64_t>>& filters,
                                      bool plural) const;
};
std::optional<Reference> refer(
    const Lowered& l, const Facts& facts, int concept_id, std::int64_t key, Rng& rng);
// Whether the description, read anew, fits its fact and no other: by the names as they are printed,
// the filters, the extremum.
bool fits_one(const Lowered& l, const Facts& facts, const Reference& reference);
std::optional<Operation> bind_operation(const Lowered& l,
                                        const Facts& facts,
                                        int transition,
                                        const std::vector<std::int64_t>& args,
                                        Rng& rng);
// What may be done at the start, for Lowered::legal.
std::vector<Lowered::Legal> legal_at_start(const Lowered& lowered);
// Whether a rule that no tool enforces forbids the operation now.
bool forbidden(const World& world,
               const Facts& facts,
               int transition,
               const std::vector<std::int64_t>& args);
std::vector<std::int64_t> legal_args(
    const World& world, const Facts& facts, int transition, Rng& rng, int tries);
TermPtr fact_ref(int concept_id, std::int64_t key);
TermPtr fact_attribute(const World& world, int concept_id, std::int64_t key, int attribute);
std::vector<std::int64_t> rows_where(const World& world,
                                     const Facts& facts,
                                     int concept_id,
                                     const std::vector<std::pair<int, std::int64_t>>& filters);

// What the goal comes to, with one interaction taken away or none: its facts, answers and legality,
// as one text.
std::string outcome_of(const Lowered& l, const Goal& goal, int ablated);
int interactions_of(const Lowered& l, const Goal& goal, int& mechanisms);

// ---- from goal to draft ----
struct Plan {
  std::vector<schemas::GoldStep> steps;
  bool ok = false;
  std::string why;  // where not ok
};
Plan plan_goal(const Lowered& l, const Goal& goal);
std::string prompt_of(const Lowered& l, const Goal& goal, Rng rng);
// What the user says when asked for the request of a later turn.
std::string later_request(const Lowered& l, const Goal& goal, std::size_t turn, Rng rng);
// No draft: `why` says "plan" (it cannot be done with what can be known), "level" (too few calls to
// be a task) or "words" (its prompt lost or doubled a constant).
Result<std::optional<tasks::Draft>> draft_of(
    const Lowered& l, const Goal& goal, Rng rng, std::int64_t number, std::string* why = nullptr);

}  // namespace seedbed::envgen
