// Time as the program needs it: a monotonic stopwatch for budgets and rates. Generation never reads
// a clock.
#pragma once
#include <cstdint>

namespace seedbed {

std::int64_t monotonic_us();

class Clock {  // a seam: tests drive time by hand
 public:
  Clock() = default;
  Clock(const Clock&) = delete;
  Clock& operator=(const Clock&) = delete;
  virtual ~Clock() = default;
  [[nodiscard]] virtual std::int64_t now_us() const { return monotonic_us(); }
};

}  // namespace seedbed
