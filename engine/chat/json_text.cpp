#include "engine/chat/json_text.h"

#include <charconv>
#include <cmath>
#include <cstdint>

#include "base/check.h"

namespace seedbed::engine::chat {

using schemas::Value;

namespace {

bool is_space(char c) {
  return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

std::size_t skip_space(std::string_view json, std::size_t at) {
  while (at < json.size() && is_space(json[at])) ++at;
  return at;
}

// One past the closing quote of the string that opens at `at`.
std::size_t string_end(std::string_view json, std::size_t at) {
  for (++at; at < json.size() && json[at] != '"'; ++at)
    if (json[at] == '\\') ++at;
  return at + 1;
}

// One past the value that begins at `at`; flat, so that depth costs nothing.
std::size_t value_end(std::string_view json, std::size_t at) {
  int depth = 0;
  while (at < json.size()) {
    const char c = json[at];
    if (c == '"') {
      at = string_end(json, at);
    } else if (c == '{' || c == '[') {
      ++depth;
      ++at;
      continue;
    } else if (c == '}' || c == ']') {
      --depth;
      ++at;
    } else if (c == ',' || c == ':' || is_space(c)) {
      ++at;
      continue;
    } else {
      while (at < json.size() && !is_space(json[at]) &&
             std::string_view(",:]}").find(json[at]) == std::string_view::npos)
        ++at;
    }
    if (depth == 0) return at;
  }
  return at;
}

void respell_number(std::string_view digits, std::string& out) {
  if (digits.find_first_of(".eE") == std::string_view::npos) {
    out.append(digits == "-0" ? "0" : digits);  // Python's int has no negative zero
    return;
  }
  double d = 0;
  if (std::from_chars(digits.data(), digits.data() + digits.size(), d).ec != std::errc())
    d = digits[0] == '-' ? -0.0 : 0.0;  // parse_json took it, so it is too near zero
  out.append(python_float(d));
}

void write(const Value& value, std::string& out) {
  switch (value.kind()) {
    case Value::Kind::null:
      out.append("null");
      return;
    case Value::Kind::boolean:
      out.append(value.as_bool() ? "true" : "false");
      return;
    case Value::Kind::integer:
      out.append(std::to_string(value.as_int()));
      return;
    case Value::Kind::number:
      out.append(python_float(value.as_double()));
      return;
    case Value::Kind::string:
      append_json_string(value.as_string(), out);
      return;
    case Value::Kind::array: {
      const char* separator = "[";
      for (const auto& item : value.items()) {
        out.append(std::exchange(separator, ", "));
        write(item, out);
      }
      out.append(value.items().empty() ? "[]" : "]");
      return;
    }
    case Value::Kind::object: {
      const char* separator = "{";
      for (const auto& [key, member] : value.members()) {
        out.append(std::exchange(separator, ", "));
        append_json_string(key, out);
        out.append(": ");
        write(member, out);
      }
      out.append(value.members().empty() ? "{}" : "}");
      return;
    }
  }
}

}  // namespace

void append_json_escaped(std::string_view text, std::string& out) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::size_t begin = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c >= 0x20 && c != '"' && c != '\\') [[likely]]
      continue;
    out.append(text.substr(begin, i - begin));
    begin = i + 1;
    switch (c) {
      case '"':
      case '\\':
        out.push_back('\\');
        out.push_back(static_cast<char>(c));
        break;
      case '\n':
        out.append("\\n");
        break;
      case '\r':
        out.append("\\r");
        break;
      case '\t':
        out.append("\\t");
        break;
      case '\b':
        out.append("\\b");
        break;
      case '\f':
        out.append("\\f");
        break;
      default:
        out.append("\\u00");
        out.push_back(kHex[c >> 4]);
        out.push_back(kHex[c & 15]);
    }
  }
  out.append(text.substr(begin));
}

void append_json_string(std::string_view text, std::string& out) {
  out.push_back('"');
  append_json_escaped(text, out);
  out.push_back('"');
}

