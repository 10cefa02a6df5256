#include "schemas/value.h"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace seedbed::schemas {

namespace {

using Object = Value::Object;

bool equal_numbers(const Value& a, const Value& b) {
  if (a.is_int() && b.is_int()) return a.as_int() == b.as_int();
  if (!a.is_int() && !b.is_int()) return a.as_double() == b.as_double();
  const std::int64_t i = a.is_int() ? a.as_int() : b.as_int();
  const double d = a.is_int() ? b.as_double() : a.as_double();
  // Exact: comparing as doubles would make 2^53 + 1 equal to 2^53. 2^63 itself is a double, so the
  // bounds are.
  if (!(d >= -0x1p63 && d < 0x1p63)) return false;
  return static_cast<double>(static_cast<std::int64_t>(d)) == d &&
         static_cast<std::int64_t>(d) == i;
}

std::vector<const Object::value_type*> by_key(const Object& object) {
  std::vector<const Object::value_type*> out;
  out.reserve(object.size());
  for (const auto& member : object) out.push_back(&member);
  std::sort(out.begin(), out.end(), [](auto* a, auto* b) { return a->first < b->first; });
  return out;
}

bool equal_objects(const Object& a, const Object& b) {
  if (a.size() != b.size()) return false;
  std::size_t same = 0;  // the usual case: the same order
  while (same < a.size() && a[same].first == b[same].first) {
    if (a[same].second != b[same].second) return false;
    ++same;
  }
  if (same == a.size()) return true;
  const auto x = by_key(a);
  const auto y = by_key(b);
  for (std::size_t i = 0; i < x.size(); ++i)
    if (x[i]->first != y[i]->first || x[i]->second != y[i]->second) return false;
  return true;
}

}  // namespace

const Value* Value::find(std::string_view key) const {
  if (!is_object()) return nullptr;
  for (const auto& [name, value] : members())
    if (name == key) return &value;
  return nullptr;
}

std::string Value::text(std::string_view key, std::string_view fallback) const {
  const Value* member = find(key);
  return member != nullptr && member->is_string() ? member->as_string() : std::string(fallback);
}

std::int64_t Value::integer(std::string_view key, std::int64_t fallback) const {
  const Value* member = find(key);
  return member != nullptr && member->is_int() ? member->as_int() : fallback;
}

Value& Value::set(std::string key, Value value) {
  if (is_null()) data_ = Object{};
  for (auto& [name, old] : members())
    if (name == key) {
      old = std::move(value);
      return *this;
    }
  members().emplace_back(std::move(key), std::move(value));
  return *this;
}

void Value::push(Value value) {
  if (is_null()) data_ = Array{};
  items().push_back(std::move(value));
}

bool operator==(const Value& a, const Value& b) {
  if (a.is_number() && b.is_number()) return equal_numbers(a, b);
  if (a.kind() != b.kind()) return false;
  switch (a.kind()) {
    case Value::Kind::boolean:
      return a.as_bool() == b.as_bool();
    case Value::Kind::string:
      return a.as_string() == b.as_string();
    case Value::Kind::array:
      return a.items() == b.items();
    case Value::Kind::object:
      return equal_objects(a.members(), b.members());
    default:
      return true;  // null; numbers are done above
  }
}

const char* kind_name(Value::Kind kind) {
  switch (kind) {
    case Value::Kind::null:
      return "null";
    case Value::Kind::boolean:
      return "boolean";
    case Value::Kind::integer:
      return "integer";
    case Value::Kind::number:
      return "number";
    case Value::Kind::string:
      return "string";
    case Value::Kind::array:
      return "array";
    case Value::Kind::object:
      return "object";
  }
  return "?";
}

// ---- writing ----
namespace {

void dump_string(const std::string& text, std::string& out) {
  static constexpr char kHex[] = "0123456789abcdef";
  out.push_back('"');
  std::size_t begin = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c >= 0x20 && c != '"' && c != '\\') continue;
    out.append(text, begin, i - begin);
    begin = i + 1;
    switch (c) {
      case '"':
        out.append("\\\"");
        break;
      case '\\':
        out.append("\\\\");
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
  out.append(text, begin);
  out.push_back('"');
}

void dump_double(double d, std::string& out) {
  if (!std::isfinite(d)) {  // JSON has no word for it
    out.append("null");
    return;
  }
  char buffer[40];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, d).ptr;
  out.append(buffer, end);
  // 1.0 prints as "1", which would be read back as an integer.
  if (std::all_of(buffer, end, [](char c) { return c == '-' || (c >= '0' && c <= '9'); }))
    out.append(".0");
}

void dump_integer(std::int64_t i, std::string& out) {
  char buffer[24];
  out.append(buffer, std::to_chars(buffer, buffer + sizeof buffer, i).ptr);
}

// indent < 0: compact
void write(const Value& value, std::string& out, int indent) {
  const auto new_line = [&out](int depth) {
    out.push_back('\n');
    out.append(static_cast<std::size_t>(depth) * 2, ' ');
  };
  const int inner = indent < 0 ? -1 : indent + 1;
  switch (value.kind()) {
    case Value::Kind::null:
      out.append("null");
      return;
    case Value::Kind::boolean:
      out.append(value.as_bool() ? "true" : "false");
      return;
    case Value::Kind::integer:
      dump_integer(value.as_int(), out);
      return;
    case Value::Kind::number:
      dump_double(value.as_double(), out);
      return;
    case Value::Kind::string:
      dump_string(value.as_string(), out);
      return;
    case Value::Kind::array: {
      bool first = true;
      out.push_back('[');
      for (const auto& item : value.items()) {
        if (!first) out.push_back(',');
        first = false;
        if (inner >= 0) new_line(inner);
        write(item, out, inner);
      }
      if (!first && indent >= 0) new_line(indent);
      out.push_back(']');
      return;
    }
    case Value::Kind::object: {
      bool first = true;
      out.push_back('{');
      for (const auto& [key, member] : value.members()) {
        if (!first) out.push_back(',');
        first = false;
        if (inner >= 0) new_line(inner);
        dump_string(key, out);
        out.append(inner >= 0 ? ": " : ":");
        write(member, out, inner);
      }
      if (!first && indent >= 0) new_line(indent);
      out.push_back('}');
      return;
    }
  }
}

}  // namespace

void dump_to(const Value& value, std::string& out) {
  write(value, out, -1);
}

std::string dump(const Value& value) {
  std::string out;
  write(value, out, -1);
  return out;
}

std::string dump_pretty(const Value& value) {
  std::string out;
  write(value, out, 0);
  out.push_back('\n');
  return out;
}

}  // namespace seedbed::schemas
