// How names and values from outside stand in messages: bounded, quoted, control characters escaped,
// so that a hostile file can neither flood nor steer a terminal.
#pragma once
#include <string>
#include <string_view>

#include "schemas/value.h"

namespace seedbed::engine {

constexpr std::size_t kShownBytes = 160;

// Compact JSON, cut at a character's end. Strings must be valid UTF-8, as every parser of ours
// ensures.
inline std::string shown(const schemas::Value& value) {
  auto text = schemas::dump(value);
  if (text.size() <= kShownBytes) return text;
  auto end = kShownBytes;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0U) == 0x80U) --end;
  return text.substr(0, end) + "...";
}
inline std::string shown(std::string_view name) {
  return shown(schemas::Value(name));
}
// Of a name inside prose: 'name'.
inline std::string shown_name(std::string_view name) {
  const auto text = shown(name);
  const bool whole = text.ends_with('"');
  return "'" + text.substr(1, text.size() - (whole ? 2 : 1)) + "'";
}

}  // namespace seedbed::engine
