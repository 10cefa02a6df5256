// What class_table() has and the installed PCRE2 does not: PCRE2 may be of an older Unicode
// version.
#pragma once
#include <string>

namespace seedbed::engine::text {

// For L, M, N, P or S: the missing code points as the inside of a class, "\x{..}-\x{..}..."; for
// any other letter "". Found by asking PCRE2 once. Code points that only PCRE2 has stay as it has
// them.
const std::string& class_delta(char category);

}  // namespace seedbed::engine::text
