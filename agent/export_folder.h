// Where an export goes: a folder that is written beside its place and put there whole.
#pragma once
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>

#include "base/result.h"

namespace seedbed::agent {

Error disk_error(const std::string& path, const std::string& found);
// Only what an export writes may be replaced by another. Error{usage}
Step check_export_target(const std::filesystem::path& out);

// The folder while it is written; gone again unless it was put into place.
class ExportFolder {
 public:
  explicit ExportFolder(const std::filesystem::path& out);
  ~ExportFolder();
  ExportFolder(const ExportFolder&) = delete;
  ExportFolder& operator=(const ExportFolder&) = delete;

  [[nodiscard]] const std::filesystem::path& path() const { return temp_; }
  Step make();
  Step put_into_place();

 private:
  std::filesystem::path out_, temp_;
};

// The files of one split, one after the other: data/<split>-00000<ending> and on.
class ExportLines {
 public:
  // What went wrong, where something did.
  std::optional<std::string> put(const std::filesystem::path& folder,
                                 const std::string& split,
                                 const char* ending,
                                 const std::string& line);
  // The next line begins another file.
  std::optional<std::string> next_file();
  std::optional<std::string> close();
  [[nodiscard]] std::size_t bytes() const { return bytes_; }  // of the open file

 private:
  std::ofstream file_;
  std::size_t bytes_ = 0;
  int shard_ = 0;
};

}  // namespace seedbed::agent
