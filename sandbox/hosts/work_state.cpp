#include "sandbox/hosts/work_state.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <memory>

#include "base/hash.h"
#include "base/text.h"
#include "sandbox/broker/errno_name.h"
#include "sandbox/broker/sys.h"
#include "sandbox/write_all.h"

namespace seedbed::sandbox {

std::string shown_path(const std::string& path) {
  if (is_valid_utf8(path)) return path;
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string out = "//";
  for (const char c : path) {
    const auto byte = static_cast<unsigned char>(c);
    if (c >= ' ' && c < '\x7f' && c != '\\') {
      out += c;
    } else {
      out += "\\x";
      out += kDigits[byte >> 4U];
      out += kDigits[byte & 15U];
    }
  }
  return out;
}

namespace {

Error unfit(const std::string& path, const std::string& found, const std::string& wanted) {
  return make_error(Where::sandbox, "work area",
                    "/work" + (path.empty() ? "" : "/" + shown_path(path)),
                    "found " + found + ", wanted " + wanted, "use a box of its own");
}
Error of_errno(const std::string& path, int error) {
  return unfit(path, errno_name(error), "to read and write it");
}

Fd open_folder(int parent, const char* name) {
  return Fd(::openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
}

// The names in a folder, sorted.
Result<std::vector<std::string>> names_in(int folder, const std::string& path, std::size_t most) {
  Fd again(open_folder(folder, "."));
  const std::unique_ptr<DIR, int (*)(DIR*)> dir(again ? ::fdopendir(again.get()) : nullptr,
                                                ::closedir);
  if (dir == nullptr) return of_errno(path, errno);
  static_cast<void>(again.release());
  std::vector<std::string> out;
  while (const dirent* entry = ::readdir(dir.get())) {
    const std::string name = entry->d_name;
    if (name == "." || name == "..") continue;
    if (out.size() == most)
      return unfit(path, "more than " + std::to_string(most) + " entries", "at most so many");
    out.push_back(name);
  }
  std::sort(out.begin(), out.end());
  return out;
}

class Reader {
 public:
  explicit Reader(const WorkBounds& bounds) : bounds_(bounds) {}

  Step folder(int fd, const std::string& path, int depth) {
    if (depth > bounds_.depth)
      return unfit(path, "folders in folders", "at most " + std::to_string(bounds_.depth));
    SEEDBED_TRY(const auto names, names_in(fd, path, bounds_.entries - state.entries.size()));
    for (const auto& name : names)
      if (auto error = entry(fd, name, path.empty() ? name : path + "/" + name, depth))
        return error;
    return std::nullopt;
  }

  WorkState state;

 private:
  Step entry(int folder_fd, const std::string& name, const std::string& path, int depth) {
    if (state.entries.size() >= bounds_.entries)
      return unfit(path, "more than " + std::to_string(bounds_.entries) + " entries",
                   "at most so many");
    struct stat st {};
    if (::fstatat(folder_fd, name.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0)
      return of_errno(path, errno);
    WorkEntry out;
    out.path = path;
    out.mode = st.st_mode & 07777;
    if (S_ISDIR(st.st_mode)) {
      out.kind = WorkEntry::Kind::folder;
      state.entries.push_back(std::move(out));
      const Fd inside = open_folder(folder_fd, name.c_str());
      return inside ? folder(inside.get(), path, depth + 1) : of_errno(path, errno);
    }
    if (S_ISLNK(st.st_mode)) {
      out.kind = WorkEntry::Kind::link;
      out.mode = 0;
      out.bytes.resize(4096);
      const ssize_t n = ::readlinkat(folder_fd, name.c_str(), out.bytes.data(), out.bytes.size());
      if (n < 0) return of_errno(path, errno);
      out.bytes.resize(static_cast<std::size_t>(n));
    } else if (S_ISREG(st.st_mode)) {
      if (auto error = contents(folder_fd, name, path, out.bytes)) return error;
    } else if (bounds_.others) {
      out.kind = WorkEntry::Kind::other;
    } else {
      return unfit(path, "a device, pipe or socket", "files, folders and links");
    }
    state.entries.push_back(std::move(out));
    return std::nullopt;
  }

  Step contents(int folder_fd, const std::string& name, const std::string& path, std::string& out) {
    const Fd file(::openat(folder_fd, name.c_str(),
                           O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
    struct stat st {};
    if (!file || ::fstat(file.get(), &st) != 0) return of_errno(path, errno);
    if (!S_ISREG(st.st_mode)) return unfit(path, "another kind than before", "a file");
    std::array<char, 65536> piece{};
    for (;;) {
      const ssize_t n = ::read(file.get(), piece.data(), piece.size());
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return of_errno(path, errno);
      if (n == 0) return std::nullopt;
      bytes_ += static_cast<std::uint64_t>(n);
      if (bytes_ > bounds_.bytes)
        return unfit(path, "more than " + std::to_string(bounds_.bytes) + " bytes",
                     "at most so many");
      out.append(piece.data(), static_cast<std::size_t>(n));
    }
  }

  const WorkBounds& bounds_;
  std::uint64_t bytes_ = 0;
};

// Everything in a folder goes; links and whatever else are unlinked, never followed.
Step clear(int folder, const std::string& path, int depth) {
  if (depth > 4096) return unfit(path, "folders in folders without end", "fewer");
  SEEDBED_TRY(const auto names, names_in(folder, path, SIZE_MAX));
  for (const auto& name : names) {
    if (::unlinkat(folder, name.c_str(), 0) == 0) continue;
    if (errno != EISDIR && errno != EPERM) return of_errno(path + "/" + name, errno);
    if (::unlinkat(folder, name.c_str(), AT_REMOVEDIR) == 0) continue;
    {
      static_cast<void>(::fchmodat(folder, name.c_str(), 0700, 0));
      const Fd inside = open_folder(folder, name.c_str());
      if (!inside) return of_errno(path + "/" + name, errno);
      if (auto error = clear(inside.get(), path + "/" + name, depth + 1)) return error;
    }
    if (::unlinkat(folder, name.c_str(), AT_REMOVEDIR) != 0)
      return of_errno(path + "/" + name, errno);
  }
  return std::nullopt;
}

// One entry below `work`, whose folders stand.
Step put(int work, const WorkEntry& entry, const struct stat& owner) {
  const auto slash = entry.path.rfind('/');
  Fd folder = open_folder(work, ".");
  for (std::size_t at = 0; folder && slash != std::string::npos && at <= slash;) {
    const std::size_t end = entry.path.find('/', at);
    folder = open_folder(folder.get(), entry.path.substr(at, end - at).c_str());
    at = end + 1;
  }
  if (!folder) return of_errno(entry.path, errno);
  const std::string name = slash == std::string::npos ? entry.path : entry.path.substr(slash + 1);
  const bool root = ::geteuid() == 0;
  bool done = false;
  if (entry.kind == WorkEntry::Kind::link) {
    done = ::symlinkat(entry.bytes.c_str(), folder.get(), name.c_str()) == 0 &&
           (!root || ::fchownat(folder.get(), name.c_str(), owner.st_uid, owner.st_gid,
                                AT_SYMLINK_NOFOLLOW) == 0);
  } else if (entry.kind == WorkEntry::Kind::folder) {
    Fd made;
    if (::mkdirat(folder.get(), name.c_str(), 0700) == 0)
      made = open_folder(folder.get(), name.c_str());
    done = made && (!root || ::fchown(made.get(), owner.st_uid, owner.st_gid) == 0);
  } else if (entry.kind == WorkEntry::Kind::other) {
    return unfit(entry.path, "a device, pipe or socket", "files, folders and links");
  } else {
    const Fd file(::openat(folder.get(), name.c_str(),
                           O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    done = file && write_all(file.get(), entry.bytes) &&
           (!root || ::fchown(file.get(), owner.st_uid, owner.st_gid) == 0) &&
           ::fchmod(file.get(), entry.mode) == 0;
  }
  return done ? Step{} : of_errno(entry.path, errno);
}

}  // namespace

std::string WorkState::digest() const {
  std::string all;
  const auto add = [&all](std::string_view bytes) {
    all += std::to_string(bytes.size()) + ":";
    all += bytes;
  };
  for (const auto& entry : entries) {
    add(entry.path);
    all += std::to_string(static_cast<int>(entry.kind)) + "," + std::to_string(entry.mode) + ",";
    add(content_hash(entry.bytes));
  }
  return content_hash(all);
}

Result<WorkState> read_work(int work, const WorkBounds& bounds) {
  const Fd folder = open_folder(work, ".");
  if (!folder) return of_errno("", errno);
  Reader reader(bounds);
  if (auto error = reader.folder(folder.get(), "", 0)) return *std::move(error);
  return std::move(reader.state);
}

Step write_work(int work, const WorkState& state) {
  const Fd folder = open_folder(work, ".");
  struct stat owner {};
  if (!folder || ::fstat(folder.get(), &owner) != 0) return of_errno("", errno);
  if (auto error = clear(folder.get(), "", 0)) return error;
  for (const auto& entry : state.entries)
    if (auto error = put(folder.get(), entry, owner)) return error;
  // Modes of folders last: one may forbid writing.
  for (auto entry = state.entries.rbegin(); entry != state.entries.rend(); ++entry)
    if (entry->kind == WorkEntry::Kind::folder &&
        ::fchmodat(folder.get(), entry->path.c_str(), entry->mode, 0) != 0)
      return of_errno(entry->path, errno);
  return std::nullopt;
}

}  // namespace seedbed::sandbox
