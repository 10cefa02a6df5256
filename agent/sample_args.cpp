#include "agent/sample_args.h"

#include <algorithm>
#include <cctype>

#include "base/hash.h"
#include "schemas/json_schema.h"

namespace seedbed::agent {
namespace {

using schemas::Value;

constexpr std::size_t kMaxPool = 4096;
constexpr std::size_t kMaxString = 200;
constexpr int kMaxDepth = 12;

bool is_word(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '_' ||
         (static_cast<unsigned char>(c) & 0x80U) != 0;
}

bool is_date(std::string_view s) {
  if (s.size() != 10 || s[4] != '-' || s[7] != '-') return false;
  for (std::size_t i = 0; i < s.size(); ++i)
    if (i != 4 && i != 7 && (s[i] < '0' || s[i] > '9')) return false;
  return true;
}

class Sampler {
 public:
  Sampler(const Value& root, const Pool& pool, Rng& rng) : root_(root), pool_(pool), rng_(rng) {}

  Value sample(const Value& schema, int depth) {
    if (depth > kMaxDepth || !schema.is_object()) return {};
    if (const Value* ref = schema.find("$ref"); ref != nullptr && ref->is_string())
      if (const Value* target = resolve(ref->as_string()); target != nullptr)
        return sample(*target, depth + 1);
    if (const Value* constant = schema.find("const")) return *constant;
    if (const Value* words = schema.find("enum");
        words != nullptr && words->is_array() && !words->items().empty())
      return rng_.pick(words->items());
    if (const Value* value = schema.find("default"); value != nullptr && rng_.chance(1, 3))
      return *value;
    for (const char* key : {"anyOf", "oneOf"})
      if (const Value* any = schema.find(key);
          any != nullptr && any->is_array() && !any->items().empty())
        return sample(rng_.pick(any->items()), depth + 1);
    if (const Value* all = schema.find("allOf"); all != nullptr && all->is_array() &&
                                                 !all->items().empty() &&
                                                 schema.find("type") == nullptr)
      return sample(all->items()[0], depth + 1);
    return by_type(schema, type_of(schema), depth);
  }

 private:
  const Value* resolve(const std::string& ref) const {
    if (ref.rfind("#/", 0) != 0) return nullptr;
    const Value* at = &root_;
    for (std::size_t i = 2; i <= ref.size() && at != nullptr;) {
      const std::size_t slash = std::min(ref.find('/', i), ref.size());
      at = at->find(ref.substr(i, slash - i));
      i = slash + 1;
    }
    return at;
  }

  std::string type_of(const Value& schema) {
    const Value* type = schema.find("type");
    if (type != nullptr && type->is_string()) return type->as_string();
    if (type != nullptr && type->is_array() && !type->items().empty()) {
      const Value& one = rng_.pick(type->items());
      return one.is_string() ? one.as_string() : "null";
    }
    return schema.find("properties") != nullptr ? "object"
           : schema.find("items") != nullptr    ? "array"
                                                : "string";
  }

  Value by_type(const Value& schema, const std::string& type, int depth) {
    if (type == "boolean") return rng_.chance(1, 2);
    if (type == "integer") return integer(schema);
    if (type == "number") return integer(schema);
    if (type == "string") return text(schema);
    if (type == "array") return array(schema, depth);
    if (type == "object") return object(schema, depth);
    return {};
  }

  static std::int64_t bound(const Value& schema, const char* key, std::int64_t fallback) {
    const Value* v = schema.find(key);
    if (v == nullptr || !v->is_number()) return fallback;
    return v->is_int() ? v->as_int() : static_cast<std::int64_t>(v->as_double());
  }

  Value integer(const Value& schema) {
    std::int64_t lo = bound(schema, "minimum", bound(schema, "exclusiveMinimum", -1) + 1);
    std::int64_t hi = bound(schema, "maximum", bound(schema, "exclusiveMaximum", INT64_MAX) - 1);
    lo = std::clamp<std::int64_t>(lo, -(std::int64_t{1} << 50), std::int64_t{1} << 50);
    hi = std::clamp<std::int64_t>(hi, lo, std::int64_t{1} << 50);
    if (!pool_.integers().empty())
      for (int tries = 0; tries < 8; ++tries) {
        const std::int64_t x = rng_.pick(pool_.integers());
        if (x >= lo && x <= hi) return x;
      }
    return rng_.between(lo, std::min(hi, lo + 20));
  }

