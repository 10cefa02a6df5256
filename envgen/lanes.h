// Work on slots shared by threads, each with a bench of its own.
#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>

#include "envgen/general/slot.h"

namespace seedbed::envgen {

// Each lane takes the next index until none is left, somebody failed or the user stopped.
struct Lanes {
  std::atomic<std::size_t> next{0};
  std::atomic<bool> failed{false};
  std::mutex mutex;  // guards the store, the progress and `error`
  Step error;

  void fail(Error e) {
    const std::lock_guard<std::mutex> lock(mutex);
    fail_locked(std::move(e));
  }
  void fail_locked(Error e) {
    if (!error) error = std::move(e);
    failed = true;
  }
};

void run_lanes(int jobs, const std::function<void(int)>& lane);

// A jail that fails is ours to mend, not the slot's fault: once more with new hosts.
Result<tasks::SlotRecord> make_slot_twice(const Packs& packs,
                                          const schemas::GenRequest& request,
                                          std::int64_t slot,
                                          Bench& bench,
                                          const HostFactory& hosts,
                                          int core);

}  // namespace seedbed::envgen
