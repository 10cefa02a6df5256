// The JSON value used everywhere inside: call frames, arguments, stored records. Objects keep
// insertion order, so what is written is a function of what was built. Numbers are int64 where the
// text has no fraction or exponent and fits, else double.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/result.h"

namespace seedbed::schemas {

class Value {
 public:
  using Array = std::vector<Value>;
  using Object = std::vector<std::pair<std::string, Value>>;  // keys unique; order kept
  enum class Kind : std::uint8_t { null, boolean, integer, number, string, array, object };

  Value() = default;
  Value(std::nullptr_t) {}                               // NOLINT(google-explicit-constructor)
  Value(bool b) : data_(b) {}                            // NOLINT(google-explicit-constructor)
  Value(int i) : data_(static_cast<std::int64_t>(i)) {}  // NOLINT(google-explicit-constructor)
  Value(std::int64_t i) : data_(i) {}                    // NOLINT(google-explicit-constructor)
  Value(double d) : data_(d) {}                          // NOLINT(google-explicit-constructor)
  Value(const char* s) : data_(std::string(s)) {}        // NOLINT(google-explicit-constructor)
  Value(std::string s) : data_(std::move(s)) {}          // NOLINT(google-explicit-constructor)
  Value(std::string_view s) : data_(std::string(s)) {}   // NOLINT(google-explicit-constructor)
  Value(Array a) : data_(std::move(a)) {}                // NOLINT(google-explicit-constructor)
  Value(Object o) : data_(std::move(o)) {}               // NOLINT(google-explicit-constructor)
  static Value array() { return Value(Array{}); }
  static Value object() { return Value(Object{}); }

  [[nodiscard]] Kind kind() const { return static_cast<Kind>(data_.index()); }
  [[nodiscard]] bool is_null() const { return kind() == Kind::null; }
  [[nodiscard]] bool is_bool() const { return kind() == Kind::boolean; }
  [[nodiscard]] bool is_int() const { return kind() == Kind::integer; }
  [[nodiscard]] bool is_number() const { return kind() == Kind::integer || kind() == Kind::number; }
  [[nodiscard]] bool is_string() const { return kind() == Kind::string; }
  [[nodiscard]] bool is_array() const { return kind() == Kind::array; }
  [[nodiscard]] bool is_object() const { return kind() == Kind::object; }

  // Each needs the matching kind (as_double takes both kinds of number).
  [[nodiscard]] bool as_bool() const { return std::get<bool>(data_); }
  [[nodiscard]] std::int64_t as_int() const { return std::get<std::int64_t>(data_); }
  [[nodiscard]] double as_double() const {
    return is_int() ? static_cast<double>(as_int()) : std::get<double>(data_);
  }
  [[nodiscard]] const std::string& as_string() const { return std::get<std::string>(data_); }
  [[nodiscard]] const Array& items() const { return std::get<Array>(data_); }
  [[nodiscard]] Array& items() { return std::get<Array>(data_); }
  [[nodiscard]] const Object& members() const { return std::get<Object>(data_); }
  [[nodiscard]] Object& members() { return std::get<Object>(data_); }

  // The member, or nullptr where absent or where this is no object.
  [[nodiscard]] const Value* find(std::string_view key) const;
  // The member as string or integer, or the fallback where absent or of another kind.
  [[nodiscard]] std::string text(std::string_view key, std::string_view fallback = "") const;
  [[nodiscard]] std::int64_t integer(std::string_view key, std::int64_t fallback = 0) const;
  // Sets or replaces a member; makes an object of null.
  Value& set(std::string key, Value value);
  void push(Value value);

  // Same kind and same content; object order does not matter; 1 and 1.0 are equal (JSON Schema's
  // equality).
  friend bool operator==(const Value& a, const Value& b);
  friend bool operator!=(const Value& a, const Value& b) { return !(a == b); }

 private:
  std::variant<std::monostate, bool, std::int64_t, double, std::string, Array, Object> data_;
};

const char* kind_name(Value::Kind kind);

struct ParseLimits {
  std::size_t max_bytes = 64U << 20;
  int max_depth = 64;
  std::size_t max_values = 8'000'000;  // a value costs 40 bytes, its text may be two
};

// Strict RFC 8259: valid UTF-8 only, no duplicate keys, no trailing bytes, bounded depth. The error
// says the byte offset.
Result<Value> parse_json(std::string_view text, const ParseLimits& limits = {});

// Compact, members in insertion order; doubles by the shortest form that reads back as the same
// double (1.0, never 1). Doubles that are not finite are written as null. Strings must be valid
// UTF-8.
std::string dump(const Value& value);
void dump_to(const Value& value, std::string& out);
// Two-space indentation, for people and golden files.
std::string dump_pretty(const Value& value);

// A file from outside, through nlohmann's parser: the error says path, line and column.
// Size-bounded.
Result<Value> read_json_file(const std::string& path, std::size_t max_bytes = 16U << 20);

}  // namespace seedbed::schemas
