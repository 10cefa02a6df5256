#include "sandbox/hosts/work_files.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <optional>
#include <vector>

#include "base/text.h"
#include "sandbox/box/artefacts.h"
#include "sandbox/box/output.h"
#include "sandbox/broker/errno_name.h"
#include "sandbox/broker/sys.h"
#include "sandbox/write_all.h"

namespace seedbed::sandbox {
namespace {

constexpr std::size_t kMostEntries = 4096;

FileReply refuse(int error, std::string_view why) {
  FileReply out;
  out.error = error;
  out.why = std::string(why) + " (" + errno_name(error) + ")";
  return out;
}

// "" for the folder itself; nothing where the path is none of its.
std::optional<std::string> inside(const std::string& path) {
  std::string rest = path;
  constexpr std::string_view kWork = "/work";
  if (rest == kWork || (rest.starts_with(kWork) && rest[kWork.size()] == '/'))
    rest = rest.substr(kWork.size());
  else if (rest.starts_with("/"))
    return std::nullopt;
  std::vector<std::string> parts;
  for (const auto& part : split(rest, '/'))
    if (!part.empty() && part != ".") parts.push_back(part);
  if (std::find(parts.begin(), parts.end(), "..") != parts.end() ||
      rest.find('\0') != std::string::npos)
    return std::nullopt;
  return join(parts, "/");
}

int open_beneath(int folder, const std::string& path, std::uint64_t flags) {
  open_how how{};
  how.flags = flags | O_CLOEXEC | O_NOFOLLOW;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV;
  for (int i = 0; i < 16; ++i) {  // EAGAIN: something was renamed meanwhile
    const long fd =
        ::syscall(SYS_openat2, folder, path.empty() ? "." : path.c_str(), &how, sizeof how);
    if (fd >= 0 || errno != EAGAIN) return static_cast<int>(fd);
  }
  return -1;
}

// Ours to give away where we are root.
void give_to(int fd, const struct stat& owner) {
  if (::geteuid() == 0) static_cast<void>(::fchown(fd, owner.st_uid, owner.st_gid));
}

// The folder of a file, made where it is missing.
FileReply parent_of(
    int work, const std::string& path, const struct stat& owner, Fd& folder, std::string& name) {
  auto parts = split(path, '/');
  name = parts.back();
  parts.pop_back();
  folder.reset(open_beneath(work, "", O_RDONLY | O_DIRECTORY));
  for (const auto& part : parts) {
    if (!folder) break;
    if (::mkdirat(folder.get(), part.c_str(), 0755) == 0) {
      const Fd made(open_beneath(folder.get(), part, O_RDONLY | O_DIRECTORY));
      if (made) give_to(made.get(), owner);
    }
    folder.reset(open_beneath(folder.get(), part, O_RDONLY | O_DIRECTORY));
  }
  return folder ? FileReply{} : refuse(errno, "the folder cannot be opened");
}

}  // namespace

FileReply WorkFiles::read(const std::string& path) const {
  const auto name = inside(path);
  if (!name || name->empty()) return refuse(EINVAL, "no file below /work");
  FileReply out;
  const auto taken = box::read_artefact(work_, *name, most_bytes_, out.text);
  out.error = taken.error;
  out.why = taken.why;
  out.bytes = out.text.size();
  if (out.error != 0) out.text.clear();
  return out;
}

FileReply WorkFiles::write(const std::string& path, std::string_view text) const {
  const auto name = inside(path);
  if (!name || name->empty()) return refuse(EINVAL, "no file below /work");
  if (text.size() > most_bytes_) return refuse(EFBIG, "above the size allowed");
  struct stat owner {};
  if (::fstatat(work_, "", &owner, AT_EMPTY_PATH) != 0)
    return refuse(errno, "/work cannot be looked at");
  Fd folder;
  std::string last;
  if (auto refused = parent_of(work_, *name, owner, folder, last); refused.error != 0)
    return refused;
  struct stat old {};
  const bool there = ::fstatat(folder.get(), last.c_str(), &old, AT_SYMLINK_NOFOLLOW) == 0;
  if (there && !S_ISREG(old.st_mode)) return refuse(EINVAL, "no regular file stands there");
  // Written under another name, then put in place: nobody sees half of it.
  const std::string other = ".seedbed-" + std::to_string(::getpid()) + "-new";
  ::unlinkat(folder.get(), other.c_str(), 0);
  const Fd file(::openat(folder.get(), other.c_str(),
                         O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644));
  if (!file) return refuse(errno, "cannot be made");
  give_to(file.get(), owner);
  if (there) static_cast<void>(::fchmod(file.get(), old.st_mode & 0777));
  if (!write_all(file.get(), text) ||
      ::renameat(folder.get(), other.c_str(), folder.get(), last.c_str()) != 0) {
    const int error = errno;
    ::unlinkat(folder.get(), other.c_str(), 0);
    return refuse(error, "cannot be written");
  }
  FileReply out;
  out.bytes = text.size();
  return out;
}

FileReply WorkFiles::replace(const std::string& path,
                             std::string_view from,
                             std::string_view to) const {
  FileReply file = read(path);
  if (file.error != 0) return file;
  const auto at = from.empty() ? std::string::npos : file.text.find(from);
  if (at == std::string::npos) return refuse(EINVAL, "the text does not occur");
  if (file.text.find(from, at + 1) != std::string::npos)
    return refuse(EINVAL, "the text occurs more than once");
  return write(path, file.text.replace(at, from.size(), to));
}

FileReply WorkFiles::list(const std::string& path) const {
  const auto name = inside(path);
  if (!name) return refuse(EINVAL, "no folder below /work");
  Fd folder(open_beneath(work_, *name, O_RDONLY | O_DIRECTORY | O_NONBLOCK));
  if (!folder) return refuse(errno, "the folder cannot be opened");
  const std::unique_ptr<DIR, int (*)(DIR*)> dir(::fdopendir(folder.get()), ::closedir);
  if (dir == nullptr) return refuse(errno, "the folder cannot be read");
  static_cast<void>(folder.release());
  std::vector<std::string> lines;
  while (const dirent* entry = ::readdir(dir.get())) {
    const std::string entry_name = entry->d_name;
    if (entry_name == "." || entry_name == "..") continue;
    if (lines.size() == kMostEntries) return refuse(E2BIG, "has more than 4096 entries");
    const char* sign = entry->d_type == DT_DIR   ? "/"
                       : entry->d_type == DT_LNK ? "@"
                       : entry->d_type == DT_REG ? ""
                                                 : "?";
    lines.push_back(replace_invalid_utf8(entry_name) + sign);
  }
  std::sort(lines.begin(), lines.end());
  FileReply out;
  out.text = join(lines, "\n");
  out.bytes = lines.size();
  return out;
}

}  // namespace seedbed::sandbox
