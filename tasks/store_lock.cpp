#include "tasks/store_lock.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <system_error>
#include <utility>

namespace seedbed::tasks {
namespace {

constexpr int kDeadHolderTries = 300;  // of 10 ms

// The process that wrote its id into the lock, 0 where none did.
pid_t holder(int fd) {
  std::array<char, 10> text{};
  const ssize_t n = pread(fd, text.data(), text.size(), 0);
  std::int64_t out = 0;
  for (ssize_t i = 0; i < n; ++i) {
    const char c = text[static_cast<std::size_t>(i)];
    if (c < '0' || c > '9') break;
    out = 10 * out + (c - '0');
  }
  return out <= INT32_MAX ? static_cast<pid_t>(out) : 0;
}

// A killed seedbed's children may outlive it by a moment, and hold the lock for it.
bool is_dead(pid_t pid) {
  return pid > 0 && kill(pid, 0) != 0 && errno == ESRCH;
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
  for (int tries = 0;; ++tries) {
    const int fd = ::open(out.path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (fd < 0)
      return make_error(Where::store, "store", store_path,
                        "its lock cannot be made: " + std::generic_category().message(errno),
                        "check the path and the permissions of its folder");
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
      const int why = errno;
      const pid_t pid = holder(fd);
      close(fd);
      if (why == EINTR) continue;
      if (why == EWOULDBLOCK && is_dead(pid) && tries < kDeadHolderTries) {
        usleep(10'000);
        continue;
      }
      const std::string who = pid == 0 ? "" : " (process " + std::to_string(pid) + ")";
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
