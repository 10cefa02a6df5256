// Parameters of sampling: their bounds, and one draw through the backend's op.
#include "engine/sampling.h"

#include <algorithm>
#include <cmath>

namespace seedbed::engine {

namespace {
Error out_of_bounds(const std::string& name, double found, const std::string& wanted) {
  return make_error(Where::usage, "sampling parameter", name,
                    std::to_string(found) + ", wanted " + wanted, "change the value");
}
}  // namespace

Step check_sampling(const SamplingParams& p, int vocab) {
  struct Bound {
    const char* name;
    double value, low, high;
    const char* wanted;
  };
  const Bound bounds[] = {
      {"temperature", p.temperature, 0, 100, "0 to 100"},
      {"top_k", static_cast<double>(p.top_k), 0, 2147483647, "0 (off) or more"},
      {"top_p", p.top_p, 0, 1, "0 to 1"},
      {"min_p", p.min_p, 0, 1, "0 to 1"},
      {"repetition_penalty", p.repetition_penalty, 0.01, 100, "0.01 to 100"},
      {"presence_penalty", p.presence_penalty, -100, 100, "-100 to 100"},
      {"frequency_penalty", p.frequency_penalty, -100, 100, "-100 to 100"},
      {"top_logprobs", static_cast<double>(p.top_logprobs), 0, 1000, "0 to 1000"},
  };
  for (const Bound& b : bounds)
    if (!(b.value >= b.low && b.value <= b.high)) return out_of_bounds(b.name, b.value, b.wanted);
  for (const auto& [id, value] : p.bias) {
    if (id < 0 || id >= vocab)
      return out_of_bounds("bias, token id", id, "0 to " + std::to_string(vocab - 1));
    if (!std::isfinite(value))
      return out_of_bounds("bias of token " + std::to_string(id), value, "a finite number");
  }
  return std::nullopt;
}

void SeenTokens::add(std::int32_t id, bool output) {
  const auto at = std::lower_bound(ids_.begin(), ids_.end(), id);
  const auto i = at - ids_.begin();
  if (at == ids_.end() || *at != id) {
    ids_.insert(at, id);
    outputs_.insert(outputs_.begin() + i, 0);
  }
  outputs_[static_cast<std::size_t>(i)] += output ? 1 : 0;
}

TokenOut Sampler::draw(const kernels::Ops& ops,
                       kernels::Pool* pool,
                       const float* logits,
                       int vocab,
                       const SamplingParams& params,
                       std::uint64_t sequence,
                       std::int64_t position,
                       const SeenTokens& seen) {
  const kernels::SampleRow row = {.temperature = params.temperature,
                                  .top_k = params.top_k,
                                  .top_p = params.top_p,
                                  .min_p = params.min_p,
                                  .repetition_penalty = params.repetition_penalty,
                                  .presence_penalty = params.presence_penalty,
                                  .frequency_penalty = params.frequency_penalty,
                                  .seed = params.seed,
                                  .sequence = sequence,
                                  .position = position};
  const std::int32_t seen_offsets[2] = {0, static_cast<std::int32_t>(seen.ids().size())};
  const std::int32_t bias_offsets[2] = {0, static_cast<std::int32_t>(params.bias.size())};
  bias_ids_.clear();
  bias_.clear();
  for (const auto& [id, value] : params.bias) {
    bias_ids_.push_back(id);
    bias_.push_back(value);
  }
  kept_.resize(static_cast<std::size_t>(vocab));
  const auto top = static_cast<std::size_t>(std::min(params.top_logprobs, vocab));
  top_ids_.resize(top);
  top_.resize(top);
  TokenOut out;
  ops.sample({.rows = 1,
              .vocab = vocab,
              .logits = logits,
              .row = &row,
              .seen_offsets = seen_offsets,
              .seen_ids = seen.ids().data(),
              .seen_outputs = seen.outputs().data(),
              .bias_offsets = bias_offsets,
              .bias_ids = bias_ids_.data(),
              .bias = bias_.data(),
              .id = &out.id,
              .logprob = &out.logprob,
              .raw_logprob = &out.raw_logprob,
              .entropy = &out.entropy,
              .kept_count = &out.kept_count,
              .kept_ids = kept_.data(),
              .kept_capacity = vocab,
              .top = static_cast<int>(top),
              .top_ids = top_ids_.data(),
              .top_logprobs = top_.data(),
              .pool = pool});
  if (out.kept_count > 0) out.kept_ids.assign(kept_.begin(), kept_.begin() + out.kept_count);
  for (std::size_t i = 0; i < top; ++i) out.top.emplace_back(top_ids_[i], top_[i]);
  return out;
}

}  // namespace seedbed::engine
