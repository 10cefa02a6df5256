// A SQLite image from statements: the state that an environment starts from. Same statements, same
// bytes.
#pragma once
#include <string>
#include <vector>

#include "base/result.h"
#include "schemas/call.h"

namespace seedbed::tasks {

struct Inserts {
  std::string sql;  // with ?1, ?2, ...
  std::vector<std::vector<schemas::Scalar>> rows;
};
Result<std::string> build_image(const std::vector<std::string>& ddl,
                                const std::vector<Inserts>& inserts);

}  // namespace seedbed::tasks
