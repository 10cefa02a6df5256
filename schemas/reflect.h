// One field list a struct drives reading, writing, `seedbed schema` and the messages for wrong or
// unknown keys:
//
//   struct Budget { int max_turns = 20; };
//   template <class V> void fields(V&& at, Budget& x) { at("max_turns", x.max_turns, "assistant
//   turns before the episode ends"); }
//
// Every listed field may be absent when it is wrapped in std::optional or named with opt();
// everything else is required. Enums take part by `enum_names(T)` -> a span of names in order. Maps
// are Object-ordered vectors of pairs.
#pragma once
#include <array>
#include <concepts>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/text.h"
#include "schemas/value.h"

namespace seedbed::schemas {

template <class T>
concept Enum = std::is_enum_v<T> && requires(T t) {
  enum_names(t);
};

struct AnyVisitor {
  template <class... A>
  void operator()(A&&...) const {}
};
template <class T>
concept Record = std::is_class_v<T> && requires(T t) {
  fields(AnyVisitor{}, t);
};

// ---- writing ----
template <class T>
Value to_value(const T& x) {
  if constexpr (std::same_as<T, Value>) {
    return x;
  } else if constexpr (std::same_as<T, bool> || std::same_as<T, std::string> ||
                       std::same_as<T, double>) {
    return Value(x);
  } else if constexpr (std::integral<T>) {
    return Value(static_cast<std::int64_t>(x));
  } else if constexpr (Enum<T>) {
    return Value(std::string(enum_names(x)[static_cast<std::size_t>(x)]));
  } else if constexpr (requires { x.has_value(); }) {
    return x.has_value() ? to_value(*x) : Value();
  } else if constexpr (Record<T>) {
    Value out = Value::object();
    fields(
        [&](const char* name, auto& field, const char*) {
          if constexpr (requires { field.has_value(); }) {
            if (!field.has_value()) return;
          }
          out.members().emplace_back(name, to_value(field));
        },
        const_cast<T&>(x));
    return out;
  } else {
    Value out = Value::array();
    for (const auto& item : x) out.push(to_value(item));
    return out;
  }
}

// ---- reading ----
// `where` names the file or frame; `pointer` is the JSON pointer so far.
Error wrong_kind(const std::string& where,
                 const std::string& pointer,
                 const Value& found,
                 const char* wanted);
Error wrong_word(const std::string& where,
                 const std::string& pointer,
                 const std::string& found,
                 const std::vector<std::string>& wanted);
Error missing_key(const std::string& where, const std::string& pointer, const char* key);
Error unknown_key(const std::string& where,
                  const std::string& pointer,
                  const std::string& key,
                  const std::vector<std::string>& known);

template <class T>
Step from_value(const Value& v, T& out, const std::string& where, const std::string& pointer = "") {
  if constexpr (std::same_as<T, Value>) {
    out = v;
  } else if constexpr (std::same_as<T, bool>) {
    if (!v.is_bool()) return wrong_kind(where, pointer, v, "boolean");
    out = v.as_bool();
  } else if constexpr (std::same_as<T, std::string>) {
    if (!v.is_string()) return wrong_kind(where, pointer, v, "string");
    out = v.as_string();
  } else if constexpr (std::same_as<T, double>) {
    if (!v.is_number()) return wrong_kind(where, pointer, v, "number");
    out = v.as_double();
  } else if constexpr (std::integral<T>) {
    if (!v.is_int()) return wrong_kind(where, pointer, v, "integer");
    if (!std::in_range<T>(v.as_int())) return wrong_kind(where, pointer, v, "integer in range");
    out = static_cast<T>(v.as_int());
  } else if constexpr (Enum<T>) {
    if (!v.is_string()) return wrong_kind(where, pointer, v, "string");
    std::vector<std::string> names;
    for (const auto& n : enum_names(out)) names.emplace_back(n);
    for (std::size_t i = 0; i < names.size(); ++i)
      if (names[i] == v.as_string()) {
        out = static_cast<T>(i);
        return std::nullopt;
      }
    return wrong_word(where, pointer, v.as_string(), names);
  } else if constexpr (requires { out.has_value(); }) {
    if (v.is_null()) {
      out.reset();
      return std::nullopt;
    }
    out.emplace();
    return from_value(v, *out, where, pointer);
  } else if constexpr (Record<T>) {
    if (!v.is_object()) return wrong_kind(where, pointer, v, "object");
    Step failed;
    std::vector<std::string> known;
    fields(
        [&](const char* name, auto& field, const char*) {
          known.emplace_back(name);
          if (failed) return;
          const Value* member = v.find(name);
          if (member == nullptr) {
            if constexpr (!requires { field.has_value(); })
              failed = missing_key(where, pointer, name);
            return;
          }
          failed = from_value(*member, field, where, pointer + "/" + name);
        },
        out);
    if (failed) return failed;
    for (const auto& [key, ignored] : v.members()) {
      bool found = false;
      for (const auto& k : known) found = found || k == key;
      if (!found) return unknown_key(where, pointer, key, known);
    }
  } else {
    if (!v.is_array()) return wrong_kind(where, pointer, v, "array");
    out.clear();
    std::size_t i = 0;
    for (const auto& item : v.items()) {
      out.emplace_back();
      if (auto e = from_value(item, out.back(), where, pointer + "/" + std::to_string(i++)))
        return e;
    }
  }
  return std::nullopt;
}

template <class T>
Result<T> read_record(const Value& v, const std::string& where) {
  T out{};
  if (auto e = from_value(v, out, where)) return *std::move(e);
  return out;
}
template <class T>
Result<T> parse_record(std::string_view text, const std::string& where) {
  auto v = parse_json(text);
  if (!v.ok()) return Error{v.error().where, where + ": " + v.error().message};
  return read_record<T>(*v, where);
}
template <class T>
std::string dump_record(const T& x) {
  return dump(to_value(x));
}

// ---- JSON Schema ----
template <class T>
Value schema_of() {
  Value out = Value::object();
  if constexpr (std::same_as<T, Value>) {
    return out;
  } else if constexpr (std::same_as<T, bool>) {
    out.set("type", "boolean");
  } else if constexpr (std::same_as<T, std::string>) {
    out.set("type", "string");
  } else if constexpr (std::same_as<T, double>) {
    out.set("type", "number");
  } else if constexpr (std::integral<T>) {
    out.set("type", "integer");
  } else if constexpr (Enum<T>) {
    Value names = Value::array();
    for (const auto& n : enum_names(T{})) names.push(std::string(n));
    out.set("enum", std::move(names));
  } else if constexpr (requires(T t) { t.has_value(); }) {
    return schema_of<typename T::value_type>();
  } else if constexpr (Record<T>) {
    Value properties = Value::object();
    Value required = Value::array();
    T x{};
    fields(
        [&](const char* name, auto& field, const char* about) {
          using F = std::remove_cvref_t<decltype(field)>;
          Value s = schema_of<F>();
          s.set("description", about);
          properties.set(name, std::move(s));
          if constexpr (!requires { field.has_value(); }) required.push(name);
        },
        x);
    out.set("type", "object")
        .set("properties", std::move(properties))
        .set("required", std::move(required));
    out.set("additionalProperties", false);
  } else {
    out.set("type", "array").set("items", schema_of<typename T::value_type>());
  }
  return out;
}

}  // namespace seedbed::schemas
