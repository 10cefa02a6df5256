#include "engine/service/fields.h"

#include <cmath>

namespace seedbed::engine::service {

using schemas::Value;

namespace {

std::string shown(double x) {
  return dump(Value(x));
}

}  // namespace

const Value* Fields::find(std::string_view key) const {
  const Value* found = object_.find(key);
  return found == nullptr || found->is_null() ? nullptr : found;
}

void Fields::refuse(std::string_view key, std::string_view found_and_wanted) {
  if (!refusal_) refusal_ = bad(prefix_ + std::string(key), found_and_wanted);
}

void Fields::refuse(Fault fault) {
  if (!refusal_) refusal_ = std::move(fault);
}

void Fields::wrong_kind(std::string_view key, const Value& found, std::string_view wanted) {
  refuse(key, std::string("found ") + kind_name(found.kind()) + ", wanted " + std::string(wanted));
}

bool Fields::number(std::string_view key, double& out, double low, double high) {
  const Value* found = find(key);
  if (found == nullptr) return false;
  if (!found->is_number()) return wrong_kind(key, *found, "a number"), false;
  const double x = found->as_double();
  if (!(x >= low && x <= high)) {
    refuse(key, "found " + shown(x) + ", wanted " + shown(low) + " to " + shown(high));
    return false;
  }
  out = x;
  return true;
}

bool Fields::integer(std::string_view key, std::int64_t& out, std::int64_t low, std::int64_t high) {
  const Value* found = find(key);
  if (found == nullptr) return false;
  std::int64_t x = 0;
  if (found->is_int()) {
    x = found->as_int();
  } else if (found->is_number() && std::abs(found->as_double()) < 9e15 &&
             std::floor(found->as_double()) == found->as_double()) {
    x = static_cast<std::int64_t>(found->as_double());  // 5.0 is an integer in JSON's eyes
  } else {
    return wrong_kind(key, *found, "an integer"), false;
  }
  if (x < low || x > high) {
    refuse(key, "found " + std::to_string(x) + ", wanted " + std::to_string(low) + " to " +
                    std::to_string(high));
    return false;
  }
  out = x;
  return true;
}

bool Fields::boolean(std::string_view key, bool& out) {
  const Value* found = find(key);
  if (found == nullptr) return false;
  if (!found->is_bool()) return wrong_kind(key, *found, "true or false"), false;
  out = found->as_bool();
  return true;
}

bool Fields::text(std::string_view key, std::string& out, std::size_t most_bytes) {
  const Value* found = find(key);
  if (found == nullptr) return false;
  if (!found->is_string()) return wrong_kind(key, *found, "a string"), false;
  if (found->as_string().size() > most_bytes) {
    refuse(key, "found " + std::to_string(found->as_string().size()) + " bytes, wanted at most " +
                    std::to_string(most_bytes));
    return false;
  }
  out = found->as_string();
  return true;
}

bool Fields::texts(std::string_view key, std::vector<std::string>& out, std::size_t most) {
  const Value* found = find(key);
  if (found == nullptr) return false;
  if (found->is_string()) {
    out = {found->as_string()};
    return true;
  }
  if (!found->is_array()) return wrong_kind(key, *found, "a string or a list of strings"), false;
  if (found->items().size() > most) {
    refuse(key, "found " + std::to_string(found->items().size()) + " strings, wanted at most " +
                    std::to_string(most));
    return false;
  }
  std::vector<std::string> read;
  for (const Value& item : found->items()) {
    if (!item.is_string()) return wrong_kind(key, item, "a list of strings"), false;
    read.push_back(item.as_string());
  }
  out = std::move(read);
  return true;
}

bool Fields::ids(std::string_view key,
                 std::vector<std::int32_t>& out,
                 int vocab,
                 std::size_t most) {
  const Value* found = array(key);
  if (found == nullptr) return false;
  if (found->items().size() > most) {
    refuse(key, "found " + std::to_string(found->items().size()) + " ids, wanted at most " +
                    std::to_string(most));
    return false;
  }
  std::vector<std::int32_t> read;
  read.reserve(found->items().size());
  for (const Value& item : found->items()) {
    if (!item.is_int() || item.as_int() < 0 || item.as_int() >= vocab) {
      refuse(key, "found " + dump(item).substr(0, 40) + ", wanted token ids from 0 to " +
                      std::to_string(vocab - 1));
      return false;
    }
    read.push_back(static_cast<std::int32_t>(item.as_int()));
  }
  out = std::move(read);
  return true;
}

const Value* Fields::object(std::string_view key) {
  const Value* found = find(key);
  if (found == nullptr || found->is_object()) return found;
  wrong_kind(key, *found, "an object");
  return nullptr;
}

const Value* Fields::array(std::string_view key) {
  const Value* found = find(key);
  if (found == nullptr || found->is_array()) return found;
  wrong_kind(key, *found, "an array");
  return nullptr;
}

}  // namespace seedbed::engine::service
