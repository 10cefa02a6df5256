// ENOENT for 2; "errno 12345" for what has no name here.
#pragma once
#include <string>

namespace seedbed::sandbox {

// Null where it has none. (The C library's own is in glibc alone; the static programs of boxes may
// have another one.)
const char* known_errno_name(int error);
std::string errno_name(int error);

}  // namespace seedbed::sandbox
