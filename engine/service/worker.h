// A thread that does what is handed to it, in order.
#pragma once
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

namespace seedbed::engine::service {

class Worker {
 public:
  Worker();
  ~Worker();  // does what is left, then ends
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;
  void post(std::function<void()> work);

 private:
  void run();

  std::mutex mutex_;
  std::condition_variable more_;
  std::deque<std::function<void()>> work_;
  bool over_ = false;
  std::thread thread_;  // last: it uses the others
};

}  // namespace seedbed::engine::service
