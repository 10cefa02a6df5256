// The World: concepts, facts, transitions, rules, interactions; symbols only. Immutable once
// composed; it runs in memory and is the second oracle of everything that the database does.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/rng.h"
#include "envgen/general/pack.h"
#include "envgen/general/term.h"

namespace seedbed::envgen {

struct WordSet {
  std::string symbol;  // e.g. reservation.booking.state
  std::vector<std::string> words;
  std::vector<std::int64_t> weights;  // for generated rows
};
struct Attr {
  std::string name;        // unique in its concept
  std::string short_name;  // as its mechanism calls it
  Domain domain;
  std::string noun, with;
  int mechanism = -1;     // that brought it; -1: the archetype's own
  int edge = -1;          // unify edge that this reference hangs on
  bool optional = false;  // the composer might have left it out
};
struct Concept {
  std::string symbol;     // role: archetype and number ("party1"); else mechanism.concept
  std::string archetype;  // "" for a mechanism's own
  int archetype_number = 0;
  int mechanism = -1;
  std::vector<std::pair<std::string, std::string>> words;
  std::string id_prefix;
  std::vector<Attr> attrs;
  int count_lo = 8, count_hi = 16;
  TermPtr where;  // over variable slot 0: acceptable generated rows
  [[nodiscard]] int attr(std::string_view attr_name) const;
  [[nodiscard]] bool named() const { return !archetype.empty(); }
};

struct Param {
  std::string name;
  Domain domain;
};
struct Guard {
  TermPtr term;
  std::string code;
  int edge = -1;  // contributed by an interaction
  int rule = -1;  // enforced rule
};
struct Effect {
  enum class Kind : std::uint8_t { set, add, make, remove, each };
  Kind kind = Kind::set;
  TermPtr target;  // set, add: the fact; remove: the fact
  int concept_id = -1;
  int attribute = -1;
  TermPtr value;                             // set, add
  std::vector<std::pair<int, TermPtr>> row;  // make; every attribute of the concept
  int variable = -1;                         // each
  TermPtr condition;                         // each
  std::vector<Effect> body;
};
struct Transition;
struct Reaction {
  int edge = -1;
  int transition = -1;        // index into World::reactions
  std::vector<TermPtr> args;  // over the emitter's params and lets, evaluated before its effects
};
struct Transition {
  std::string symbol;  // mechanism.name
  int mechanism = -1;
  std::vector<Param> params;
  std::vector<std::pair<std::string, TermPtr>> lets;  // slots after the params
  std::vector<Guard> guards;
  std::vector<Effect> effects;
  std::vector<Reaction> reactions;
  std::vector<std::string> say;
  TermPtr subject;  // may be null
  int undo = -1;    // transition that takes it back
};
struct Derived {
  std::string symbol, noun;
  int over = -1, mechanism = -1;
  TermPtr term;  // over variable slot 0
  Domain domain;
};
enum class EdgeKind : std::uint8_t { unify, event, guard, quantity };
struct Edge {
  EdgeKind kind = EdgeKind::unify;
  int from = -1, to = -1;  // mechanisms
  std::string text;        // for the composition record
  bool dead = false;       // drawn, then left out: its gate would have held for all or for none
};
struct Rule {
  std::string symbol, code;
  int transition = -1;
  TermPtr never_if;  // over the transition's params; the exception taken off already
  TermPtr base;      // the same without the exception; null where there is none
  std::string unless_say;
  std::vector<TermPtr> evidence;
  std::string say;  // {param} and {CONSTANT} still to be filled
  std::vector<std::pair<std::string, std::int64_t>> constants;
  bool enforced = false;  // guard of the tool, else an obligation
};
struct Duty {  // after `on`, where `condition` held before it, the agent must do `then` as well
  std::string symbol;
  int on = -1, then = -1;
  TermPtr condition;          // over the params of `on`
  std::vector<TermPtr> args;  // of `then`, over the params of `on`, evaluated before it
  std::string say;
  std::vector<std::pair<std::string, std::int64_t>> constants;
};
struct NamedRead {  // a query that packs name; offered as a tool
  std::string symbol;
  int mechanism = -1, over = -1;
  std::vector<Param> params;
  TermPtr where;  // over the params; variable slot 0 is the subject
  std::string say;
};
// What packs say that people ask for: terms over the given values, then the finds.
struct OperationScheme {
  int transition = -1;
  std::vector<TermPtr> args;
};
struct TellScheme {
  std::string field, about;
  TermPtr term;         // or a set:
  int concept_id = -1;  // of what
  TermPtr condition;    // over variable slot 0
};
struct GoalScheme {
  std::string symbol;
  int mechanism = -1;
  std::vector<Param> given;
  std::vector<std::pair<std::string, TermPtr>> find;
  TermPtr condition;  // may be null
  int each = -1;      // concept of the for-each
  TermPtr each_condition;
  TermPtr when;  // with `otherwise`
  std::vector<OperationScheme> operations, otherwise;
  std::vector<TellScheme> tell;
  std::vector<std::string> say;
};
struct GateSay {  // contributed guards as sentences
  const PackGate* pack = nullptr;
  int edge = -1;
  int over = -1;
  std::string code, say;
  std::vector<std::pair<std::string, std::int64_t>> constants;
  TermPtr term;  // over variable slot 0
  std::vector<int> transitions;
};

struct PendingGate {  // drawn, its constants not yet chosen
  int mechanism = -1, edge = -1, over = -1;
  const PackGate* pack = nullptr;
  std::vector<int> transitions;
};

struct Load {  // a term of one mechanism subtracted from a shared derived term of another
  int from = -1, to = -1, edge = -1;
  const PackGate* pack = nullptr;
  std::string derived;
};

// How many tools there are to be, where the request says so.
struct ToolWish {
  std::size_t least = 0, wish = 0;  // 0: whatever comes
  bool compact = false;             // few tools: short results and a short handbook as well
};
inline constexpr std::size_t kCompactTools = 16;  // that many at most are few

struct World {
  std::vector<std::string> mechanisms;                          // names, sorted
  std::vector<const Mechanism*> packs;                          // parallel to mechanisms
  std::vector<std::vector<std::pair<std::string, int>>> roles;  // [mechanism] role -> concept
  std::vector<WordSet> words;
  std::vector<Concept> concepts;
  std::vector<Transition> transitions, reactions;
  std::vector<Derived> derived;
  std::vector<TermPtr> invariants;           // closed
  std::vector<std::string> invariant_names;  // parallel: mechanism.name
  std::vector<Rule> rules;
  std::vector<Duty> duties;
  std::vector<NamedRead> reads;
  std::vector<GoalScheme> goals;
  std::vector<GateSay> gates;
  std::vector<PendingGate> pending_gates;
  std::vector<Load> loads;
  std::vector<Edge> edges;
  std::int64_t now = 0;                           // day number
  std::vector<std::vector<int>> attribute_edges;  // [concept][attribute]
  bool heldout = false;
  ToolWish tools;
  std::set<std::string> left_out;  // transitions of the packs that this world does without

