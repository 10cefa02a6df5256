// Seeded checkpoints in the published format, for tests, goldens and benchmarks: the same (config,
// seed) gives the same weights on any machine, in any number of threads. A weight is a function of
// seed, tensor name and element index alone, so a model made as fp8, bf16 and f32 is the same model
// rounded differently.
#pragma once
#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "engine/checkpoint.h"
#include "engine/config.h"

namespace seedbed::engine {

struct MakeModelOptions {
  std::uint64_t seed = 0;
  // Of linear weights; f8 gives 128 x 128 blocks with power-of-two scales. Where it is not f32,
  // matrices that are never quantised are bf16; vectors are always f32.
  DType dtype = DType::f8;
  int threads = 0;                           // 0: one for each core
  std::uint64_t max_shard_bytes = 1U << 30;  // a larger tensor gets a shard of its own
  bool store_copies = true;    // embedding and head again in prediction layers, as published
  std::string tokenizer = {};  // a tokenizer.json to copy; empty: none
  std::function<void(std::uint64_t done, std::uint64_t total)> progress =
      {};                                   // bytes; may be empty
  const std::atomic<bool>* stop = nullptr;  // set: ends early with Error{interrupted}
};

// Writes config.json, shards and index into `dir`, which must hold no safetensors file. The
// config's own quantisation is replaced by what `dtype` says. Error{config} where files cannot be
// written.
Step make_model(const ModelConfig& config, const MakeModelOptions& options, const std::string& dir);

// Configurations that the program carries (bench/configs/).
std::vector<std::string> named_configs();
Result<ModelConfig> named_config(std::string_view name);

}  // namespace seedbed::engine
