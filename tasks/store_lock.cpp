#include "tasks/store_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <system_error>
#include <utility>

namespace seedbed::tasks {
namespace {

// The process that holds the lock wrote its id; only for the message, so anything else there is
// left out.
std::string holder(int fd) {
  std::array<char, 20> text{};
  const ssize_t n = pread(fd, text.data(), text.size(), 0);
  std::string out;
  for (ssize_t i = 0; i < n && text[static_cast<std::size_t>(i)] >= '0' &&
                      text[static_cast<std::size_t>(i)] <= '9';
       ++i)
    out.push_back(text[static_cast<std::size_t>(i)]);
  return out.empty() ? "" : " (process " + out + ")";
}

// The holder removes the file before it lets go, so a lock on a file that is no longer at `path`
// locks nothing.
bool still_there(int fd, const std::string& path) {
  struct stat held {
  }, named{};
  return fstat(fd, &held) == 0 && stat(path.c_str(), &named) == 0 && held.st_ino == named.st_ino &&
         held.st_dev == named.st_dev;
}

}  // namespace

Result<WriterLock> WriterLock::take(const std::string& store_path) {
  WriterLock out;
  out.path_ = store_path + "-lock";
  for (;;) {
    const int fd = ::open(out.path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (fd < 0)
      return make_error(Where::store, "store", store_path,
                        "its lock cannot be made: " + std::generic_category().message(errno),
                        "check the path and the permissions of its folder");
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
      const int why = errno;
      const std::string who = holder(fd);
      close(fd);
      if (why == EINTR) continue;
      if (why == EWOULDBLOCK)
        return make_error(Where::store, "store", store_path,
                          "in use by another seedbed" + who + ", one writer is allowed",
                          "wait until it ends, or end it");
      return make_error(Where::store, "store", store_path,
                        "its lock cannot be taken: " + std::generic_category().message(why),
                        "keep the store on a file system with locks");
    }
    if (!still_there(fd, out.path_)) {
      close(fd);
      continue;
    }
    out.fd_ = fd;
    const std::string pid = std::to_string(getpid());
    // A full disk has no room for the process id; the lock holds all the same.
    if (ftruncate(fd, 0) == 0 && pwrite(fd, pid.data(), pid.size(), 0) < 0) errno = 0;
    return out;
  }
}

WriterLock::~WriterLock() {
  release();
}
WriterLock::WriterLock(WriterLock&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), path_(std::move(other.path_)) {}
WriterLock& WriterLock::operator=(WriterLock&& other) noexcept {
  if (this != &other) {
    release();
    fd_ = std::exchange(other.fd_, -1);
    path_ = std::move(other.path_);
  }
  return *this;
}

void WriterLock::release() {
  if (fd_ < 0) return;
  unlink(path_.c_str());
  flock(fd_, LOCK_UN);  // said outright: a forked child may share the descriptor
  close(fd_);
  fd_ = -1;
}

}  // namespace seedbed::tasks