  [[nodiscard]] int concept_named(std::string_view symbol) const;
};

// What applying one transition gave.
struct Applied {
  bool ok = false;
  int guard = -1;  // the guard that failed, where not ok; -2: a parameter refers to nothing
  std::string code;
};
// Applies in place when all guards hold; leaves `facts` untouched otherwise. `ablated` is an edge
// taken away, or -1.
Applied apply(const World& world,
              int transition,
              const std::vector<std::int64_t>& args,
              Facts& facts,
              int ablated = -1);
// The same without doing it.
Applied may_apply(const World& world,
                  int transition,
                  const std::vector<std::int64_t>& args,
                  const Facts& facts,
                  int ablated = -1);
Scope scope_of(const World& world,
               const Facts& facts,
               const std::vector<std::int64_t>& params,
               std::vector<std::int64_t>& variables,
               int ablated = -1);
bool invariants_hold(const World& world, const Facts& facts);
std::string broken_invariant(const World& world, const Facts& facts);  // its name, or ""

// Mechanisms, roles and interactions drawn from the packs. Fails (as a value: the next attempt
// draws again) where the mechanisms drawn cannot be connected.
struct ComposeKnobs {
  int min_mechanisms = 2, max_mechanisms = 6;  // the ends are drawn half as often
  bool heldout = false;           // only packs that are not held out, or at least one that is
  std::vector<std::string> only;  // exactly these mechanisms (pack check)
  std::size_t least_tools = 0, most_tools = 0;  // 0: whatever comes
};
// Knobs for so many tools: fewer tools, fewer mechanisms.
void fit_mechanisms(ComposeKnobs& knobs);
// Draws how many tools the world, all its concepts known, is to have; fails where they need more
// than there may be. Every concept has one tool that reads it.
Step wish_tools(World& world, const ComposeKnobs& knobs, Rng rng);
// Leaves out transitions until they and what reads the concepts fit the wish, drawn so that the
// mechanisms stay connected; edges that hung on them are dead.
Step leave_out(World& world, Rng rng);
Result<std::shared_ptr<World>> compose(const Packs& packs, Rng rng, const ComposeKnobs& knobs);
// Whether events, guards and shared quantities connect all mechanisms.
bool connected(const World& world);
// Reads, goals and undo of the packs, parsed. Where an optional attribute was left out, what uses
// it falls away; with `strict` it is an error (pack check composes with all attributes).
Step add_schemes(World& world, bool strict);
// Whether the duty applies to the operation now, and the arguments of what must be done then.
std::optional<std::vector<std::int64_t>> duty_of(const World& world,
                                                 const Duty& duty,
                                                 const Facts& facts,
                                                 const std::vector<std::int64_t>& args);
// Initial facts; then chooses the constants of gates and rules near the data and adds them to the
// world.
// Narrows the ranges of made values to the trade's own, where the lexicon names them.
void narrow_values(World& world, const Lexicon& lexicon);
Result<Facts> make_facts(World& world, Rng rng);
Step add_rules_and_gates(World& world, const Facts& facts, Rng rng);

// Names bound for one mechanism's scope in a world (for terms in goals and tests as well).
Names names_for(const World& world, int mechanism);
// "ref holder", "enum a|b", "int 1..5", ... or a bare concept or role, in a mechanism's scope.
Result<Domain> parse_domain(World& world,
                            int mechanism,
                            const std::string& text,
                            const std::string& symbol,
                            const std::string& what);
// "?days": "2..9" drawn anew.
std::vector<std::pair<std::string, std::int64_t>> draw_constants(const Texts& params, Rng& rng);
// Arguments of the right types drawn from the facts; empty where some concept has none.
std::vector<std::int64_t> sample_args(const World& world,
                                      const Transition& t,
                                      const Facts& facts,
                                      Rng& rng);
std::int64_t sample_value(const World& world, const Domain& domain, const Facts& facts, Rng& rng);

}  // namespace seedbed::envgen
