// Parameters of sampling: their bounds, and one draw through the backend's op.
#include "engine/sampling.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

namespace seedbed::engine {

namespace {
Error out_of_bounds(const std::string& name, double found, const std::string& wanted) {
  return make_error(Where::usage, "sampling parameter", name,
                    std::to_string(found) + ", wanted " + wanted, "change the value");
}
// Kept sets may be as large as the vocabulary.
std::size_t rows_at_once(int vocab) {
  constexpr std::size_t kKept = 1U << 21;
  return std::max<std::size_t>(1, kKept / static_cast<std::size_t>(vocab));
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

template <class T>
std::size_t Sampler::Block::add(std::span<const T> values) {
  constexpr std::size_t kAlign = 64;
  const std::size_t at = (bytes_.size() + kAlign - 1) / kAlign * kAlign;
  bytes_.resize(at + values.size_bytes());
  if (!values.empty()) std::memcpy(bytes_.data() + at, values.data(), values.size_bytes());
  return at;
}

Step Sampler::reserve(int rows, int vocab) {
  constexpr std::int64_t kLists = 16'384, kTop = 20;  // bytes of ids a row, alternatives a row
  const auto some = static_cast<std::int64_t>(
      std::min<std::size_t>(static_cast<std::size_t>(rows), rows_at_once(vocab)));
  const std::int64_t mask = (std::int64_t{vocab} + 31) / 32 * 4;
  arena_.plan();
  inputs_there_.get(some * (static_cast<std::int64_t>(sizeof(kernels::SampleRow)) + mask + kLists));
  results_there_.get(some * (5 + 2 * kTop));
  kept_.get(some * vocab);
  if (arena_.place()) return std::nullopt;
  return make_error(Where::config, "device memory", device_->describe(),
                    "no room for sampling " + std::to_string(rows) + " rows",
                    "give the cache or the batch less room (--cache-tokens, --max-batch)");
}

void Sampler::draw(kernels::Pool* pool,
                   const float* logits,
                   int vocab,
                   std::span<const Draw> draws,
                   std::vector<TokenOut>& out) {
  out.assign(draws.size(), {});
  const std::size_t most = rows_at_once(vocab);
  device_->bind();
  for (std::size_t at = 0; at < draws.size(); at += most) {
    const std::size_t rows = std::min(most, draws.size() - at);
    draw_some(pool, logits + at * static_cast<std::size_t>(vocab), vocab, draws.subspan(at, rows),
              std::span(out).subspan(at, rows));
  }
}

// Puts all that the op reads into block_.
Sampler::Places Sampler::describe(int vocab, std::span<const Draw> draws) {
  const std::size_t words = (static_cast<std::size_t>(vocab) + 31) / 32;
  rows_.clear();
  for (auto* list : {&seen_ids_, &seen_outputs_, &bias_ids_}) list->clear();
  bias_.clear();
  seen_offsets_.assign(1, 0);
  bias_offsets_.assign(1, 0);
  Places at{};
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
    at.masked |= draw.allowed != nullptr;
  }
  allowed_.resize(at.masked ? draws.size() * words : 0);
  for (std::size_t i = 0; i < draws.size() && at.masked; ++i) {
    auto* to = allowed_.data() + i * words;
    if (draws[i].allowed != nullptr)
      std::copy_n(draws[i].allowed, words, to);
    else
      std::fill_n(to, words, ~std::uint32_t{0});
  }
  block_.clear();
  at.row = block_.add<kernels::SampleRow>(rows_);
  at.seen_offsets = block_.add<std::int32_t>(seen_offsets_);
  at.seen_ids = block_.add<std::int32_t>(seen_ids_);
  at.seen_outputs = block_.add<std::int32_t>(seen_outputs_);
  at.bias_offsets = block_.add<std::int32_t>(bias_offsets_);
  at.bias_ids = block_.add<std::int32_t>(bias_ids_);
  at.bias = block_.add<float>(bias_);
  at.allowed = block_.add<std::uint32_t>(allowed_);
  return at;
}

void Sampler::draw_some(kernels::Pool* pool,
                        const float* logits,
                        int vocab,
                        std::span<const Draw> draws,
                        std::span<TokenOut> out) {
  const Places at = describe(vocab, draws);
  const std::byte* there = block_.bytes().data();
  if (!device_->is_host()) {
    const auto bytes = static_cast<std::int64_t>(block_.bytes().size());
    std::byte* copy = inputs_there_.get(bytes);
    device_->upload(copy, there, bytes);
    there = copy;
  }
  const auto ints = [&](std::size_t place) {
    return reinterpret_cast<const std::int32_t*>(there + place);
  };
  std::size_t top = 0;
  for (const Draw& draw : draws)
    top = std::max(top, static_cast<std::size_t>(std::min(draw.params->top_logprobs, vocab)));
  // Results, one after another: id, logprob, raw logprob, entropy, kept count, the top ones.
  const std::size_t rows = draws.size(), count = rows * (5 + 2 * top);
  std::int32_t* results = results_there_.get(static_cast<std::int64_t>(count));
  std::int32_t* kept = kept_.get(static_cast<std::int64_t>(rows) * vocab);
  const auto list = [&](std::size_t i) { return results + i * rows; };
  const auto floats = [&](std::size_t i) { return reinterpret_cast<float*>(list(i)); };
  device_->ops().sample(
      {.rows = static_cast<int>(rows),
       .vocab = vocab,
       .logits = logits,
       .row = reinterpret_cast<const kernels::SampleRow*>(there + at.row),
       .seen_offsets = ints(at.seen_offsets),
       .seen_ids = ints(at.seen_ids),
       .seen_outputs = ints(at.seen_outputs),
       .bias_offsets = ints(at.bias_offsets),
       .bias_ids = ints(at.bias_ids),
       .bias = reinterpret_cast<const float*>(there + at.bias),
       .allowed = at.masked ? reinterpret_cast<const std::uint32_t*>(there + at.allowed) : nullptr,
       .id = list(0),
       .logprob = floats(1),
       .raw_logprob = floats(2),
       .entropy = floats(3),
       .kept_count = list(4),
       .kept_ids = kept,
       .kept_capacity = vocab,
       .top = static_cast<int>(top),
       .top_ids = list(5),
       .top_logprobs = floats(5 + top),
       .pool = pool});
  results_.resize(count);
  device_->download(results_.data(), results, static_cast<std::int64_t>(count * 4));
  const auto number = [&](std::size_t i) { return std::bit_cast<float>(results_[i]); };
  for (std::size_t i = 0; i < rows; ++i) {
    TokenOut& token = out[i];
    token.id = results_[i];
    token.logprob = number(rows + i);
    token.raw_logprob = number(2 * rows + i);
    token.entropy = number(3 * rows + i);
    token.kept_count = results_[4 * rows + i];
    if (token.kept_count > 0) {
      token.kept_ids.resize(static_cast<std::size_t>(token.kept_count));
      device_->download(token.kept_ids.data(), kept + static_cast<std::int64_t>(i) * vocab,
                        std::int64_t{token.kept_count} * 4);
    }
    const auto wanted = static_cast<std::size_t>(std::min(draws[i].params->top_logprobs, vocab));
    for (std::size_t k = 0; k < wanted; ++k)
      token.top.emplace_back(results_[5 * rows + i * top + k],
                             number((5 + top) * rows + i * top + k));
  }
}

}  // namespace seedbed::engine
