#include "schemas/request.h"

namespace seedbed::schemas {

Result<ToolRange> tool_range(std::string_view text) {
  const auto [least, most] = range_of(text);
  const ToolRange out{least, most};
  if (out.least < kFewestTools || out.most > kMostTools || out.least > out.most)
    return make_error(Where::usage, "number of tools", text.substr(0, 40),
                      "wanted A-B or A with " + std::to_string(kFewestTools) +
                          " <= A <= B <= " + std::to_string(kMostTools),
                      "for instance 8-12");
  return out;
}

}  // namespace seedbed::schemas
