// JSON text straight from database values.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace seedbed::sandbox::sql {

// A JSON string; each byte that belongs to no valid UTF-8 sequence becomes U+FFFD.
void append_string(std::string_view text, std::string& out);
void append_int(std::int64_t x, std::string& out);
// {"error":{"code","message"}}
std::string error_text(std::string_view code, std::string_view message);

}  // namespace seedbed::sandbox::sql
