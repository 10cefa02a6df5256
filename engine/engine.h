// An engine in one process: a model, its pages, and sequences that stay where they are between
// calls. Token ids in, token ids out; text, tools and chat formats are other people's business.
// Calls may come from any thread; they are served one at a time.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "engine/model.h"

namespace seedbed::engine {

struct EngineOptions {
  std::string model_dir;
  ModelOptions model;
  DType kv_dtype = DType::f8;
  std::int64_t cache_tokens =
      0;  // room for so many tokens over all sequences; 0: as memory allows, at most 1 Mi tokens
  int chunk = 128;  // prompt tokens a forward pass
  bool speculative =
      false;  // draft with the prediction layer, if there is one; results do not change
};

struct SamplingParams {
  double temperature = 1.0;  // 0: the most likely token
  int top_k = 0;             // 0: off
  double top_p = 1.0, min_p = 0.0;
  double repetition_penalty = 1.0, presence_penalty = 0.0, frequency_penalty = 0.0;
  std::vector<std::pair<std::int32_t, float>> bias;
  std::uint64_t seed = 0;
  int top_logprobs = 0;  // how many alternatives to list
};
// Error{usage} naming the parameter that is out of its bounds.
Step check_sampling(const SamplingParams& params, int vocab);

struct TokenOut {
  std::int32_t id = -1;
  float logprob =
      0;  // under the distribution drawn from (after penalties, temperature, truncation)
  float raw_logprob = 0;                            // under the model's own
  float entropy = 0;                                // nats, of the distribution drawn from
  std::int32_t kept_count = -1;                     // size of the kept set; -1: nothing was cut off
  std::vector<std::int32_t> kept_ids;               // ascending; empty where nothing was cut off
  std::vector<std::pair<std::int32_t, float>> top;  // raw log probabilities, highest first
};

enum class Finish : std::uint8_t { stop, length, cache_full, cancelled };

struct GenerateParams {
  SamplingParams sampling;
  int max_tokens = 256;
  std::vector<std::int32_t> stop_ids;  // besides the model's end-of-sequence ids
  bool ignore_eos = false;
  bool want_selection = false;  // list what the indexer selected (2 KiB to 8 KiB a layer and token)
  // Called after each token; false ends the call (Finish::cancelled). The token is part of the
  // sequence by then.
  std::function<bool(const TokenOut&)> on_token;
};

// Positions of its sequence that the attention of one token in one layer was given, ascending.
// Tokens whose whole context is selected (positions below index_topk) are not listed.
struct TokenSelection {
  std::int64_t position = 0;
  int layer = 0;
  std::vector<std::int32_t> selected;
};

struct Generated {
  std::vector<TokenOut> tokens;  // the stop token is the last one where Finish is stop
  Finish finish = Finish::length;
  std::int64_t prompt_tokens = 0;  // computed in this call before the first sample
  std::int64_t cached_tokens = 0;  // already in pages when the call came
  std::int64_t drafted = 0, accepted = 0;
  double prefill_seconds = 0, decode_seconds = 0;
  std::vector<TokenSelection> selections;  // of the tokens computed in this call, where wanted
};

// What was computed for each token of a sequence, for training.
struct Routing {
  int layers = 0, experts = 0;     // MoE layers, experts a token
  std::vector<std::uint16_t> ids;  // [computed tokens, layers, experts]
};

class Engine {
 public:
  static Result<std::unique_ptr<Engine>> open(const EngineOptions& options);
  ~Engine();

  [[nodiscard]] const ModelConfig& config() const;
  [[nodiscard]] const std::string& policy_version() const;
  [[nodiscard]] std::int64_t cache_tokens() const;

  using SequenceId = std::int64_t;
  // key: names the sequence for the random numbers (task and sample, hashed); the same key, seed
  // and tokens give the same samples whatever else runs.
  SequenceId open_sequence(std::uint64_t key);
  void close_sequence(SequenceId id);  // its pages are free afterwards
  // Appends tokens; nothing is computed yet. Error{model}: an id outside the vocabulary, more
  // positions than the model has.
  Step append(SequenceId id, std::span<const std::int32_t> tokens);
  // Forgets every token from `length` on (a format that drops old reasoning), pages included.
  void truncate(SequenceId id, std::int64_t length);
  [[nodiscard]] std::vector<std::int32_t> tokens(SequenceId id) const;
  // Experts of each token computed so far (all but the last sampled one, as a rule).
  [[nodiscard]] Routing routing(SequenceId id) const;
  // Computes what is not computed, then samples. Error{usage}: bad parameters; Error{model}:
  // nothing to continue, or no page for the prompt.
  Result<Generated> generate(SequenceId id, const GenerateParams& params);

 private:
  struct Impl;
  explicit Engine(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace seedbed::engine
