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

void Sampler::draw(const kernels::Ops& ops,
                   kernels::Pool* pool,
                   const float* logits,
                   int vocab,
                   std::span<const Draw> draws,
                   std::vector<TokenOut>& out) {
  out.assign(draws.size(), {});
  // Kept sets may be as large as the vocabulary: so many rows at once.
  constexpr std::size_t kKept = 1U << 21;
  const std::size_t most = std::max<std::size_t>(1, kKept / static_cast<std::size_t>(vocab));
  for (std::size_t at = 0; at < draws.size(); at += most) {
    const std::size_t rows = std::min(most, draws.size() - at);
    draw_some(ops, pool, logits + at * static_cast<std::size_t>(vocab), vocab,
              draws.subspan(at, rows), std::span(out).subspan(at, rows));
  }
}

void Sampler::draw_some(const kernels::Ops& ops,
                        kernels::Pool* pool,
                        const float* logits,
                        int vocab,
                        std::span<const Draw> draws,
                        std::span<TokenOut> out) {
  const std::size_t rows = draws.size(), words = (static_cast<std::size_t>(vocab) + 31) / 32;
  rows_.clear();
  for (auto* list : {&seen_ids_, &seen_outputs_, &bias_ids_}) list->clear();
  bias_.clear();
  seen_offsets_.assign(1, 0);
  bias_offsets_.assign(1, 0);
  std::size_t top = 0;
  bool masked = false;
  for (const Draw& draw : draws) {
    const SamplingParams& p = *draw.params;
    rows_.push_back({.temperature = p.temperature,
                     .top_k = p.top_k,
                     .top_p = p.top_p,
                     .min_p = p.min_p,
                     .repetition_penalty = p.repetition_penalty,
                     .presence_penalty = p.presence_penalty,
                     .frequency_penalty = p.frequency_penalty,
                     .seed = p.seed,
                     .sequence = draw.sequence,
                     .position = draw.position});
    const auto& seen = *draw.seen;
    seen_ids_.insert(seen_ids_.end(), seen.ids().begin(), seen.ids().end());
    seen_outputs_.insert(seen_outputs_.end(), seen.outputs().begin(), seen.outputs().end());
    seen_offsets_.push_back(static_cast<std::int32_t>(seen_ids_.size()));
    for (const auto& [id, value] : p.bias) {
      bias_ids_.push_back(id);
      bias_.push_back(value);
    }
    bias_offsets_.push_back(static_cast<std::int32_t>(bias_ids_.size()));
    top = std::max(top, static_cast<std::size_t>(std::min(p.top_logprobs, vocab)));
    masked |= draw.allowed != nullptr;
  }
  if (masked) {
    allowed_.resize(rows * words);
    for (std::size_t i = 0; i < rows; ++i) {
      auto* to = allowed_.data() + i * words;
      if (draws[i].allowed != nullptr)
        std::copy_n(draws[i].allowed, words, to);
      else
        std::fill_n(to, words, ~std::uint32_t{0});
    }
  }
  for (auto* list : {&ids_, &kept_count_}) list->resize(rows);
  for (auto* list : {&logprob_, &raw_logprob_, &entropy_}) list->resize(rows);
  kept_.resize(rows * static_cast<std::size_t>(vocab));
  top_ids_.resize(rows * top);
  top_.resize(rows * top);
  ops.sample({.rows = static_cast<int>(rows),
              .vocab = vocab,
              .logits = logits,
              .row = rows_.data(),
              .seen_offsets = seen_offsets_.data(),
              .seen_ids = seen_ids_.data(),
              .seen_outputs = seen_outputs_.data(),
              .bias_offsets = bias_offsets_.data(),
              .bias_ids = bias_ids_.data(),
              .bias = bias_.data(),
              .allowed = masked ? allowed_.data() : nullptr,
              .id = ids_.data(),
              .logprob = logprob_.data(),
              .raw_logprob = raw_logprob_.data(),
              .entropy = entropy_.data(),
              .kept_count = kept_count_.data(),
              .kept_ids = kept_.data(),
              .kept_capacity = vocab,
              .top = static_cast<int>(top),
              .top_ids = top_ids_.data(),
              .top_logprobs = top_.data(),
              .pool = pool});
  for (std::size_t i = 0; i < rows; ++i) {
    TokenOut& token = out[i];
    token.id = ids_[i];
    token.logprob = logprob_[i];
    token.raw_logprob = raw_logprob_[i];
    token.entropy = entropy_[i];
    token.kept_count = kept_count_[i];
    const auto kept = kept_.begin() + static_cast<std::ptrdiff_t>(i) * vocab;
    if (token.kept_count > 0) token.kept_ids.assign(kept, kept + token.kept_count);
    const auto wanted = static_cast<std::size_t>(std::min(draws[i].params->top_logprobs, vocab));
    for (std::size_t k = 0; k < wanted; ++k)
      token.top.emplace_back(top_ids_[i * top + k], top_[i * top + k]);
  }
}

}  // namespace seedbed::engine
