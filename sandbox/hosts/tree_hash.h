// Names and contents of a file or of all that is in a folder, as one hash: which files a mount must
// show. Owners, times and permissions but "may be run" do not count, nor does what Python caches
// beside its modules.
#pragma once
#include <string>

#include "base/result.h"

namespace seedbed::sandbox {

// Error{usage}: it is not there, cannot be read, or is more than a million files.
Result<std::string> tree_hash(const std::string& path);

}  // namespace seedbed::sandbox
