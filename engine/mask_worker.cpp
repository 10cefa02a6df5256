#include "engine/mask_worker.h"

#include <chrono>
#include <utility>

namespace seedbed::engine {

void compute_mask(MaskWorker::Job& job) {
  const auto begin = std::chrono::steady_clock::now();
  *job.mask = job.matcher->mask(job.tokens_left);
  job.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

MaskWorker::~MaskWorker() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void MaskWorker::begin(std::vector<Job> jobs) {
  {
    const std::lock_guard lock(mutex_);
    jobs_ = std::move(jobs);
    busy_ = !jobs_.empty();
  }
  if (jobs_.empty()) return;
  if (!thread_.joinable()) thread_ = std::thread([this] { work(); });
  changed_.notify_all();
}

const std::vector<MaskWorker::Job>& MaskWorker::wait() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return !busy_; });
  return jobs_;
}

void MaskWorker::work() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return busy_ || stop_; });
    if (stop_) return;
    lock.unlock();
    for (Job& job : jobs_) compute_mask(job);
    lock.lock();
    busy_ = false;
    changed_.notify_all();
  }
}

}  // namespace seedbed::engine
