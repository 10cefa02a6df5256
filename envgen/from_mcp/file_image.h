// The files that a server's jail begins with, as the image of its environment: a SQLite database
// with one row a file (sandbox/hosts/file_rows.h), so that stores, judges and tasks' conditions see
// files as they see any other state. Contents that are no text of a row are in binary(path, hex).
#pragma once
#include <string>

#include "base/result.h"
#include "sandbox/hosts/work_state.h"

namespace seedbed::envgen {

// Error{usage}: a path that is no UTF-8.
Result<std::string> image_of(const sandbox::WorkState& files);
// The image is hostile: Error{store} where it is none of the above.
Result<sandbox::WorkState> files_of(const std::string& image);

}  // namespace seedbed::envgen
