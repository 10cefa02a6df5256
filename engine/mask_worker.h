// Computes masks on a thread of its own while the forward pass runs.
#pragma once
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

#include "engine/grammar/grammar.h"

namespace seedbed::engine {

class MaskWorker {
 public:
  struct Job {
    grammar::Matcher* matcher = nullptr;
    std::int64_t tokens_left = 0;
    const std::uint32_t** mask = nullptr;  // where it goes
    double seconds = 0;                    // how long it took
  };
  MaskWorker() = default;
  ~MaskWorker();
  MaskWorker(const MaskWorker&) = delete;
  MaskWorker& operator=(const MaskWorker&) = delete;
  // Begins; one batch of jobs at a time. The thread starts with the first.
  void begin(std::vector<Job> jobs);
  // Waits; the jobs with their times.
  const std::vector<Job>& wait();

 private:
  void work();
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Job> jobs_;
  bool busy_ = false, stop_ = false;
  std::thread thread_;
};

// On this thread.
void compute_mask(MaskWorker::Job& job);

}  // namespace seedbed::engine
