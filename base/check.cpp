#include "base/check.h"

#include <cstdio>
#include <cstdlib>

namespace seedbed {

void check_failed(const char* cond, const char* file, int line, const std::string& operands) {
  std::fprintf(stderr, "%s:%d: expected %s%s\n", file, line, cond, operands.c_str());
  std::abort();
}

}  // namespace seedbed
