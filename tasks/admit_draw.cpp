#include "tasks/admit_draw.h"

#include <algorithm>

#include "base/text.h"

namespace seedbed::tasks {
namespace {

using schemas::Scalar;
using schemas::Value;

constexpr std::size_t kMaxPool = 600;  // values remembered under one name
constexpr int kMaxDepth = 6;

template <class T>
void remember(std::vector<T>& pool, const T& value) {
  if (pool.size() < kMaxPool && std::find(pool.begin(), pool.end(), value) == pool.end())
    pool.push_back(value);
}

// The type to draw: the schema's, the first that is not null where it gives several.
std::string type_of(const Value& schema) {
  const Value* type = schema.find("type");
  if (type == nullptr) return schema.find("properties") != nullptr ? "object" : "string";
  if (type->is_string()) return type->as_string();
  if (type->is_array())
    for (const auto& t : type->items())
      if (t.is_string() && t.as_string() != "null") return t.as_string();
  return "null";
}

}  // namespace

std::string minutes_text(std::int64_t minutes) {
  constexpr std::int64_t kMinutesADay = 24 * 60;
  std::int64_t days = minutes / kMinutesADay, rest = minutes % kMinutesADay;
  if (rest < 0) rest += kMinutesADay, --days;
  // Civil date from days: years begin in March, so that the leap day comes last; 2000-03-01 is day
  // 60 of this count.
  std::int64_t z = days - 60;
  const std::int64_t era = (z >= 0 ? z : z - 146'096) / 146'097;
  z -= era * 146'097;
  const std::int64_t year_of_era = (z - z / 1'460 + z / 36'524 - z / 146'096) / 365;
  const std::int64_t day_of_year = z - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const std::int64_t m = (5 * day_of_year + 2) / 153;
  const std::int64_t day = day_of_year - (153 * m + 2) / 5 + 1;
  const std::int64_t month = m < 10 ? m + 3 : m - 9;
  const std::int64_t year = 2000 + era * 400 + year_of_era + (month <= 2 ? 1 : 0);
  const auto pad = [](std::int64_t n, std::size_t width) {
    std::string s = std::to_string(n);
    return s.size() < width ? std::string(width - s.size(), '0') + s : s;
  };
  return pad(year, 4) + "-" + pad(month, 2) + "-" + pad(day, 2) + " " + pad(rest / 60, 2) + ":" +
         pad(rest % 60, 2);
}

Draw::Draw(const std::vector<FactColumn>& columns, std::int64_t now_minutes)
    : now_minutes_(now_minutes) {
  for (const auto& column : columns)
    for (const auto& scalar : column.values) {
      const Value value = scalar.index() == 1 ? Value(std::get<std::int64_t>(scalar))
                                              : Value(std::get<std::string>(scalar));
      for (const auto& name : {column.column, column.attribute.empty() ? column.concept_name + "_id"
                                                                       : column.attribute})
        add(name, value);
    }
}

void Draw::add(const std::string& name, const Value& scalar) {
  Pool& named = by_name_[name];
  if (scalar.is_int())
    remember(named.integers, scalar.as_int()), remember(all_.integers, scalar.as_int());
  if (scalar.is_string())
    remember(named.texts, scalar.as_string()), remember(all_.texts, scalar.as_string());
}

void Draw::learn(const Value& seen) {
  if (seen.is_array())
    for (const auto& item : seen.items()) learn(item);
  if (seen.is_object())
    for (const auto& [name, value] : seen.members()) {
      if (value.is_array() || value.is_object())
        learn(value);
      else
        add(name, value);
    }
}

void Draw::learn(const schemas::ToolResult& result) {
  if (result.end != schemas::End::ok) return;
  if (const auto seen = schemas::parse_json(result.out); seen.ok()) learn(*seen);
}

const Draw::Pool* Draw::pool_for(const std::string& name) const {
  const auto found = [&](const std::string& n) {
    const auto it = by_name_.find(n);
    return it == by_name_.end() ? nullptr : &it->second;
  };
  if (const auto* pool = found(name)) return pool;
  if (!name.empty() && name.back() == 's')
    if (const auto* pool = found(name.substr(0, name.size() - 1))) return pool;
  // A shared last or first word: new_slot_id ~ slot_id, from_account ~ account.
  for (const auto& [known, pool] : by_name_)
    if (known.size() >= 3 && (name.ends_with("_" + known) || known.ends_with("_" + name) ||
                              name.starts_with(known + "_")))
      return &pool;
  return nullptr;
}

Value Draw::text(const Value& schema, const std::string& name, Rng& rng) const {
  const std::string format = schema.text("format");
  const bool is_date = format == "date" || format == "date-time";
  if (is_date ? rng.chance(3, 4) : schema.find("pattern") != nullptr && rng.chance(1, 3)) {
    const std::string when =
        minutes_text(now_minutes_ + rng.between(-60, 60) * 24 * 60 + rng.between(0, 23) * 60);
    if (format == "date") return when.substr(0, 10);
    if (format == "date-time") return when.substr(0, 10) + "T" + when.substr(11) + ":00Z";
    return rng.chance(1, 2) ? when : when.substr(0, 10);
  }
  const Pool* named = pool_for(name);
  if (named != nullptr && !named->texts.empty() && rng.chance(4, 5)) return rng.pick(named->texts);
  if (!all_.texts.empty()) return rng.pick(all_.texts);
  return "x";
}

Value Draw::integer(const Value& schema, const std::string& name, Rng& rng) const {
  std::int64_t lo = schema.integer("minimum", 0), hi = schema.integer("maximum", lo + 1'000);
  if (schema.find("exclusiveMinimum") != nullptr) lo = schema.integer("exclusiveMinimum") + 1;
  if (hi < lo) hi = lo;
  const Pool* named = pool_for(name);
  if (named != nullptr && !named->integers.empty() && rng.chance(2, 3))
    return std::clamp(rng.pick(named->integers), lo,
                      std::max(lo, schema.integer("maximum", INT64_MAX)));
  if (!all_.integers.empty() && rng.chance(1, 4))
    return std::clamp(rng.pick(all_.integers), lo,
                      std::max(lo, schema.integer("maximum", INT64_MAX)));
  return rng.between(lo, hi);
}

Value Draw::object(const Value& schema, Rng& rng, int depth) const {
  Value out = Value::object();
  const Value* properties = schema.find("properties");
  if (properties == nullptr || !properties->is_object()) return out;
  const Value* required = schema.find("required");
  const auto needed = [&](const std::string& name) {
    return required != nullptr && required->is_array() &&
           std::any_of(required->items().begin(), required->items().end(),
                       [&](const Value& r) { return r.is_string() && r.as_string() == name; });
  };
  for (const auto& [name, inner] : properties->members())
    if (needed(name) || rng.chance(1, 2)) out.set(name, value(inner, name, rng, depth + 1));
  return out;
}

Value Draw::value(const Value& schema, const std::string& name, Rng& rng, int depth) const {
  if (depth > kMaxDepth || !schema.is_object()) return {};
  if (const Value* fixed = schema.find("const")) return *fixed;
  if (const Value* words = schema.find("enum");
      words != nullptr && words->is_array() && !words->items().empty())
    return rng.pick(words->items());
  for (const char* choice : {"anyOf", "oneOf"})
    if (const Value* ways = schema.find(choice); ways != nullptr && ways->is_array() &&
                                                 !ways->items().empty() &&
                                                 schema.find("type") == nullptr)
      return value(rng.pick(ways->items()), name, rng, depth + 1);
  const std::string type = type_of(schema);
  if (type == "object") return object(schema, rng, depth);
  if (type == "integer" || type == "number") return integer(schema, name, rng);
  if (type == "boolean") return rng.chance(1, 2);
  if (type == "null") return {};
  if (type == "array") {
    Value out = Value::array();
    const std::int64_t lo = std::clamp<std::int64_t>(schema.integer("minItems", 0), 0, 20);
    const std::int64_t hi =
        std::clamp<std::int64_t>(schema.integer("maxItems", lo + 3), lo, lo + 3);
    const Value* items = schema.find("items");
    const Value any = Value(Value::Object{{"type", "string"}});
    for (std::int64_t n = rng.between(std::max<std::int64_t>(lo, hi > 0 ? 1 : 0), hi); n > 0; --n)
      out.push(value(items == nullptr ? any : *items, name, rng, depth + 1));
    return out;
  }
  return text(schema, name, rng);
}

}  // namespace seedbed::tasks
