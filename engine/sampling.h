// One draw for one sequence, and what a sequence's penalties need to know.
#pragma once
#include <cstdint>
#include <vector>

#include "engine/engine.h"

namespace seedbed::engine {

// The ids that a sequence holds, ascending, and how often each was sampled.
class SeenTokens {
 public:
  void add(std::int32_t id, bool output);
  void clear() {
    ids_.clear();
    outputs_.clear();
  }
  [[nodiscard]] const std::vector<std::int32_t>& ids() const { return ids_; }
  [[nodiscard]] const std::vector<std::int32_t>& outputs() const { return outputs_; }

 private:
  std::vector<std::int32_t> ids_, outputs_;
};

class Sampler {
 public:
  // logits: f32 [vocab]. The result is a function of (logits, params, sequence, position, seen).
  TokenOut draw(const kernels::Ops& ops,
                kernels::Pool* pool,
                const float* logits,
                int vocab,
                const SamplingParams& params,
                std::uint64_t sequence,
                std::int64_t position,
                const SeenTokens& seen);

 private:
  std::vector<std::int32_t> kept_, bias_ids_, top_ids_;
  std::vector<float> bias_, top_;
};

}  // namespace seedbed::engine
