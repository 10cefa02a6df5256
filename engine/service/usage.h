// The counts of an answer, in OpenAI's names and DeepSeek's.
#pragma once
#include <algorithm>
#include <cstdint>
#include <optional>

#include "engine/engine.h"
#include "schemas/value.h"

namespace seedbed::engine::service {

class Usage {
 public:
  explicit Usage(std::int64_t prompt_tokens) : prompt_(prompt_tokens) {}
  void add_prompt(std::int64_t tokens) { prompt_ += tokens; }
  // Choices share a prompt: what the first of them had to compute was no hit.
  void add(const Generated& generated, std::int64_t reasoning_tokens = 0) {
    completion_ += static_cast<std::int64_t>(generated.tokens.size());
    reasoning_ += reasoning_tokens;
    cached_ = std::min(cached_.value_or(generated.cached_tokens), generated.cached_tokens);
  }
  void set_cached(std::int64_t tokens) { cached_ = tokens; }

  [[nodiscard]] schemas::Value value() const {
    using schemas::Value;
    const std::int64_t cached = cached_.value_or(0);
    Value out = Value::object();
    out.set("prompt_tokens", prompt_).set("completion_tokens", completion_);
    out.set("total_tokens", prompt_ + completion_);
    Value prompt = Value::object();
    prompt.set("cached_tokens", cached);
    out.set("prompt_tokens_details", std::move(prompt));
    Value completion = Value::object();
    completion.set("reasoning_tokens", reasoning_);
    out.set("completion_tokens_details", std::move(completion));
    out.set("prompt_cache_hit_tokens", cached).set("prompt_cache_miss_tokens", prompt_ - cached);
    return out;
  }

 private:
  std::int64_t prompt_ = 0, completion_ = 0, reasoning_ = 0;
  std::optional<std::int64_t> cached_;
};

}  // namespace seedbed::engine::service
