// Surface: how operations are offered as tools. Each tool has a form that says, in World symbols,
// what it does; the printed tool, the planner and the second oracle all follow the form.
#pragma once
#include <string>
#include <vector>

#include "envgen/general/skin.h"
#include "envgen/general/sql.h"
#include "schemas/environment.h"
#include "tasks/admit.h"

namespace seedbed::envgen {

inline constexpr std::size_t kMinTools = 8, kMaxTools = 24;

struct ToolParam {
  std::string name;  // argument
  Domain domain;
  bool by_name = false;  // a reference given by the fact's name
  int index = -1;        // transition: parameter; list: attribute filtered on
};
struct ToolForm {
  enum class Kind : std::uint8_t { transition, get, list, find, recent };
  Kind kind = Kind::get;
  std::string name;
  int transition = -1;
  int concept_id = -1;  // what it reads; transition: the concept of its result, or -1
  std::vector<ToolParam> params;
  std::vector<int> shown;    // attributes in the result
  std::vector<int> derived;  // World::derived shown (get)
  std::vector<std::string> derived_columns;
  bool makes = false;     // transition: the result is the fact that it makes
  int result_param = -1;  // transition: the result is the fact of this parameter
  int page_size = 0;      // list: 0 = all rows
  bool bare = false;      // description dropped
};
struct Surface {
  std::vector<ToolForm> tools;
  bool upper_codes = false;     // error words
  bool expand = false;          // rows show the names of the facts that they refer to
  int naming = 0;               // 0 verb_noun, 1 noun_verb, 2 camelCase
  std::vector<bool> by_name;    // by concept: transitions take the name
  std::vector<bool> projected;  // by concept: lists show little, get shows all
  int page_size = 0;
  std::vector<std::string> passes;
  [[nodiscard]] const ToolForm* tool(std::string_view name) const;
  // The form that offers a transition (null where none does), and how sentences name it ("" where
  // none does).
  [[nodiscard]] const ToolForm* offer(int transition) const;
  [[nodiscard]] std::string said(int transition) const;
};
inline constexpr const char* kSurfacePasses[] = {"naming",       "name_lookup", "pages",
                                                 "projection",   "error_words", "bare_descriptions",
                                                 "recent_lists", "expand_refs"};
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

// One tool as the agent and the host get it.
schemas::Tool print_tool(const Lowered& lowered, const ToolForm& form);

// Sentences: {x}-style slots filled with the skin's words.
std::string handbook_of(const Lowered& lowered, std::vector<schemas::ReasonCode>& reasons);
std::string error_code(const Surface& surface, const std::string& code);

// ---- the second oracle ----
// What a call means in the World: whether what it names is there, and the transition with World
// arguments (whose guards apply() decides).
struct Meaning {
  bool ok = false;
  int transition = -1;  // -1: a read
  std::vector<std::int64_t> args;
};
Meaning meaning_of(const Lowered& lowered, const Facts& facts, const schemas::ToolCall& call);
// Facts as tasks::Judge::facts prints them.
std::vector<std::string> fact_lines(const Lowered& lowered, const Facts& facts);
tasks::Oracle make_oracle(std::shared_ptr<const Lowered> lowered);

}  // namespace seedbed::envgen
