#include "engine/service/worker.h"

namespace seedbed::engine::service {

Worker::Worker() : thread_([this] { run(); }) {}

Worker::~Worker() {
  {
    const std::lock_guard lock(mutex_);
    over_ = true;
  }
  more_.notify_all();
  thread_.join();
}

void Worker::post(std::function<void()> work) {
  // Told under the lock: the work may be what takes this worker away.
  const std::lock_guard lock(mutex_);
  work_.push_back(std::move(work));
  more_.notify_one();
}

void Worker::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    more_.wait(lock, [this] { return over_ || !work_.empty(); });
    if (work_.empty()) return;
    std::function<void()> next = std::move(work_.front());
    work_.pop_front();
    lock.unlock();
    next();
    next = nullptr;  // what it held goes before the next begins
    lock.lock();
  }
}

}  // namespace seedbed::engine::service
