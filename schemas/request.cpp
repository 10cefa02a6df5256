#include "schemas/request.h"

namespace seedbed::schemas {

Result<ToolRange> tool_range(std::string_view text) {
  const auto number = [](std::string_view digits) {
    int n = digits.empty() || digits.size() > 2 ? -1 : 0;
    for (const char c : digits) n = n < 0 || c < '0' || c > '9' ? -1 : n * 10 + (c - '0');
    return n;
  };
  const auto dash = text.find('-');
  ToolRange out;
  out.least = number(text.substr(0, dash));
  out.most = dash == std::string_view::npos ? out.least : number(text.substr(dash + 1));
  if (out.least < kFewestTools || out.most > kMostTools || out.least > out.most)
    return make_error(Where::usage, "number of tools", text.substr(0, 40),
                      "wanted A-B or A with " + std::to_string(kFewestTools) +
                          " <= A <= B <= " + std::to_string(kMostTools),
                      "for instance 8-12");
  return out;
}

}  // namespace seedbed::schemas
