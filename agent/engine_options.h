// How the policy `engine` samples: a model in this process.
#pragma once
#include <cstdint>
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
  int threads = 0;  // 0: one for each core
  engine::DType kv_dtype = engine::DType::f8;
};

}  // namespace seedbed::agent
