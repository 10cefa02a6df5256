// What boxes hold of the machine: counted before and after, it says whether anything was left
// behind.
#pragma once
#include <compare>
#include <cstddef>

namespace seedbed::sandbox {

struct Traces {
  std::size_t processes = 0;    // under uids of boxes, or children of the server
  std::size_t groups = 0;       // control groups of the server's boxes
  std::size_t mounts = 0;       // of this process
  std::size_t descriptors = 0;  // of this process
  bool operator==(const Traces&) const = default;
};

// `server`: Boxes::pid().
Traces traces(int server);

}  // namespace seedbed::sandbox
