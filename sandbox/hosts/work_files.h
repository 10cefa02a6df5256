// A box's /work from outside, for tools that read and write files. What lies there is untrusted: no
// link is followed, nothing leads out of the folder, only regular files are opened, and nothing
// waits.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace seedbed::sandbox {

struct FileReply {
  int error = 0;          // errno
  std::string why, text;  // why: in words, where error != 0
  std::uint64_t bytes = 0;
};

class WorkFiles {
 public:
  // work: a descriptor of the folder, O_PATH will do; stays the caller's. Paths are relative to it
  // or begin with /work.
  WorkFiles(int work, std::uint64_t most_bytes) : work_(work), most_bytes_(most_bytes) {}

  [[nodiscard]] FileReply read(const std::string& path) const;
  // Whole or not at all, as the folder's owner; folders that are missing are made.
  [[nodiscard]] FileReply write(const std::string& path, std::string_view text) const;
  // `from` must occur exactly once.
  [[nodiscard]] FileReply replace(const std::string& path,
                                  std::string_view from,
                                  std::string_view to) const;
  // A line each, sorted: a name, folders with "/" after it, links with "@", others with "?".
  [[nodiscard]] FileReply list(const std::string& path) const;

 private:
  int work_;
  std::uint64_t most_bytes_;
};

}  // namespace seedbed::sandbox
