#include "engine/stats.h"

#include <algorithm>

namespace seedbed::engine {

namespace {
constexpr double kSeconds[] = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25,
                               0.5,   1,      2.5,   5,    10,    25,   60,  300};
constexpr double kShort[] = {0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005,
                             0.001,   0.0025,   0.005,   0.01,   0.05,    0.25};
constexpr double kTokens[] = {1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144};
}  // namespace

void Histogram::add(double value) {
  const auto at = std::lower_bound(bounds_.begin(), bounds_.end(), value) - bounds_.begin();
  ++cells_[static_cast<std::size_t>(at)];
  ++count_;
  sum_ += value;
}

EngineStats::EngineStats()
    : time_to_first_token(kSeconds),
      inter_token(kSeconds),
      end_to_end(kSeconds),
      queue(kSeconds),
      prefill(kSeconds),
      decode(kSeconds),
      prompt_length(kTokens),
      generation_length(kTokens),
      step_tokens(kTokens),
      mask_seconds(kShort) {}

}  // namespace seedbed::engine
