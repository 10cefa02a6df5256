// Starting a helper process: the broker, the server of boxes.
#pragma once
#include <string>
#include <vector>

#include "base/result.h"

namespace seedbed::sandbox {

// Runs `program` with an empty environment, standard streams at /dev/null, `control` as descriptor
// 3 and nothing else open. Returns its pid; the caller reaps it.
Result<int> spawn_helper(const std::string& program,
                         const std::vector<std::string>& args,
                         int control);

}  // namespace seedbed::sandbox
