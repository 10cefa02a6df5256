// Surface: how operations are offered as tools. Each tool has a form that says, in World symbols,
// what it does; the printed tool, the planner and the second oracle all follow the form.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "envgen/general/skin.h"
#include "envgen/general/sql.h"
#include "schemas/environment.h"
#include "tasks/admit.h"

namespace seedbed::envgen {

inline constexpr std::size_t kMinTools = 8, kMaxTools = 40;
inline constexpr int kBatchMost = 4;  // ids in one call of a batch
inline constexpr int kMaxSteps = 64;  // of a tool's program, as its host takes them

struct ToolParam {
  enum class Money : std::uint8_t { cents, decimal, pair };
  std::string name;  // argument
  Domain domain;
  bool by_name = false;           // a reference given by the fact's name
  bool by_part = false;           // or by a part of it that no other name has
  int index = -1;                 // transition, query: parameter; list: attribute filtered on
  Money money = Money::cents;     // amounts: 1250; "12.50"; NAME_whole 12 and NAME_cents 50
  std::int64_t fallback = kNone;  // what the argument is where it is left out
};
// One operation as it is offered. A bundle is several forms of one name, told apart by `action`.
struct ToolForm {
  enum class Kind : std::uint8_t { transition, get, list, find, recent, query };
  Kind kind = Kind::get;
  std::string name;
  std::string action;  // bundle: the value of the argument "action"
  int transition = -1;
  int read = -1;        // query: of World::reads
  int concept_id = -1;  // what it reads; transition: the concept of its result, or -1
  std::vector<ToolParam> params;
  std::vector<int> shown;    // attributes in the result
  std::vector<int> derived;  // World::derived shown (get)
  std::vector<std::string> derived_columns;
  bool makes = false;     // transition: the result is the fact that it makes
  int result_param = -1;  // transition: the result is the fact of this parameter
  int page_size = 0;      // list: 0 = all rows
  bool bare = false;      // description dropped
  bool batch = false;     // transition: its one parameter is an array of ids, all or nothing
  int busy_every = 0;     // transition: each such call that would end well is busy and does nothing
  int busy_from = 0;      // calls made before the first
};
struct Surface {
  std::vector<ToolForm> tools;
  bool upper_codes = false;     // error words
  bool expand = false;          // rows show the names of the facts that they refer to
  bool units = false;           // some amounts are not in cents
  int naming = 0;               // 0 verb_noun, 1 noun_verb, 2 camelCase
  std::vector<bool> by_name;    // by concept: transitions take the name
  std::vector<bool> by_part;    // by concept: where a name is taken, part of it is enough
  std::vector<bool> projected;  // by concept: lists show little, get shows all
  std::vector<bool> decimal;    // by concept: results show amounts as "12.50"
  int page_size = 0;
  std::vector<std::string> passes;
  [[nodiscard]] const ToolForm* tool(std::string_view name) const;  // the first form of that name
  // The form that a call is of (of a bundle: by its action); null where there is none.
  [[nodiscard]] const ToolForm* form_of(const schemas::ToolCall& call) const;
  [[nodiscard]] std::size_t count() const;  // tools, a bundle as one
  // The form that offers a transition (null where none does), and how sentences name it ("" where
  // none does).
  [[nodiscard]] const ToolForm* offer(int transition) const;
  [[nodiscard]] std::string said(int transition) const;
  // The same for people, as the label of a button: "pay instalment", quotes included.
  [[nodiscard]] std::string label(int transition) const;
};
inline constexpr const char* kSurfacePasses[] = {
    "naming",       "name_lookup", "pages", "projection", "error_words", "bare_descriptions",
    "recent_lists", "expand_refs", "units", "defaults",   "bundle",      "ambiguous",
    "filters_off",  "transient",   "batch"};
// Which passes apply, and the forms that follow.
Surface make_surface(const World& world,
                     const Skin& skin,
                     const std::vector<std::string>& passes,
                     Rng rng);

// An environment with all that it came from; kept by the generator, never stored.
struct Lowered {
  std::shared_ptr<const World> world;
  Facts facts;
  Skin skin;
  Layout layout;
  Surface surface;
  schemas::Environment environment;
  std::string image;
  std::string id;  // of the environment, once its recipe is whole
  // Operations without free numbers that may be done at the start and that no rule forbids, where
  // a transition has not too many of them.
  struct Legal {
    int transition = -1;
    std::vector<std::int64_t> args;
  };
  std::vector<Legal> legal;
  [[nodiscard]] SqlPrinter printer() const { return {*world, skin, layout}; }
  [[nodiscard]] Renderer renderer() const { return {*world, skin, layout}; }
};
// The only printer of environments.
Result<Lowered> lower(std::shared_ptr<const World> world,
                      Facts facts,
                      Skin skin,
                      Layout layout,
                      Surface surface,
                      schemas::Recipe recipe);

// The tool whose forms these are (several: a bundle) as the agent and the host get it.
schemas::Tool print_tool(const Lowered& lowered, const std::vector<const ToolForm*>& forms);
// The arguments of the call that does the form's transition with these World arguments.
schemas::Value call_args(const Lowered& lowered,
                         const ToolForm& form,
                         const std::vector<std::int64_t>& args);
// Arguments of such calls that are worked out from what is said or shown (other units).
std::vector<std::string> converted_args(const Lowered& lowered, const ToolForm& form);
// A query over the call's arguments that is true where the term (over the transition's parameters
// and lets) holds for no transition that the call stands for; true for other forms of its tool.
std::string never_sql(const Lowered& lowered, const ToolForm& form, const Term& term);

// Sentences: {x}-style slots filled with the skin's words.
std::string handbook_of(const Lowered& lowered, std::vector<schemas::ReasonCode>& reasons);
std::string error_code(const Surface& surface, const std::string& code);

// ---- the second oracle ----
// What a call means in the World: whether what it names is there, and the transitions with World
// arguments that it stands for (none: a read, or a tool that is busy).
struct Move {
  int transition = -1;
  std::vector<std::int64_t> args;
};
struct Meaning {
  bool ok = false;
  std::vector<Move> moves;
};
// Whether a call that would end well is busy instead, after so many that ended well.
bool busy_now(const ToolForm& form, const std::map<std::string, std::int64_t>& calls);
// Calls one after the other, from the initial facts.
struct Session {
  const Lowered& l;
  Facts facts;
  std::map<std::string, std::int64_t> calls;  // that ended well, of tools that are busy at times
  explicit Session(const Lowered& lowered) : l(lowered), facts(lowered.facts) {}
  // What the call would mean now.
  [[nodiscard]] Meaning meaning(const schemas::ToolCall& call) const;
  // Makes it: all of its transitions or none. Whether it ends well; `moved` becomes those done.
  bool play(const schemas::ToolCall& call, std::vector<Move>* moved = nullptr);
};
// Facts as tasks::Judge::facts prints them.
std::vector<std::string> fact_lines(const Lowered& lowered, const Facts& facts);
tasks::Oracle make_oracle(std::shared_ptr<const Lowered> lowered);

}  // namespace seedbed::envgen
