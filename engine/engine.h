// An engine in one process: a model, its pages, and requests that are computed together. Token ids
// in, token ids out; text, tools and chat formats are other people's business.
//
// One thread of the engine's own runs steps: each takes the next token of every running sequence
// and a piece of the prompts that are not yet read, in one forward pass. Pages that hold prefixes
// stay in a tree when their request is over, so that the next turn, and the next sample of the same
// task, begin where they diverge.
//
//   (1) What a request gets is a function of (weights, prompt, parameters, seed, key): never of
//       what else runs, of pieces, of pages, of cache hits, of drafts, of threads. Bit for bit.
//   (2) Nothing is admitted that cannot end: a request alone always fits, or was refused.
//   (3) After reload() no page of the old weights is read again; every token says which weights
//       gave it.
//   (4) A device that is lost ends this engine, not the process, nor another engine.
//   (5) Callbacks run on the engine's thread: they must be quick and must not call the engine,
//       except submit, abort and end_session.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "engine/grammar/grammar.h"
#include "engine/model.h"
#include "engine/stats.h"

namespace seedbed::engine {

struct EngineOptions {
  std::string model_dir;
  ModelOptions model;
  DType kv_dtype = DType::f8;
  std::int64_t cache_tokens =
      0;  // room for so many tokens over all sequences; 0: as memory allows, at most 1 Mi tokens
  // Tokens whose pages stay in the host's memory when the cache gives them up, and come back when a
  // prompt begins with them; results do not change. 0: none.
  std::int64_t host_cache_tokens = 0;
  int chunk = 0;       // prompt tokens a forward pass, over all sequences; 0: 128 on the host, 2048
                       // elsewhere
  int max_batch = 64;  // sequences computed at once
  bool speculative =
      false;  // draft with the prediction layer, if there is one; results do not change
  bool prefix_cache = true;  // keep pages for later prompts; results do not change
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
  float raw_logprob = 0;               // under the model's own
  float entropy = 0;                   // nats, of the distribution drawn from
  std::int32_t policy = 1;             // number of the weights that gave it; reload() adds one
  std::int32_t kept_count = -1;        // size of the kept set; -1: nothing was cut off
  std::vector<std::int32_t> kept_ids;  // ascending; empty where nothing was cut off
  std::vector<std::pair<std::int32_t, float>> top;  // raw log probabilities, highest first
};

// cancelled: by abort() or by on_token; no_token: the mask or the logits left nothing to draw.
enum class Finish : std::uint8_t { stop, length, cache_full, cancelled, no_token };

struct GenerateParams {
  SamplingParams sampling;
  int max_tokens = 256;
  std::vector<std::int32_t> stop_ids;  // besides the model's end-of-sequence ids
  bool ignore_eos = false;
  bool want_selection = false;  // list what the indexer selected (2 KiB to 8 KiB a layer and token)
  bool want_routing = false;    // fill Generated::routing
  // What may be sampled; used by this request alone, on the engine's threads. Null: anything.
  std::shared_ptr<grammar::Matcher> matcher;
  // Called after each token; false ends the request (Finish::cancelled). The token counts.
  std::function<bool(const TokenOut&)> on_token;
};

// Positions of its sequence that the attention of one token in one layer was given, ascending.
// Tokens whose whole context is selected (positions below index_topk) are not listed.
struct TokenSelection {
  std::int64_t position = 0;
  int layer = 0;
  std::vector<std::int32_t> selected;
};

// What was computed for each token of a sequence, for training.
struct Routing {
  int layers = 0, experts = 0;     // MoE layers, experts a token
  std::vector<std::uint16_t> ids;  // [computed tokens, layers, experts]
};

struct Generated {
  std::vector<TokenOut> tokens;  // the stop token is the last one where Finish is stop
  Finish finish = Finish::length;
  std::int64_t prompt_tokens = 0;  // computed for this request before its first sample
  std::int64_t cached_tokens = 0;  // of the prompt, found in pages
  std::int64_t drafted = 0, accepted = 0;
  double queue_seconds = 0;  // from submit to admission
  double prefill_seconds = 0, decode_seconds = 0;
  std::vector<TokenSelection> selections;  // of the tokens computed for this request, where wanted
  Routing routing;  // of all tokens in pages: the prompt, found or computed, and what was sampled
                    // but the last; where wanted
};

struct Request {
  std::vector<std::int32_t> prompt;
  // Marks the ids of the prompt that were sampled, for the penalties on output; empty: none.
  std::vector<std::uint8_t> sampled;
  GenerateParams params;
  // Names the sequence for the random numbers: the same key, seed and tokens give the same samples.
  std::uint64_t key = 0;
  // Several requests of one conversation: what one leaves in pages stays for the next, as long as
  // others can do without. 0: none.
  std::uint64_t session = 0;
  int priority = 0;  // higher goes first; a bound on waiting holds for all
};

enum class Reload : std::uint8_t {
  drain,     // running requests end under the old weights first; nothing begins meanwhile
  interrupt  // running requests go on under the new ones: their contexts are computed anew
};

class Engine {
 public:
  static Result<std::unique_ptr<Engine>> open(const EngineOptions& options);
  ~Engine();  // running requests end with Finish::cancelled

  [[nodiscard]] const ModelConfig& config() const;
  [[nodiscard]] std::string policy_version() const;  // hash of the weights in use
  [[nodiscard]] std::int32_t policy() const;         // their number, from 1
  [[nodiscard]] std::int64_t cache_tokens() const;
  [[nodiscard]] int max_batch() const;
  [[nodiscard]] EngineStats stats() const;
  [[nodiscard]] std::string device() const;  // what computes, for people
  // Error{config}: why nothing is computed any more, the device was lost. Every request ended with
  // it, and submit refuses with it.
  [[nodiscard]] std::optional<Error> failed() const;

  using RequestId = std::int64_t;
  using OnDone = std::function<void(Result<Generated>)>;
  // Error{usage}: bad parameters; Error{model}: no prompt, ids outside the vocabulary, more tokens
  // than the model has positions or the cache has room for. `done` is called exactly once, unless
  // submit itself fails.
  Result<RequestId> submit(Request request, OnDone done);
  // Ends it at the next step, with what it has; its pages are free then. Unknown ids are ignored.
  void abort(RequestId id);
  // submit, and wait. Not from a callback.
  Result<Generated> run(Request request);
  void end_session(std::uint64_t session);
  // A session number that nobody else has.
  std::uint64_t new_session();

  // No step is made between the two; requests wait where they are.
  void pause();
  void resume();
  // Takes other weights of the same shape in place. Blocks until they are in use. Error{model}:
  // they cannot be read, or are of another model; the old ones stay.
  Step reload(const std::string& dir, Reload how);
  void drop_prefix_cache();

  // ---- sequences: requests that remember their tokens ----
  using SequenceId = std::int64_t;
  SequenceId open_sequence(std::uint64_t key);
  void close_sequence(SequenceId id);
  // Appends tokens; nothing is computed yet. Error{model}: an id outside the vocabulary, more
  // positions than the model has.
  Step append(SequenceId id, std::span<const std::int32_t> tokens);
  void truncate(SequenceId id, std::int64_t length);  // forgets every token from `length` on
  [[nodiscard]] std::vector<std::int32_t> tokens(SequenceId id) const;
  // Experts of each token computed so far (all but the last sampled one, as a rule).
  [[nodiscard]] Routing routing(SequenceId id) const;
  // Computes what is not computed, then samples; one call at a time for each sequence.
  Result<Generated> generate(SequenceId id, const GenerateParams& params);

 private:
  struct Impl;
  explicit Engine(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace seedbed::engine
