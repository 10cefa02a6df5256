// Cases of the sampling op and how their outcomes are compared.
#pragma once
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "base/rng.h"
#include "kernels/ops.h"
#include "kernels/pool.h"
#include "kernels/sample_rules.h"
#include "tests/kernels/support.h"

namespace seedbed::kernels::sample_cases {

inline constexpr float kInf = std::numeric_limits<float>::infinity();

inline double uniform(Rng& rng) {
  return static_cast<double>(rng.next() >> 11) * 0x1p-53;
}
inline float normal(Rng& rng) {
  return static_cast<float>(std::sqrt(-2 * std::log(1 - uniform(rng))) *
                            std::cos(6.283185307179586 * uniform(rng)));
}

struct Out {
  std::vector<std::int32_t> id, kept_count, kept_ids, top_ids;
  std::vector<float> logprob, raw, entropy, top_logprobs;
  bool operator==(const Out&) const = default;
};
// The names of the results that differ; empty: none.
inline std::string difference(const Out& a, const Out& b) {
  std::string what;
  if (a.id != b.id) what += " id";
  if (a.kept_count != b.kept_count) what += " kept_count";
  if (a.kept_ids != b.kept_ids) what += " kept_ids";
  if (a.top_ids != b.top_ids || a.top_logprobs != b.top_logprobs) what += " top";
  if (a.logprob != b.logprob) what += " logprob";
  if (a.raw != b.raw) what += " raw_logprob";
  if (a.entropy != b.entropy) what += " entropy";
  return what;
}
// Inputs with owned memory; out() runs them through one backend.
struct Case {
  int vocab = 0, top = 0, kept_capacity = 0;
  std::vector<float> logits;
  std::vector<SampleRow> rows;
  std::vector<std::int32_t> seen_offsets, seen_ids, seen_outputs, bias_offsets, bias_ids;
  std::vector<float> bias;
  std::vector<std::uint32_t> allowed;

  [[nodiscard]] Out out(void (*sample)(const SampleParams&), Pool* pool = nullptr) const {
    const std::size_t n = rows.size();
    Out o;
    o.id.assign(n, -7);
    o.kept_count.assign(n, -7);
    o.kept_ids.assign(n * static_cast<std::size_t>(kept_capacity), -7);
    o.top_ids.assign(n * static_cast<std::size_t>(top), -7);
    o.top_logprobs.assign(n * static_cast<std::size_t>(top), -7);
    o.logprob.assign(n, -7);
    o.raw.assign(n, -7);
    o.entropy.assign(n, -7);
    SampleParams p;
    p.rows = static_cast<int>(n);
    p.vocab = vocab;
    p.logits = logits.data();
    p.row = rows.data();
    if (!seen_offsets.empty()) {
      p.seen_offsets = seen_offsets.data();
      p.seen_ids = seen_ids.data();
      p.seen_outputs = seen_outputs.data();
    }
    if (!bias_offsets.empty()) {
      p.bias_offsets = bias_offsets.data();
      p.bias_ids = bias_ids.data();
      p.bias = bias.data();
    }
    if (!allowed.empty()) p.allowed = allowed.data();
    p.id = o.id.data();
    p.logprob = o.logprob.data();
    p.raw_logprob = o.raw.data();
    p.entropy = o.entropy.data();
    p.kept_count = o.kept_count.data();
    p.kept_ids = o.kept_ids.data();
    p.kept_capacity = kept_capacity;
    p.top = top;
    p.top_ids = o.top_ids.data();
    p.top_logprobs = o.top_logprobs.data();
    p.pool = pool;
    sample(p);
    return o;
  }
};

struct Backend {
  const char* name;
  void (*sample)(const SampleParams&);
  bool slow;  // a device played by the host
};
inline std::vector<Backend> backends() {
  std::vector<Backend> all;
  for (const test::Backend& b : test::all_backends())
    if (b.supported() && b.ops().sample != nullptr)
      all.push_back({b.name, b.ops().sample, std::string(b.name) == "simt"});
  return all;
}
inline Case one_row(std::vector<float> logits, SampleRow row = {}, int kept = 64) {
  Case c;
  c.vocab = static_cast<int>(logits.size());
  c.kept_capacity = kept;
  c.logits = std::move(logits);
  c.rows = {row};
  return c;
}

// Shapes of distributions that selection finds hard: few distinct values, plateaus at a boundary,
// almost flat, very peaked, holes of -inf.
inline std::vector<float> hard_logits(Rng& rng, int vocab, int shape) {
  std::vector<float> z(static_cast<std::size_t>(vocab));
  for (float& x : z) {
    const float g = normal(rng);
    switch (shape % 6) {
      case 0:
        x = 3 * g;
        break;
      case 1:
        x = std::round(2 * g);
        break;
      case 2:
        x = 1e-4F * g;
        break;
      case 3:
        x = 40 * g;
        break;
      case 4:
        x = rng.chance(1, 3) ? -kInf : g;
        break;
      default:
        x = 1.5F;
        break;
    }
  }
  if (shape % 6 == 4) z[0] = 0;  // never all holes
  return z;
}

inline Case random_case(Rng rng, int vocab, int rows) {
  Case c;
  c.vocab = vocab;
  c.top = static_cast<int>(rng.below(6));
  c.kept_capacity = static_cast<int>(rng.below(20));
  const bool penalties = rng.chance(1, 2), bias = rng.chance(1, 2), mask = rng.chance(1, 3);
  if (penalties) c.seen_offsets = {0};
  if (bias) c.bias_offsets = {0};
  for (int i = 0; i < rows; ++i) {
    const auto z = hard_logits(rng, vocab, static_cast<int>(rng.below(6)));
    c.logits.insert(c.logits.end(), z.begin(), z.end());
    SampleRow row;
    const double temperatures[] = {1.0, 1.0, 0.7, 0.0, 2.5, 1e-3, 50.0};
    row.temperature = temperatures[rng.below(7)];
    if (rng.chance(1, 2)) row.top_k = static_cast<std::int32_t>(rng.below(70));
    const double shares[] = {0.95, 0.5, 0.0, 0.999, 1.0};
    if (rng.chance(1, 2)) row.top_p = shares[rng.below(5)];
    if (rng.chance(1, 3)) row.min_p = rng.chance(1, 2) ? 0.05 : 1.0;
    if (penalties) {
      row.repetition_penalty = 1.0 + uniform(rng);
      row.presence_penalty = uniform(rng) - 0.3;
      row.frequency_penalty = uniform(rng) - 0.3;
      for (int id = 0; id < vocab; id += 1 + static_cast<int>(rng.below(9))) {
        c.seen_ids.push_back(id);
        c.seen_outputs.push_back(static_cast<std::int32_t>(rng.below(3)));
      }
      c.seen_offsets.push_back(static_cast<std::int32_t>(c.seen_ids.size()));
    }
    if (bias) {
      for (int id = static_cast<int>(rng.below(3)); id < vocab; id += 7) {
        c.bias_ids.push_back(id);
        c.bias.push_back(rng.chance(1, 8) ? -kInf : normal(rng));
      }
      c.bias_offsets.push_back(static_cast<std::int32_t>(c.bias_ids.size()));
    }
    row.seed = rng.next();
    row.sequence = rng.next();
    row.position = static_cast<std::int64_t>(rng.below(1 << 20));
    c.rows.push_back(row);
    if (mask)
      for (int w = 0; w < (vocab + 31) / 32; ++w)
        c.allowed.push_back(static_cast<std::uint32_t>(rng.next()) | (w == 0 ? 1U : 0U));
  }
  return c;
}

}  // namespace seedbed::kernels::sample_cases
