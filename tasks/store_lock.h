// One writer a store: an advisory lock on PATH-lock, given back by the kernel however the process
// ends. Private to tasks. (SQLite's own lock is held only while a batch is written, so it cannot
// say that another seedbed has the store open.)
#pragma once
#include <string>

#include "base/result.h"

namespace seedbed::tasks {

class WriterLock {
 public:
  static Result<WriterLock> take(const std::string& store_path);
  WriterLock() = default;
  ~WriterLock();  // removes the file and gives the lock back
  WriterLock(const WriterLock&) = delete;
  WriterLock& operator=(const WriterLock&) = delete;
  WriterLock(WriterLock&& other) noexcept;
  WriterLock& operator=(WriterLock&& other) noexcept;

 private:
  void release();
  int fd_ = -1;
  std::string path_;
};

}  // namespace seedbed::tasks
