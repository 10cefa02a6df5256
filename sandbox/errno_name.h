// ENOENT for 2; "errno 12345" for what has no name.
#pragma once
#include <cstring>
#include <string>

namespace seedbed::sandbox {

inline std::string errno_name(int error) {
  const char* name = ::strerrorname_np(error);
  return name != nullptr ? name : "errno " + std::to_string(error);
}

}  // namespace seedbed::sandbox
