// Skin and Layout: words for symbols, and how each symbol is stored. Both are drawn per environment
// and known only to lowering; goals, plans and verifiers name World symbols.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "base/date.h"
#include "envgen/general/world.h"
#include "schemas/call.h"
#include "schemas/value.h"

namespace seedbed::envgen {

struct ConceptSkin {
  std::string singular, plural;
  std::string table, view;           // names in the database
  std::vector<std::string> columns;  // of the view, by attribute
  std::vector<std::string> nouns;    // by attribute
  std::vector<std::string> names;    // by ordinal, for text attributes
  std::string prefix;                // of text ids
  std::vector<std::string> ids;      // given text ids of facts 1, 2, ..., rising; empty: by style
};
struct Skin {
  std::string lexicon, title;
  std::vector<ConceptSkin> concepts;
  std::vector<std::vector<std::string>> words;  // by word set
  std::vector<std::string> asides;
  std::vector<std::string> verbs;              // by transition: of its tool's name
  std::vector<std::string> registers;          // tones of voice; empty: all
  std::vector<std::vector<std::string>> says;  // by transition: phrases, only {param} left open
  std::vector<std::vector<std::string>> goal_says;  // by goal scheme: the same with {given}
  std::vector<std::string> read_says;               // by named read
};
Skin make_skin(const World& world, const Packs& packs, const Lexicon& lexicon, Rng rng);

enum class IdStyle : std::uint8_t {
  code,
  number,
  spread
};  // "BK-0007", 1007, 10049; all rise with the key
// Where an attribute lives. base: a column of the concept's table. lookup: a number there, the word
// in a table of its own. history: the latest row of a log of its own. split: a second table, one
// row a fact. link: a table of its own with a row where the value is not none (references: a
// junction). log: the latest row of the log that all of the concept's written words share.
enum class Storage : std::uint8_t { base, lookup, history, split, link, log };
struct Counter {  // denormalised: how many facts of `child` refer to each fact of `parent`; on no
                  // view
  int parent = -1, child = -1, attribute = -1;
  std::string column;
};
struct Layout {
  std::vector<IdStyle> ids;                   // by concept
  std::vector<std::vector<Storage>> storage;  // [concept][attribute]
  std::vector<bool> soft_delete;              // by concept
  std::vector<bool> archive;                  // by concept: deletions move the row to another table
  std::vector<int> series;  // by concept: 0, or the key of its table is (series, item), `series`
                            // items in each
  std::vector<bool> pair_refs;  // by concept with a series: references in a table are stored as
                                // both columns, not as the id
  std::vector<Counter> counters;
  std::vector<std::string> passes;  // applied, for the record
};
// The plain layout; passes are rewrites of it.
Layout plain_layout(const World& world);
inline constexpr const char* kLayoutPasses[] = {
    "id_style", "lookup",   "history",    "split",     "soft_delete",  "counter",
    "archive",  "junction", "side_table", "state_log", "composite_key"};
// Applies one pass by name, at places drawn from rng; false where it found no place.
bool apply_layout_pass(const World& world, Layout& layout, const std::string& pass, Rng rng);

// Values as the database, the tools and the user see them.
struct Renderer {
  const World& world;
  const Skin& skin;
  const Layout& layout;
  [[nodiscard]] schemas::Value id(int concept_id, std::int64_t key) const;
  [[nodiscard]] schemas::Value value(const Domain& domain, std::int64_t v) const;  // not for text
  [[nodiscard]] schemas::Value attribute(int concept_id, int attribute, std::int64_t v) const;
  [[nodiscard]] schemas::Scalar scalar(int concept_id, int attribute, std::int64_t v) const;
  // The inverse of id() and of value(); kNone where it is none.
  [[nodiscard]] std::int64_t key_of(int concept_id, const schemas::Value& id) const;
  [[nodiscard]] std::int64_t value_of(const Domain& domain, const schemas::Value& v) const;
  [[nodiscard]] std::int64_t key_of_name(int concept_id,
                                         const Facts& facts,
                                         const std::string& name) const;
};
std::int64_t day_of_iso(const std::string& text);  // kNone where it is none
std::string slug(const std::string& words);        // snake_case
std::string identifier(const std::string& words);  // snake_case that SQL takes unquoted
std::string sql_text(const std::string& text);     // 'it''s'
std::string capitalised(std::string text);
std::string with_article(const std::string& noun);  // "a loan", "an order"

}  // namespace seedbed::envgen
