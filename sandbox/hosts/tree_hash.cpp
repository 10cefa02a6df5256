#include "sandbox/hosts/tree_hash.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <algorithm>
#include <filesystem>
#include <vector>

#include "base/hash.h"
#include "sandbox/broker/errno_name.h"
#include "sandbox/broker/sys.h"

namespace seedbed::sandbox {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMostFiles = 1'000'000;
constexpr std::size_t kPieceBytes = 1 << 20;  // part of what a hash is: of the hashes of pieces

Error unreadable(const std::string& path, const std::string& found) {
  return make_error(Where::usage, "mount", path, found + ", wanted files that can be read",
                    "give the folder or file that the server needs");
}

void add(std::string& all, const std::string& text) {
  all += std::to_string(text.size()) + ":" + text;
}

// Another may have put something else there since it was looked at: nothing here waits, as opening
// a pipe would, and what /proc makes up (kmsg) is no file, whatever it says.
Result<Fd> open_file(const fs::path& path) {
  Fd file(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC));
  struct stat what {};
  struct statfs on {};
  if (!file || ::fstat(file.get(), &what) != 0 || ::fstatfs(file.get(), &on) != 0)
    return unreadable(path.string(), "found a file that cannot be opened: " + errno_name(errno));
  if (!S_ISREG(what.st_mode) || static_cast<long>(on.f_type) == PROC_SUPER_MAGIC)
    return unreadable(path.string(), "found something that is no file on a disk");
  return file;
}

// Fills `piece` unless the file ends before. -1 with errno.
ssize_t read_piece(const Fd& file, std::string& piece) {
  std::size_t got = 0;
  while (got < piece.size()) {
    const ssize_t n = ::read(file.get(), piece.data() + got, piece.size() - got);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return -1;
    if (n == 0) break;
    got += static_cast<std::size_t>(n);
  }
  return static_cast<ssize_t>(got);
}

// By pieces: a file may be larger than memory.
Result<std::string> contents_hash(const fs::path& path, std::string& piece) {
  SEEDBED_TRY(const Fd file, open_file(path));
  std::string hashes;
  for (;;) {
    const ssize_t got = read_piece(file, piece);
    if (got < 0)
      return unreadable(path.string(), "found a file that cannot be read: " + errno_name(errno));
    if (got == 0) return content_hash(hashes);
    hashes += content_hash(std::string_view(piece).substr(0, static_cast<std::size_t>(got)));
  }
}

// `piece`: room for contents.
Result<std::string> entry(const fs::path& path, const fs::path& name, std::string& piece) {
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
    SEEDBED_TRY(const std::string hash, contents_hash(path, piece));
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
  std::string piece(kPieceBytes, '\0');
  if (fs::is_regular_file(status)) return entry(fs::canonical(path, failed), "", piece);
  if (!fs::is_directory(status))
    return unreadable(path, "found something that is neither a file nor a folder");
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
    SEEDBED_TRY(const std::string one, entry(path / name, name, piece));
    all += one;
  }
  return content_hash(all);
}

}  // namespace seedbed::sandbox
