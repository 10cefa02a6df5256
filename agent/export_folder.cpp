#include "agent/export_folder.h"

#include <fcntl.h>
#include <stdio.h>  // renameat2
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>

#include "agent/export_line.h"

namespace seedbed::agent {
namespace fs = std::filesystem;

Error disk_error(const std::string& path, const std::string& found) {
  return make_error(Where::store, "export", path, "found " + found + ", wanted to write it",
                    "free some space or name another --out");
}

Step check_export_target(const fs::path& out) {
  std::error_code failed;
  if (out.empty())
    return make_error(Where::usage, "export", "--out", "found nothing, wanted a folder",
                      "name one");
  if (!fs::exists(out, failed)) return std::nullopt;
  const auto refuse = [&](const std::string& found) {
    return make_error(Where::usage, "export", out.string(),
                      "found " + found + ", wanted no folder, an empty one or an earlier export",
                      "name another --out");
  };
  if (!fs::is_directory(out, failed)) return refuse("something that is no folder");
  bool empty = true;
  for (const auto& entry : fs::directory_iterator(out, failed)) {
    empty = false;
    const std::string name = entry.path().filename();
    if (name != "README.md" && name != "data") return refuse("'" + name + "' in it");
  }
  if (failed) return refuse("a folder that cannot be read (" + failed.message() + ")");
  if (empty) return std::nullopt;
  std::ifstream readme(out / "README.md");
  std::string head(64U << 10, '\0');
  readme.read(head.data(), static_cast<std::streamsize>(head.size()));
  head.resize(static_cast<std::size_t>(std::max<std::streamsize>(0, readme.gcount())));
  if (head.find(kExportMark) == std::string::npos)
    return refuse("files that seedbed did not write");
  return std::nullopt;
}

ExportFolder::ExportFolder(const fs::path& out) : out_(out), temp_(out) {
  temp_ += ".tmp-" + std::to_string(::getpid());
}

ExportFolder::~ExportFolder() {
  std::error_code ignored;
  fs::remove_all(temp_, ignored);
}

Step ExportFolder::make() {
  std::error_code failed;
  if (out_.has_parent_path()) fs::create_directories(out_.parent_path(), failed);
  if (!failed) fs::create_directories(temp_ / "data", failed);
  if (failed) return disk_error(temp_.string(), failed.message());
  return std::nullopt;
}

Step ExportFolder::put_into_place() {
  std::error_code failed;
  if (!fs::exists(out_, failed))
    fs::rename(temp_, out_, failed);
  else if (::renameat2(AT_FDCWD, temp_.c_str(), AT_FDCWD, out_.c_str(), RENAME_EXCHANGE) != 0)
    failed = std::error_code(errno, std::generic_category());
  if (failed) return disk_error(out_.string(), failed.message());
  return std::nullopt;  // after an exchange the temporary name holds the old export: the
                        // destructor removes it
}

std::optional<std::string> ExportLines::put(const fs::path& folder,
                                            const std::string& split,
                                            const char* ending,
                                            const std::string& line) {
  if (!file_.is_open()) {
    char number[16];
    std::snprintf(number, sizeof number, "-%05d", shard_);
    file_.open(folder / "data" / (split + number + ending), std::ios::binary);
  }
  file_ << line << '\n';
  bytes_ += line.size() + 1;
  return file_ ? std::nullopt : std::optional<std::string>(std::strerror(errno));
}

std::optional<std::string> ExportLines::next_file() {
  bytes_ = 0;
  ++shard_;
  return close();
}

std::optional<std::string> ExportLines::close() {
  if (!file_.is_open()) return std::nullopt;
  file_.close();
  return file_ ? std::nullopt : std::optional<std::string>(std::strerror(errno));
}

}  // namespace seedbed::agent
