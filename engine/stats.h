// What an engine has done and holds: a copy, taken at any time. Counters only grow.
#pragma once
#include <array>
#include <cstdint>
#include <span>
#include <vector>

namespace seedbed::engine {

// Counts of values up to each bound (upper bounds ascending; the last cell is everything above).
class Histogram {
 public:
  Histogram() = default;
  explicit Histogram(std::span<const double> bounds)
      : bounds_(bounds.begin(), bounds.end()), cells_(bounds.size() + 1, 0) {}
  void add(double value);
  [[nodiscard]] const std::vector<double>& bounds() const { return bounds_; }
  [[nodiscard]] const std::vector<std::int64_t>& cells() const { return cells_; }
  [[nodiscard]] std::int64_t count() const { return count_; }
  [[nodiscard]] double sum() const { return sum_; }

 private:
  std::vector<double> bounds_;
  std::vector<std::int64_t> cells_;
  std::int64_t count_ = 0;
  double sum_ = 0;
};

struct EngineStats {
  EngineStats();
  // Now.
  std::int64_t running = 0, waiting = 0;  // requests
  std::int64_t pages = 0, pages_free = 0;
  std::int64_t pages_cached = 0;  // held by the prefix tree alone: given up when needed
  std::int64_t pages_pinned = 0;  // of those, held for a session: given up last
  std::int64_t host_pages = 0, host_pages_used = 0;  // of the host tier
  std::int64_t sessions = 0;
  bool paused = false;
  std::int32_t policy = 1;
  // So far.
  std::int64_t prompt_tokens = 0;                         // of requests that began
  std::int64_t hit_tokens = 0;                            // of those, found in pages
  std::int64_t prefill_tokens = 0, generated_tokens = 0;  // computed as prompt; sampled
  std::int64_t recomputed_tokens = 0;  // prefilled again after a preemption or new weights
  std::int64_t forks = 0;              // requests that took another's prompt whole, logits included
  std::int64_t copied_pages = 0;       // copy-on-write
  std::int64_t spilled_pages = 0, restored_pages = 0;  // to the host tier, and back
  std::int64_t evicted_pages = 0;                      // lost, from the cache or the host tier
  std::int64_t preemptions = 0, reloads = 0;
  std::int64_t drafted = 0, accepted = 0;
  std::int64_t steps = 0;                     // forward passes
  std::array<std::int64_t, 5> finished = {};  // by Finish; the last: refused after admission
  // Seconds, per request or per token.
  Histogram time_to_first_token, inter_token, end_to_end, queue, prefill, decode;
  Histogram prompt_length, generation_length, step_tokens, mask_seconds;
};

}  // namespace seedbed::engine
