// Packs as read from disk or from the binary: mechanisms and lexicons, still text.
// docs/pack-format.md is the format.
#pragma once
#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "schemas/value.h"

namespace seedbed::envgen {

inline constexpr std::array<const char*, 5> kArchetypes = {"Party", "Item", "Place", "Slot",
                                                           "Case"};

using Texts = std::vector<std::pair<std::string, std::string>>;  // ordered name -> text

struct PackAttr {
  std::string name, type;  // type as written, without bounds split
  std::string noun, with;
  bool nullable = false, optional = false;
};
struct PackConcept {
  std::string name, id_prefix;
  std::vector<std::pair<std::string, std::string>> words;  // singular, plural alternatives
  std::vector<PackAttr> attrs;
  int count_lo = 8, count_hi = 16;
  std::vector<std::pair<std::string, std::vector<std::pair<std::string, std::int64_t>>>>
      weights;  // attribute -> word -> weight
  std::string where;
};
struct PackGuard {
  std::string term, code;
};
struct PackTransition {
  std::string name;
  Texts params, lets;
  std::vector<PackGuard> guards;
  std::vector<std::string> effects;
  std::string event;  // "" where it emits none
  Texts event_args;
  std::vector<std::string> say;
  std::string subject;
  std::string undo;  // transition that takes it back; "" where there is none
};
struct PackDerived {
  std::string name, over, term, noun;
  bool shared = false;
};
struct PackGate {  // also loads (no code)
  std::string name, over, term, code, say;
  Texts params;
};
struct PackRule {
  std::string name, on, never_if, code, unless;
  Texts params;
  std::vector<std::string> evidence, say, unless_say;
};
struct PackDuty {  // after `on`, where `condition` held before it, `then` must be done as well
  std::string name, on, condition, then;
  Texts params;
  std::vector<std::string> say;
};
struct PackRead {  // a named query
  std::string name, over, where, say;
  Texts params;
};
struct PackTell {
  std::string field, term, about;
};
struct PackGoal {  // what people ask for, in the mechanism's own words
  std::string name;
  Texts given, find;
  std::string condition;                // "if"
  std::string each;                     // "x: concept | condition"
  std::string when;                     // with `otherwise`
  std::vector<std::string> operations;  // "do"
  std::vector<std::string> otherwise;   // "else"
  std::vector<PackTell> tell;
  std::vector<std::string> say;
};
struct Mechanism {
  std::string name, about;
  bool heldout = false;
  Texts roles;  // role -> archetype
  std::vector<PackConcept> concepts;
  std::vector<std::pair<std::string, std::vector<PackAttr>>> adds;  // role -> attributes
  std::vector<PackDerived> derived;
  std::vector<PackGate> loads, gates;
  Texts invariants;
  std::vector<PackTransition> transitions, reactions;  // reactions: say[0] is their sentence
  std::vector<PackRule> rules;
  std::vector<PackDuty> duties;
  std::vector<PackRead> reads;
  std::vector<PackGoal> goals;
};

struct ArchetypeSkin {
  std::string singular, plural;
  bool person = false;
  std::vector<std::vector<std::string>> names;
};
struct PackValues {
  std::int64_t lo = 0, hi = 0, step = 1;
};
struct Lexicon {
  std::string name, title;
  bool heldout = false;
  std::map<std::string, std::vector<ArchetypeSkin>> archetypes;
  std::map<std::string, std::pair<std::string, std::string>> concepts;
  std::map<std::string, std::string> attributes, enums, ids;
  std::map<std::string, std::vector<std::string>> says;  // transition or goal -> its phrases
  std::map<std::string, std::string> tools;              // transition -> verb of its tool
  std::map<std::string, PackValues> values;              // attribute -> range of made values
  std::vector<std::string> registers;                    // tones of voice, by name
  std::vector<std::string> asides;
};

struct DbModel;  // envgen/from_db: a user's database in the place of packs

struct Packs {
  std::vector<Mechanism> mechanisms;  // sorted by name
  std::vector<Lexicon> lexicons;      // sorted by name
  std::vector<std::string> first_names, last_names;
  std::string hash;  // of all bytes read
  std::shared_ptr<const DbModel> database;  // null: mechanisms and lexicons are used
};

// The built-in packs and those of `dirs` (each with mechanisms/ and lexicons/). A pack of an
// existing name is refused. Refuses malformed packs by file, pointer, found and wanted, and cyclic
// roles.
Result<std::shared_ptr<const Packs>> load_packs(const std::vector<std::string>& dirs);
// Only the given folders.
Result<std::shared_ptr<const Packs>> load_packs_from(const std::vector<std::string>& dirs);

// Writes a commented mechanism and lexicon, named after the folder, to start from; gives the paths.
Result<std::vector<std::string>> new_pack(const std::string& dir);

Result<Mechanism> read_mechanism(const schemas::Value& json, const std::string& where);
Result<Lexicon> read_lexicon(const schemas::Value& json, const std::string& where);

}  // namespace seedbed::envgen
