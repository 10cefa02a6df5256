// JSON as Python spells it (json.dumps with ensure_ascii=False: ", " and ": ", insertion order,
// floats by repr), and a walk over JSON text that keeps what Value cannot: integers beyond 64 bits
// and the exact text of a member.
#pragma once
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "schemas/value.h"

namespace seedbed::engine::chat {

void append_json_string(std::string_view text, std::string& out);   // with the quotes
void append_json_escaped(std::string_view text, std::string& out);  // without
std::string python_float(double d);  // 1.0, 1e-07, 1e+22, NaN, Infinity
std::string python_json(const schemas::Value& value);

// A JSON value together with Python's spelling of it. From text, integers of any size keep their
// digits in `text`, though `value` holds those beyond 64 bits as doubles.
struct Json {
  schemas::Value value;
  std::string text;

  Json() : text("null") {}
  Json(schemas::Value v)  // NOLINT(google-explicit-constructor)
      : value(std::move(v)), text(python_json(value)) {}
  friend bool operator==(const Json& a, const Json& b) { return a.text == b.text; }
};
// Error{config} of parse_json.
Result<Json> read_json(std::string_view json);

// The functions below need text that parse_json took.
struct JsonMember {
  std::string key;
  std::string_view value;  // into the text, without white space around
};
std::vector<JsonMember> json_members(std::string_view object);
std::vector<std::string_view> json_items(std::string_view array);
std::string json_string(std::string_view quoted);   // what the quoted text says
std::string respell(std::string_view json);         // as Python writes it after reading it
std::string_view trim_json(std::string_view json);  // without JSON's white space at both ends

}  // namespace seedbed::engine::chat
