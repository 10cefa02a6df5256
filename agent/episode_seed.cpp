#include "agent/episode_seed.h"

#include "base/rng.h"

namespace seedbed::agent {

std::uint64_t episode_seed(std::uint64_t run_seed, std::string_view task_id, std::int64_t sample) {
  return rng_for(run_seed, task_id, static_cast<std::uint64_t>(sample), "episode").next() >> 1;
}

}  // namespace seedbed::agent
