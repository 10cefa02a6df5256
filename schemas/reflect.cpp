#include "schemas/reflect.h"

namespace seedbed::schemas {

namespace {

constexpr std::size_t kShownBytes = 80;

// A found value, cut short: a message is for a person, and the value may be megabytes.
std::string shown(std::string text) {
  if (text.size() <= kShownBytes) return text;
  std::size_t end = kShownBytes;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80)
    --end;  // whole characters
  text.resize(end);
  return text + "...";
}

std::string place(const std::string& where, const std::string& pointer) {
  return where + "#" + (pointer.empty() ? "/" : pointer);
}

}  // namespace

Error wrong_kind(const std::string& where,
                 const std::string& pointer,
                 const Value& found,
                 const char* wanted) {
  std::string what = kind_name(found.kind());
  if (!found.is_array() && !found.is_object() && !found.is_null()) what += " " + shown(dump(found));
  return make_error(Where::config, "value", place(where, pointer),
                    "found " + what + ", wanted " + wanted, "change it to " + std::string(wanted));
}

Error wrong_word(const std::string& where,
                 const std::string& pointer,
                 const std::string& found,
                 const std::vector<std::string>& wanted) {
  const auto near = nearest(shown(found), wanted);
  return make_error(Where::config, "value", place(where, pointer),
                    "found '" + shown(found) + "', wanted one of " + join(wanted, ", "),
                    near.empty() ? "choose one of them" : "did you mean '" + near + "'?");
}

Error missing_key(const std::string& where, const std::string& pointer, const char* key) {
  return make_error(Where::config, "object", place(where, pointer),
                    std::string("found no key '") + key + "', wanted it", "add it");
}

Error unknown_key(const std::string& where,
                  const std::string& pointer,
                  const std::string& key,
                  const std::vector<std::string>& known) {
  const auto near = nearest(shown(key), known);
  return make_error(Where::config, "object", place(where, pointer),
                    "found unknown key '" + shown(key) + "', wanted only " + join(known, ", "),
                    near.empty() ? "remove it" : "did you mean '" + near + "'?");
}

}  // namespace seedbed::schemas
