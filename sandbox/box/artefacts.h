// Files taken from a folder that untrusted programs could write to. A path never leads out of the
// folder, through a link, to a device, a pipe or another file system, and never waits.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace seedbed::sandbox::box {

struct Taken {
  int error = 0;    // errno; ELOOP: a link, EXDEV: leads out, EFBIG: above the cap
  std::string why;  // in words, where error != 0
  std::uint64_t bytes = 0;
};

// The whole of one regular file, relative to `folder` (a descriptor of a folder).
Taken read_artefact(int folder, const std::string& path, std::uint64_t cap, std::string& out);
// The same into a file of the host that is made anew (never followed, never overwritten).
Taken copy_artefact(int folder, const std::string& path, std::uint64_t cap, const std::string& to);

}  // namespace seedbed::sandbox::box
