// Questions about a JSON Schema: which schemas apply to one value together, what they ask for, and
// whether two of them can both hold. A Goal is a conjunction of schemas of one document.
#pragma once
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "engine/grammar/numbers.h"
#include "engine/grammar/text_dfa.h"
#include "schemas/value.h"

namespace seedbed::engine::grammar {

using Goal = std::vector<const schemas::Value*>;

enum Kinds : unsigned {
  kNull = 1,
  kBool = 2,
  kInteger = 4,
  kFraction = 8,  // numbers that are no integers
  kString = 16,
  kArray = 32,
  kObject = 64,
  kAnyKind = 127
};
unsigned kind_of(const schemas::Value& value);

// What a goal without alternatives asks for.
struct Demands {
  unsigned kinds = kAnyKind;
  std::optional<schemas::Value::Array> choices;
  NumberRange numbers;
  std::size_t min_length = 0, min_items = 0, min_properties = 0;
  std::optional<std::size_t> max_length, max_items, max_properties;
  std::vector<const schemas::Value*> patterns;
  bool date = false, date_time = false, unique = false;
  Goal arrays, objects;  // those that say something about items, members
  Goal names;            // propertyNames
  std::vector<std::string> required;
  [[nodiscard]] bool plain_text() const { return patterns.empty() && !date && !date_time; }
};

class SchemaView {
 public:
  // `at`: how errors name the document. It outlives the view.
  SchemaView(const schemas::Value& root, std::string at);

  [[nodiscard]] const Step& failed() const { return failed_; }
  void fail(const schemas::Value& schema,
            std::string_view keyword,
            std::string_view found,
            std::string_view todo = "say it otherwise");

  // The alternatives of a goal, each without $ref, allOf, anyOf and oneOf left to follow. Those of
  // oneOf exclude each other, or it fails.
  std::vector<Goal> alternatives(const Goal& goal);
  Demands demands(const Goal& flat);
  // Whether no value can meet it. False where it is not known.
  bool impossible(const Goal& goal, int depth = 0);
  bool holds(const Goal& goal, const schemas::Value& value);

  // Schemas of a member or item of a value that meets `flat`.
  static Goal item(const Demands& d, std::size_t index);
  Goal member(const Demands& d, const std::string& name);
  // Of a key that `patterns` (of schema `s`) match as told; forbidden: it holds `false`.
  static const schemas::Value& keyword(const schemas::Value& schema, std::string_view name);
  const TextDfa* pattern(const schemas::Value& text, const schemas::Value& schema);
  // Counts what was made; fails where that is too much.
  void charge(const TextDfa& made, const schemas::Value& schema);
  std::optional<TextDfa> text(const Demands& d, const schemas::Value& schema);

 private:
  void note(const schemas::Value& schema, const std::string& at, int depth);
  bool supported(const schemas::Value& schema);
  const schemas::Value* target(const schemas::Value& schema);
  void check_apart(const schemas::Value& schema);
  bool flat_impossible(const Goal& flat, int depth);
  bool holds_one(const schemas::Value& schema, const schemas::Value& value);
  bool holds_array(const schemas::Value& schema, const schemas::Value& value);
  bool holds_object(const schemas::Value& schema, const schemas::Value& value);
  bool finds(const schemas::Value& pattern, const std::string& text);

  const schemas::Value& root_;
  std::string at_;
  std::unordered_map<const schemas::Value*, std::string> pointers_;
  std::set<const schemas::Value*> supported_, apart_;
  std::map<std::string, TextDfa> patterns_;
  std::int64_t work_ = 0;
  std::size_t text_states_ = 0;
  Step failed_;
};

}  // namespace seedbed::engine::grammar
