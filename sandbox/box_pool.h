// Ready boxes of one spec. What costs time, making and burying, happens on a thread of the pool;
// taking a ready one is a lock. A box is used once: whatever a program did inside goes with it.
#pragma once
#include <chrono>
#include <cstdint>
#include <memory>

#include "sandbox/boxes.h"

namespace seedbed::sandbox {

struct PoolOptions {
  int ready = 8;                  // kept ready
  int open = 256;                 // alive at once, ready and taken; whoever wants more waits
  int starting = 4;               // made side by side
  Milliseconds max_age{600'000};  // a ready one that is older is replaced
};

struct PoolMetrics {
  std::int64_t made = 0, taken = 0, hits = 0;  // hits: taken without waiting
  std::int64_t expired = 0, unhealthy = 0;     // replaced before anybody took them
  std::int64_t failures = 0;                   // boxes that could not be made
  std::int64_t oom_kills = 0;                  // of boxes that were given back
  std::int64_t wait_p50_us = 0, wait_p95_us = 0, make_p50_us = 0, make_p95_us = 0;
  int ready = 0, out = 0;
};

class BoxPool {
 public:
  // Starts to make boxes at once. Every box that was taken must be given back before the pool goes.
  BoxPool(std::shared_ptr<Boxes> boxes, BoxSpec spec, PoolOptions options = {});
  ~BoxPool();  // drain()
  BoxPool(const BoxPool&) = delete;
  BoxPool& operator=(const BoxPool&) = delete;

  // A healthy box that nobody had before. Waits while all are out, at most `patience`;
  // Error{sandbox} names what hinders. Thread-safe, as all below.
  Result<std::unique_ptr<LiveBox>> take(Milliseconds patience = Milliseconds(30'000));
  void give_back(std::unique_ptr<LiveBox> box);  // ended in the background
  // Instead of give_back, for who wants to know how it ended.
  Result<BoxEnd> end(std::unique_ptr<LiveBox> box);
  [[nodiscard]] PoolMetrics metrics() const;
  // No new boxes; waits until all that were given back are gone and ends the ready ones.
  void drain();
  struct State;

 private:
  std::unique_ptr<State> state_;
};

}  // namespace seedbed::sandbox