  Value text(const Value& schema) {
    const std::string format = schema.text("format");
    const auto shortest =
        static_cast<std::size_t>(std::clamp<std::int64_t>(bound(schema, "minLength", 0), 0, 1000));
    const auto longest = static_cast<std::size_t>(
        std::clamp<std::int64_t>(bound(schema, "maxLength", 1000), 0, 1000));
    const bool plain = schema.find("pattern") == nullptr;
    std::optional<schemas::JsonSchema> compiled;
    if (!plain)
      if (auto made = schemas::JsonSchema::compile(schema); made.ok()) compiled = *std::move(made);
    if (!pool_.strings().empty())
      for (int tries = 0; tries < (plain && format.empty() ? 8 : 64); ++tries) {
        const std::string& s = rng_.pick(pool_.strings());
        if (s.size() < shortest || s.size() > longest) continue;
        if (format == "date" && !is_date(s)) continue;
        if (compiled && !compiled->validate(Value(s)).empty()) continue;
        return s;
      }
    if (format == "date") return made_date();
    if (format == "date-time") return made_date() + "T09:00:00Z";
    std::string out = "x";
    out.resize(std::clamp<std::size_t>(out.size(), shortest, std::max(shortest, longest)), 'x');
    return out;
  }

  std::string made_date() {
    const auto two = [](std::int64_t n) { return (n < 10 ? "0" : "") + std::to_string(n); };
    return std::to_string(rng_.between(2020, 2035)) + "-" + two(rng_.between(1, 12)) + "-" +
           two(rng_.between(1, 28));
  }

  Value array(const Value& schema, int depth) {
    Value out = Value::array();
    const std::int64_t lo = std::clamp<std::int64_t>(bound(schema, "minItems", 0), 0, 32);
    const std::int64_t hi = std::clamp<std::int64_t>(bound(schema, "maxItems", lo + 3), lo, lo + 3);
    const std::int64_t count =
        rng_.between(std::max<std::int64_t>(lo, std::min<std::int64_t>(1, hi)), hi);
    const Value* first = schema.find("prefixItems");
    const Value* rest = schema.find("items");
    for (std::int64_t i = 0; i < count; ++i) {
      const auto at = static_cast<std::size_t>(i);
      const Value* item = first != nullptr && first->is_array() && at < first->items().size()
                              ? &first->items()[at]
                              : rest;
      Value made = item == nullptr ? Value("x") : sample(*item, depth + 1);
      const bool twice =
          std::find(out.items().begin(), out.items().end(), made) != out.items().end();
      if (twice && i >= lo) continue;
      out.push(std::move(made));
    }
    return out;
  }

  Value object(const Value& schema, int depth) {
    Value out = Value::object();
    const Value* properties = schema.find("properties");
    if (properties == nullptr || !properties->is_object()) return out;
    const Value* required = schema.find("required");
    for (const auto& [key, sub] : properties->members()) {
      bool needed = false;
      if (required != nullptr && required->is_array())
        for (const auto& name : required->items())
          needed = needed || (name.is_string() && name.as_string() == key);
      if (needed || rng_.chance(1, 2)) out.set(key, sample(sub, depth + 1));
    }
    return out;
  }

  const Value& root_;
  const Pool& pool_;
  Rng& rng_;
};

}  // namespace

void Pool::add(std::string_view text) {
  if (text.empty() || text.size() > kMaxString || strings_.size() >= kMaxPool) return;
  const std::uint64_t h = hash64(text);
  const auto at = std::lower_bound(seen_.begin(), seen_.end(), h);
  if (at != seen_.end() && *at == h) return;
  seen_.insert(at, h);
  strings_.emplace_back(text);
}

void Pool::add(std::int64_t number) {
  if (integers_.size() >= kMaxPool ||
      std::find(integers_.begin(), integers_.end(), number) != integers_.end())
    return;
  integers_.push_back(number);
}

void Pool::read_text(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const char c = text[i];
    if (c == '"' || c == '\'') {
      const std::size_t close = text.find(c, i + 1);
      const bool opens =
          i == 0 || !is_word(text[i - 1]);  // an apostrophe inside a word opens nothing
      if (opens && close != std::string_view::npos && close - i <= kMaxString)
        add(text.substr(i + 1, close - i - 1));
      ++i;
      continue;
    }
    if (!is_word(c)) {
      ++i;
      continue;
    }
    std::size_t end = i;
    while (end < text.size() && is_word(text[end])) ++end;
    const std::string_view word = text.substr(i, end - i);
    add(word);
    if (word.size() <= 15 &&
        std::all_of(word.begin(), word.end(), [](char d) { return d >= '0' && d <= '9'; }))
      add(static_cast<std::int64_t>(std::stoll(std::string(word))));
    i = end;
  }
}

void Pool::read_result(const Value& value) {
  switch (value.kind()) {
    case Value::Kind::integer:
      add(value.as_int());
      break;
    case Value::Kind::string:
      add(value.as_string());
      break;
    case Value::Kind::array:
      for (const auto& item : value.items()) read_result(item);
      break;
    case Value::Kind::object:
      for (const auto& [ignored, item] : value.members()) read_result(item);
      break;
    default:
      break;
  }
}

Value sample_value(const Value& schema, const Pool& pool, Rng& rng) {
  return Sampler(schema, pool, rng).sample(schema, 0);
}

}  // namespace seedbed::agent
