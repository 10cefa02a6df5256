// The one writer of a run: lanes hand finished episodes over a bounded queue, one thread stores
// them in batches.
#pragma once
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <string>
#include <thread>

#include "agent/episode_loop.h"
#include "agent/run.h"

namespace seedbed::agent {

class EpisodeWriter {
 public:
  struct Item {
    std::string task_id;
    std::int64_t sample = 0;
    Rollout rollout;        // with its verdict
    std::string infra_why;  // not empty: an infrastructure error, nothing to score
  };

  // `store_mutex` guards every use of the store while the writer lives.
  EpisodeWriter(tasks::Store& store,
                std::mutex& store_mutex,
                std::string run,
                std::int64_t total,
                OnProgress progress);
  ~EpisodeWriter();
  EpisodeWriter(const EpisodeWriter&) = delete;
  EpisodeWriter& operator=(const EpisodeWriter&) = delete;

  // Blocks while the queue is full. False once storing has failed: the caller stops.
  bool put(Item item);
  // Stores all that was put, flushes, ends the thread; the first error met. `summary` gets what was
  // stored.
  Step close(RunSummary& summary);

 private:
  void work();
  Step store_batch(std::deque<Item>& batch);
  void report(bool last);

  tasks::Store& store_;
  std::mutex& store_mutex_;
  std::string run_;
  RunProgress progress_;
  RunSummary summary_;
  OnProgress on_progress_;
  std::int64_t start_us_, reported_us_;
  std::mutex mutex_;
  std::condition_variable filled_, drained_;
  std::deque<Item> queue_;
  bool closing_ = false;
  Step failed_;
  std::thread thread_;
};

}  // namespace seedbed::agent
