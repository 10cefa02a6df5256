// From logits to a token. Order of steps: allowed mask, bias, penalties, temperature, then the kept
// set: top-k, top-p, min-p (each on the distribution that the step before left, renormalised; ties
// at a boundary: the lower id is kept), then a draw by one uniform number keyed by (seed, sequence,
// position), so that a sample depends on nothing else. temperature 0: the highest (lowest id on
// ties), logprob 0 processed. Everything is computed in double from the f32 logits, sums in
// ascending id: the same result on every backend.
#pragma once
#include <cstdint>

namespace seedbed::kernels {
class Pool;
struct SampleRow {
  double temperature = 1.0;
  std::int32_t top_k = 0;  // 0: off
  double top_p = 1.0;      // 1: off
  double min_p = 0.0;      // 0: off; relative to the highest probability
  double repetition_penalty =
      1.0;  // on ids seen in prompt or output: logit > 0 is divided, else multiplied
  double presence_penalty = 0.0, frequency_penalty = 0.0;  // on ids seen in the output
  std::uint64_t seed = 0, sequence = 0;
  std::int64_t position = 0;  // of the sampled token in its sequence
};
struct SampleParams {
  int rows = 0, vocab = 0;
  const float* logits = nullptr;   // f32 [rows, vocab]; not changed
  const SampleRow* row = nullptr;  // [rows]
  // Per row i the entries [offsets[i], offsets[i+1]); offsets null: none.
  const std::int32_t *seen_offsets = nullptr, *seen_ids = nullptr,
                     *seen_outputs = nullptr;  // outputs: count in the output
  const std::int32_t *bias_offsets = nullptr, *bias_ids = nullptr;
  const float* bias = nullptr;
  const std::uint32_t* allowed =
      nullptr;  // bits [rows, ceil(vocab/32)], or null: all; a row without any bit gives id -1
  // Results.
  std::int32_t* id = nullptr;    // i32 [rows]
  float* logprob = nullptr;      // f32 [rows] of the id under the distribution that was drawn from
  float* raw_logprob = nullptr;  // f32 [rows] log softmax of the unchanged logits
  float* entropy = nullptr;      // f32 [rows] of the distribution drawn from, nats; or null
  std::int32_t* kept_count =
      nullptr;  // i32 [rows]: size of the kept set, or -1: nothing was cut off
  std::int32_t* kept_ids =
      nullptr;  // i32 [rows, kept_capacity], ascending; the first kept_capacity of them
  int kept_capacity = 0;
  int top = 0;                      // how many of the highest raw logprobs to list
  std::int32_t* top_ids = nullptr;  // i32 [rows, top]
  float* top_logprobs = nullptr;    // f32 [rows, top], raw
  Pool* pool = nullptr;
};
}  // namespace seedbed::kernels
