#include "agent/printable.h"

#include "base/text.h"
#include "engine/text/unicode.h"

namespace seedbed::agent {

std::string printable(std::string text) {
  if (is_valid_utf8(text)) return text;
  std::string out;
  const char* p = text.data();
  const char* const end = p + text.size();
  while (p < end) {
    const unsigned n = engine::text::utf8_length(p, end);
    if (n == 0)
      out += "\xEF\xBF\xBD";
    else
      out.append(p, n);
    p += n == 0 ? 1 : n;
  }
  return out;
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
