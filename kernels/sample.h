// From logits to a token. Order of steps: allowed mask, bias, penalties (repetition, frequency,
// presence), temperature, then the kept set: top-k, top-p, min-p (each on the distribution that the
// step before left), then a draw by one random number keyed by (seed, sequence, position), so that
// a sample depends on nothing else.
//
//   (1) A probability is an integer weight, exp(x) in units of 2^-44 of the highest, x = (z - max
//   z)
//       / temperature; sums are integer sums, so no order of summation, no vector width and no
//       number of threads changes a result: every backend gives the same bits (sample_rules.h).
//       What lies below 2^-45 of the highest has weight 0 and is never drawn.
//   (2) top-k orders by z, top-p by weight; among equals the lower id comes first. top-p keeps the
//       shortest such prefix whose weight reaches top_p of what top-k left, at least one id; min-p
//       keeps weights of at least min_p of the highest.
//   (3) Temperature below 1e-6 is 0: the highest z (the lowest id on ties), processed logprob 0,
//       entropy 0, a kept set of that one id.
//   (4) A logit of -inf is an id that cannot be drawn. A NaN or +inf anywhere in the row, or no id
//       to draw, gives id -1, kept_count 0 and zeros.
#pragma once
#include <cstdint>

namespace seedbed::kernels {
class Pool;
constexpr int kMaxSampleVocab = 1 << 19;
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
  int rows = 0, vocab = 0;         // vocab in [1, kMaxSampleVocab]
  const float* logits = nullptr;   // f32 [rows, vocab]; not changed
  const SampleRow* row = nullptr;  // [rows]
  // Per row i the entries [offsets[i], offsets[i+1]); offsets null: none. An id stands once in each
  // list of a row and lies in [0, vocab).
  const std::int32_t *seen_offsets = nullptr, *seen_ids = nullptr,
                     *seen_outputs = nullptr;  // outputs: count in the output
  const std::int32_t *bias_offsets = nullptr, *bias_ids = nullptr;
  const float* bias = nullptr;  // finite, or -inf: never drawn
  const std::uint32_t* allowed =
      nullptr;  // bits [rows, ceil(vocab/32)], or null: all; a row without any bit gives id -1
  // Results.
  std::int32_t* id = nullptr;    // i32 [rows]
  float* logprob = nullptr;      // f32 [rows] of the id under the distribution that was drawn from
  float* raw_logprob = nullptr;  // f32 [rows] log softmax of the unchanged logits
  float* entropy = nullptr;      // f32 [rows] of the distribution drawn from, nats; or null
  std::int32_t* kept_count =
      nullptr;  // i32 [rows]: size of the kept set, or -1: neither mask nor truncation cut any off
  std::int32_t* kept_ids =
      nullptr;  // i32 [rows, kept_capacity], ascending; the first kept_capacity of them
  int kept_capacity = 0;
  int top = 0;                      // how many of the highest raw logprobs to list
  std::int32_t* top_ids = nullptr;  // i32 [rows, top], highest first; -1 where there are no more
  float* top_logprobs = nullptr;    // f32 [rows, top], raw
  Pool* pool = nullptr;
};
}  // namespace seedbed::kernels
