#include "sandbox/hosts/tree_hash.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <vector>

#include "base/hash.h"

namespace seedbed::sandbox {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMostFiles = 1'000'000;

Error unreadable(const std::string& path, const std::string& found) {
  return make_error(Where::usage, "mount", path, found + ", wanted files that can be read",
                    "give the folder or file that the server needs");
}

void add(std::string& all, const std::string& text) {
  all += std::to_string(text.size()) + ":" + text;
}

Result<std::string> contents_hash(const fs::path& path) {
  // By pieces: a file may be larger than memory.
  std::ifstream file(path, std::ios::binary);
  std::string piece(1 << 20, '\0'), hashes;
  while (file) {
    file.read(piece.data(), static_cast<std::streamsize>(piece.size()));
    const auto got = static_cast<std::size_t>(file.gcount());
    if (got > 0) hashes += content_hash(std::string_view(piece).substr(0, got));
  }
  if (!file.eof()) return unreadable(path.string(), "found a file that cannot be read");
  return content_hash(hashes);
}

Result<std::string> entry(const fs::path& path, const fs::path& name) {
  std::string out;
  std::error_code failed;
  const fs::file_status status = fs::symlink_status(path, failed);
  add(out, name.string());
  if (fs::is_symlink(status)) {
    out += "l";
    add(out, fs::read_symlink(path, failed).string());
  } else if (fs::is_directory(status)) {
    out += "d";
  } else if (fs::is_regular_file(status)) {
    SEEDBED_TRY(const std::string hash, contents_hash(path));
    const bool runs = (status.permissions() & fs::perms::owner_exec) != fs::perms::none;
    out += runs ? "x" : "f";
    add(out, hash);
  } else {
    out += "o";
  }
  if (failed) return unreadable(path.string(), "found " + failed.message());
  return out;
}

}  // namespace

Result<std::string> tree_hash(const std::string& path) {
  std::error_code failed;
  const fs::file_status status = fs::status(path, failed);
  if (!fs::exists(status)) return unreadable(path, "found nothing there");
  if (!fs::is_directory(status)) return entry(fs::canonical(path, failed), "");
  std::vector<fs::path> names;
  for (auto at = fs::recursive_directory_iterator(path, failed);
       !failed && at != fs::recursive_directory_iterator(); at.increment(failed)) {
    if (at->path().filename() == "__pycache__") {
      at.disable_recursion_pending();
      continue;
    }
    names.push_back(at->path().lexically_relative(path));
    if (names.size() > kMostFiles)
      return unreadable(path, "found more than " + std::to_string(kMostFiles) + " files");
  }
  if (failed) return unreadable(path, "found " + failed.message());
  std::sort(names.begin(), names.end());
  std::string all;
  for (const auto& name : names) {
    SEEDBED_TRY(const std::string one, entry(path / name, name));
    all += one;
  }
  return content_hash(all);
}

}  // namespace seedbed::sandbox
