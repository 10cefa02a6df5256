// SEEDBED_CHECK(cond, operands...): a broken invariant of ours. Prints file, line, condition and
// operands, then aborts.
#pragma once
#include <sstream>
#include <string>

namespace seedbed {

[[noreturn]] void check_failed(const char* cond,
                               const char* file,
                               int line,
                               const std::string& operands);

template <class... T>
std::string check_operands(const T&... x) {
  std::ostringstream out;
  ((out << "; " << x), ...);
  return out.str();
}

}  // namespace seedbed

#define SEEDBED_CHECK(cond, ...)                                                                  \
  do {                                                                                            \
    if (!(cond))                                                                                  \
      ::seedbed::check_failed(#cond, __FILE__, __LINE__, ::seedbed::check_operands(__VA_ARGS__)); \
  } while (0)
