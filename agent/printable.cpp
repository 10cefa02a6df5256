#include "agent/printable.h"

#include "base/text.h"

namespace seedbed::agent {

std::string printable(std::string text) {
  return is_valid_utf8(text) ? text : replace_invalid_utf8(text);
}

schemas::Value printable(const schemas::Value& value) {
  if (value.is_string()) return printable(value.as_string());
  if (value.is_array()) {
    schemas::Value out = schemas::Value::array();
    for (const auto& item : value.items()) out.push(printable(item));
    return out;
  }
  if (!value.is_object()) return value;
  schemas::Value out = schemas::Value::object();
  for (const auto& [key, member] : value.members()) out.set(printable(key), printable(member));
  return out;
}

}  // namespace seedbed::agent
