// One draw for one sequence, and what a sequence's penalties need to know.
#pragma once
#include <cstdint>
#include <span>
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

// One row of a call.
struct Draw {
  const SamplingParams* params = nullptr;
  std::uint64_t sequence = 0;
  std::int64_t position = 0;
  const SeenTokens* seen = nullptr;
  const std::uint32_t* allowed = nullptr;  // bits [ceil(vocab/32)], null: all
};

class Sampler {
 public:
  // logits: f32 [draws, vocab]. Each result is a function of its logits and its draw alone.
  void draw(const kernels::Ops& ops,
            kernels::Pool* pool,
            const float* logits,
            int vocab,
            std::span<const Draw> draws,
            std::vector<TokenOut>& out);

 private:
  void draw_some(const kernels::Ops& ops,
                 kernels::Pool* pool,
                 const float* logits,
                 int vocab,
                 std::span<const Draw> draws,
                 std::span<TokenOut> out);
  std::vector<kernels::SampleRow> rows_;
  std::vector<std::int32_t> kept_, seen_offsets_, seen_ids_, seen_outputs_, bias_offsets_,
      bias_ids_, top_ids_, ids_, kept_count_;
  std::vector<float> bias_, top_, logprob_, raw_logprob_, entropy_;
  std::vector<std::uint32_t> allowed_;
};

}  // namespace seedbed::engine
