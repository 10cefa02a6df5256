// What can be said of a verifier without a database. Inside tasks only.
#pragma once
#include <string>
#include <vector>

#include "base/result.h"
#include "schemas/environment.h"
#include "schemas/task.h"

namespace seedbed::tasks {

// Names, forms and symbols: fields that read as their type, concepts and attributes of views, tools
// and reasons that exist.
Step check_shape(const schemas::Verifier& verifier, const schemas::Environment& env);
// Properties of the tool's input schema.
std::vector<std::string> argument_names(const schemas::Environment& env, const std::string& tool);

}  // namespace seedbed::tasks
