// The compiled form of a JSON Schema: what json_schema_compile.cpp makes and json_schema.cpp runs.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "schemas/json_schema.h"

struct pcre2_real_code_8;

namespace seedbed::schemas {

// An unanchored search by PCRE2 in ECMA-262's sense where the two differ ($ only at the very end,
// \d is ASCII, \uXXXX). Backtracking is bounded: too_costly instead of a hang.
class Pattern {
 public:
  enum class Found : std::uint8_t { yes, no, too_costly };
  static Result<Pattern> compile(const std::string& text);  // Error{config} says where it breaks
  [[nodiscard]] Found search(const std::string& text) const;
  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  Pattern(std::string text, std::shared_ptr<const pcre2_real_code_8> code)
      : text_(std::move(text)), code_(std::move(code)) {}
  std::string text_;
  std::shared_ptr<const pcre2_real_code_8> code_;
};

bool is_date(std::string_view text);       // RFC 3339 full-date; a day that exists, years from 0001
bool is_date_time(std::string_view text);  // RFC 3339 date-time; :60 only at 23:59 UTC
std::size_t code_points(std::string_view text);
// -1, 0, 1; exact between integers and doubles.
int compare_numbers(const Value& a, const Value& b);
// In decimal, as the texts say: 19.99 is a multiple of 0.01. `divisor` > 0.
bool is_multiple(const Value& number, const Value& divisor);

// Where a value lies: frames on the stack, turned into a JSON pointer only for a message.
struct Path {
  const Path* up = nullptr;
  const std::string* key = nullptr;  // of a member, else index
  std::size_t index = 0;
  int depth = 0;
};

enum class Format : std::uint8_t { none, date, date_time };

struct JsonSchema::Node {
  struct Property {
    std::string name;
    const Node* schema;
  };
  struct Dependency {
    std::string name;
    std::vector<std::string> required;
    const Node* schema = nullptr;
  };
  bool nothing = false;        // the schema `false`
  std::uint8_t types = 0;      // bit of Value::Kind; 0: any. `number` sets integer's bit too
  bool whole_numbers = false;  // `integer` without `number`: 1.0 is one, 1.5 is none
  bool unique_items = false;
  bool in_place = false;  // has any of the applicators below
  Format format = Format::none;

  std::optional<std::vector<Value>> choices;  // enum
  std::optional<Value> constant;
  std::optional<Value> minimum, maximum, above, below, multiple_of;
  std::optional<std::size_t> min_length, max_length, min_items, max_items, min_properties,
      max_properties;
  std::optional<Pattern> pattern;

  std::vector<Property> properties;  // sorted by name
  std::vector<std::pair<Pattern, const Node*>> pattern_properties;
  std::vector<std::string> required;
  std::vector<Dependency> dependencies;
  const Node* additional = nullptr;  // nullptr: anything
  const Node* property_names = nullptr;

  std::vector<const Node*> prefix_items;
  const Node* items = nullptr;
  const Node* contains = nullptr;
  std::size_t min_contains = 1;
  std::optional<std::size_t> max_contains;

  const Node* ref = nullptr;
  std::vector<const Node*> all_of, any_of, one_of;
  const Node* none_of = nullptr;  // not
  const Node* condition = nullptr;
  const Node* then_schema = nullptr;
  const Node* else_schema = nullptr;
};

}  // namespace seedbed::schemas
