// The model that comes with the program (models/sprout/README.md is its card).
#pragma once
#include <string>

#include "base/result.h"

namespace seedbed::cli {

// `given` where it names a folder. Else the shipped model: the folder that SEEDBED_MODEL names, or
// models/sprout beside the program, above its build folder, in ../share/seedbed, or in the sources
// it was built from. Error{config}: it is nowhere; names the places.
Result<std::string> model_or_shipped(const std::string& given);

// Whether a model is made for reasoning before it answers: "thinking" in its
// generation_config.json, true where it says nothing. Error{model}: the file is no object, or says
// what is neither true nor false.
Result<bool> thinks(const std::string& model_dir);

}  // namespace seedbed::cli
