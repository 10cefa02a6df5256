// Where the helper programs of this build lie.
#pragma once
#include <string>
#include <string_view>

#include "base/result.h"

namespace seedbed::sandbox {

// The program `name` beside the running executable, else in the folder fixed at build time. Refuses
// (Error{sandbox}) where neither holds it, with the places tried.
Result<std::string> libexec_path(std::string_view name);

}  // namespace seedbed::sandbox
