#include "engine/config_read.h"

#include <algorithm>
#include <cmath>

#include "base/text.h"
#include "engine/shown.h"

namespace seedbed::engine {
namespace {

std::string trimmed_number(double x) {
  return schemas::dump(schemas::Value(x));
}

}  // namespace

ConfigReader::ConfigReader(const schemas::Value& json,
                           std::string_view where,
                           std::string_view prefix)
    : json_(json), where_(where), prefix_(prefix) {
  if (!json.is_object())
    error_ = make_error(
        Where::config, "config", where,
        prefix_ + ": found " + std::string(schemas::kind_name(json.kind())) + ", wanted an object",
        "give the model's config.json");
}

bool ConfigReader::has(const char* key) const {
  const auto* value = json_.find(key);
  return value != nullptr && !value->is_null();
}

const schemas::Value* ConfigReader::any(const char* key) {
  known_.emplace_back(key);
  return has(key) ? json_.find(key) : nullptr;
}

void ConfigReader::refuse(std::string_view key,
                          std::string found_and_wanted,
                          std::string_view todo) {
  if (error_) return;
  error_ = make_error(Where::config, "config", where_,
                      prefix_ + std::string(key) + ": " + found_and_wanted, todo);
}

int ConfigReader::integer(const char* key, int lo, int hi, std::optional<int> fallback) {
  const auto* value = any(key);
  const auto wanted = "a whole number from " + std::to_string(lo) + " to " + std::to_string(hi);
  if (value == nullptr) {
    if (!fallback) refuse(key, "is absent, wanted " + wanted, "add it to the file");
    return fallback.value_or(lo);
  }
  if (value->is_int() && value->as_int() >= lo && value->as_int() <= hi)
    return static_cast<int>(value->as_int());
  refuse(key, "found " + shown(*value) + ", wanted " + wanted, "correct the value");
  return lo;
}

double ConfigReader::number(const char* key, double lo, double hi, std::optional<double> fallback) {
  const auto* value = any(key);
  const auto wanted = "a number from " + trimmed_number(lo) + " to " + trimmed_number(hi);
  if (value == nullptr) {
    if (!fallback) refuse(key, "is absent, wanted " + wanted, "add it to the file");
    return fallback.value_or(lo);
  }
  if (value->is_number() && std::isfinite(value->as_double()) && value->as_double() >= lo &&
      value->as_double() <= hi)
    return value->as_double();
  refuse(key, "found " + shown(*value) + ", wanted " + wanted, "correct the value");
  return lo;
}

bool ConfigReader::boolean(const char* key, bool fallback) {
  const auto* value = any(key);
  if (value == nullptr) return fallback;
  if (value->is_bool()) return value->as_bool();
  refuse(key, "found " + shown(*value) + ", wanted true or false", "correct the value");
  return fallback;
}

std::string ConfigReader::text(const char* key, std::string_view fallback) {
  const auto* value = any(key);
  if (value == nullptr) return std::string(fallback);
  if (value->is_string()) return value->as_string();
  refuse(key, "found " + shown(*value) + ", wanted a string", "correct the value");
  return std::string(fallback);
}

Step ConfigReader::finish() {
  if (error_) return std::move(error_);
  for (const auto& [key, value] : json_.members()) {
    if (std::find(known_.begin(), known_.end(), key) != known_.end()) continue;
    const auto near = key.size() > kShownBytes ? std::string() : nearest(key, known_);
    return make_error(
        Where::config, "config", where_,
        "unknown key " + shown_name(prefix_ + key) + ", it may change what the model computes",
        near.empty() ? "remove it if it changes nothing" : "did you mean '" + near + "'?");
  }
  return std::nullopt;
}

}  // namespace seedbed::engine
