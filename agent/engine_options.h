// How the policy `engine` samples: a model in this process.
#pragma once
#include <cstdint>
#include <memory>
#include <string>

#include "engine/cache.h"

namespace seedbed::agent {

struct EngineOptions {
  std::string model_dir;  // config.json, weights, tokenizer.json
  double temperature = 1.0, top_p = 0.95, min_p = 0;
  std::int64_t top_k = 0;
  std::int64_t max_tokens = 2'048;  // of one reply
  std::int64_t context = 0;  // tokens of one episode; 0: the model's positions, at most 32,768
  bool thinking = true;
  bool constrain =
      false;  // masks: replies are calls of the tools offered that keep their schemas, or text
  engine::DType kv_dtype = engine::DType::f8;
  // How it is computed. Results never depend on these.
  std::string device = "auto";          // engine::choose_device
  std::shared_ptr<kernels::Device> on;  // this one instead; null: what `device` chooses
  int threads = 0;                      // 0: one for each core
  std::int64_t cache_tokens = 0;  // over all episodes; 0: as memory allows. At least one window
  std::int64_t host_cache_tokens = 0;  // kept in the host's memory beyond those; 0: none
  int chunk = 0;                       // prompt tokens a step; 0: as the device likes it
  int max_batch = 64;                  // replies computed at once
  bool speculative = false;            // draft with the prediction layer, where the model has one
  bool prefix_cache = true;            // prompts begin with what is in pages already
};

}  // namespace seedbed::agent