// Python's repr: the shortest digits that read back, as a plain number while the decimal exponent
// lies in [-4, 16), else with an exponent of at least two digits.
std::string python_float(double d) {
  if (std::isnan(d)) return "NaN";
  if (std::isinf(d)) return d < 0 ? "-Infinity" : "Infinity";
  char buffer[40];
  const auto end =
      std::to_chars(buffer, buffer + sizeof buffer, d, std::chars_format::scientific).ptr;
  std::string_view text(buffer, static_cast<std::size_t>(end - buffer));
  const auto mark = text.find('e');
  SEEDBED_CHECK(mark != std::string_view::npos, text);
  int exponent = 0;
  const char* digits = buffer + mark + 1;
  std::from_chars(*digits == '+' ? digits + 1 : digits, end, exponent);
  if (exponent < -4 || exponent >= 16) return std::string(text);  // to_chars writes as Python does
  std::string out = d < 0 || std::signbit(d) ? "-" : "";
  std::string figures;
  for (const char c : text.substr(0, mark))
    if (c != '-' && c != '.') figures.push_back(c);
  if (exponent < 0) {
    out.append("0.").append(static_cast<std::size_t>(-exponent - 1), '0').append(figures);
    return out;
  }
  const auto whole = static_cast<std::size_t>(exponent) + 1;
  if (figures.size() <= whole) figures.append(whole - figures.size(), '0').append("0");
  return out + figures.substr(0, whole) + "." + figures.substr(whole);
}

std::string python_json(const Value& value) {
  std::string out;
  write(value, out);
  return out;
}

Result<Json> read_json(std::string_view json) {
  SEEDBED_TRY(auto value, schemas::parse_json(json));
  Json out;
  out.value = std::move(value);
  out.text = respell(json);
  return out;
}

std::string_view trim_json(std::string_view json) {
  while (!json.empty() && is_space(json.front())) json.remove_prefix(1);
  while (!json.empty() && is_space(json.back())) json.remove_suffix(1);
  return json;
}

std::vector<JsonMember> json_members(std::string_view object) {
  std::vector<JsonMember> out;
  object = trim_json(object);
  for (std::size_t at = skip_space(object, 1); at < object.size() && object[at] != '}';) {
    const auto key_end = string_end(object, at);
    JsonMember member{json_string(object.substr(at, key_end - at)), {}};
    at = skip_space(object, skip_space(object, key_end) + 1);  // past the colon
    const auto end = value_end(object, at);
    member.value = object.substr(at, end - at);
    out.push_back(std::move(member));
    at = skip_space(object, end);
    if (at < object.size() && object[at] == ',') at = skip_space(object, at + 1);
  }
  return out;
}

std::vector<std::string_view> json_items(std::string_view array) {
  std::vector<std::string_view> out;
  array = trim_json(array);
  for (std::size_t at = skip_space(array, 1); at < array.size() && array[at] != ']';) {
    const auto end = value_end(array, at);
    out.push_back(array.substr(at, end - at));
    at = skip_space(array, end);
    if (at < array.size() && array[at] == ',') at = skip_space(array, at + 1);
  }
  return out;
}

std::string json_string(std::string_view quoted) {
  auto value = schemas::parse_json(quoted);
  SEEDBED_CHECK(value.ok() && value->is_string(), quoted.size());
  return value->as_string();
}

std::string respell(std::string_view json) {
  std::string out;
  out.reserve(json.size() + json.size() / 8);
  for (std::size_t at = 0; at < json.size();) {
    const char c = json[at];
    if (c == '"') {
      const auto end = string_end(json, at);
      const auto quoted = json.substr(at, end - at);
      if (quoted.find('\\') == std::string_view::npos)
        out.append(quoted);
      else
        append_json_string(json_string(quoted), out);
      at = end;
    } else if (c == ',' || c == ':') {
      out.push_back(c);
      out.push_back(' ');
      ++at;
    } else if (c == '-' || (c >= '0' && c <= '9')) {
      const auto end = value_end(json, at);
      respell_number(json.substr(at, end - at), out);
      at = end;
    } else {
      if (!is_space(c)) out.push_back(c);
      ++at;
    }
  }
  return out;
}

}  // namespace seedbed::engine::chat
