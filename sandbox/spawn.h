// Starting the broker process.
#pragma once
#include <string>

#include "base/result.h"

namespace seedbed::sandbox {

// Runs `program` with an empty environment, standard streams at /dev/null, `control` as descriptor
// 3 and nothing else open. Returns its pid; the caller reaps it.
Result<int> spawn_broker(const std::string& program, int control);

}  // namespace seedbed::sandbox
