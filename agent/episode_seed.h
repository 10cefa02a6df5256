// The one number that all sampling of an episode draws from. In process it is the sampler's seed,
// over HTTP it is sent as `seed`: a server that draws as ours does gives the same tokens.
#pragma once
#include <cstdint>
#include <string_view>

namespace seedbed::agent {

// Part of what identifies a run of a model: raised whenever the number below, or what is drawn from
// it, changes.
inline constexpr std::string_view kDrawsVersion = "2";

// A keyed hash of all three, in 63 bits: it survives JSON integers of other languages.
std::uint64_t episode_seed(std::uint64_t run_seed, std::string_view task_id, std::int64_t sample);

}  // namespace seedbed::agent
