// The definition, taken literally: every step lists the whole vocabulary and sorts it.
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "kernels/pool.h"
#include "kernels/ref/ops_here.h"
#include "kernels/sample_rules.h"

namespace seedbed::kernels::ref {
namespace {

struct Token {
  std::int32_t id;
  double z, x = 0;
  std::uint64_t weight = 0;
};

bool is_allowed(const SampleParams& p, std::int64_t i, std::int32_t id) {
  return p.allowed == nullptr ||
         (p.allowed[i * ((p.vocab + 31) / 32) + id / 32] >> (id % 32) & 1U) != 0;
}

std::vector<Token> adjusted(const SampleParams& p, std::int64_t i) {
  const float* logits = p.logits + i * p.vocab;
  std::vector<double> z(logits, logits + p.vocab);
  if (p.bias_offsets != nullptr)
    for (auto k = p.bias_offsets[i]; k < p.bias_offsets[i + 1]; ++k)
      z[static_cast<std::size_t>(p.bias_ids[k])] += static_cast<double>(p.bias[k]);
  if (p.seen_offsets != nullptr)
    for (auto k = p.seen_offsets[i]; k < p.seen_offsets[i + 1]; ++k) {
      double& one = z[static_cast<std::size_t>(p.seen_ids[k])];
      one = penalised(one, p.row[i], p.seen_outputs[k]);
    }
  std::vector<Token> tokens;
  for (std::int32_t id = 0; id < p.vocab; ++id) {
    if (is_allowed(p, i, id) &&
        z[static_cast<std::size_t>(id)] > -std::numeric_limits<double>::infinity())
      tokens.push_back({id, z[static_cast<std::size_t>(id)]});
  }
  return tokens;
}

std::uint64_t total_of(const std::vector<Token>& tokens) {
  std::uint64_t total = 0;
  for (const Token& t : tokens) total += t.weight;
  return total;
}

void weigh(std::vector<Token>& tokens, double inverse) {
  double highest = tokens.front().z;
  for (const Token& t : tokens) highest = std::max(highest, t.z);
  for (Token& t : tokens) {
    t.x = (t.z - highest) * inverse;
    t.weight = weight_of(t.x);
  }
}

void cut(std::vector<Token>& tokens, const SampleRow& row) {
  const auto by_z = [](const Token& a, const Token& b) {
    return a.z != b.z ? a.z > b.z : a.id < b.id;
  };
  const auto by_weight = [](const Token& a, const Token& b) {
    return a.weight != b.weight ? a.weight > b.weight : a.id < b.id;
  };
  if (row.top_k > 0 && static_cast<std::size_t>(row.top_k) < tokens.size()) {
    std::sort(tokens.begin(), tokens.end(), by_z);
    tokens.erase(tokens.begin() + row.top_k, tokens.end());
  }
  if (row.top_p < 1.0) {
    const std::uint64_t target = top_p_target(row.top_p, total_of(tokens));
    std::sort(tokens.begin(), tokens.end(), by_weight);
    std::size_t n = 0;
    for (std::uint64_t sum = 0; sum < target; ++n) sum += tokens[n].weight;
    tokens.erase(tokens.begin() + static_cast<std::ptrdiff_t>(n), tokens.end());
  }
  if (row.min_p > 0.0) {
    const std::uint64_t least = min_p_weight(row.min_p);
    std::vector<Token> left;
    for (const Token& t : tokens)
      if (t.weight >= least) left.push_back(t);
    tokens.swap(left);
  }
  std::sort(tokens.begin(), tokens.end(),
            [](const Token& a, const Token& b) { return a.id < b.id; });
}

Token drawn(const std::vector<Token>& tokens, const SampleRow& row) {
  const std::uint64_t at = scaled_draw(sample_bits(row), total_of(tokens));
  std::uint64_t sum = 0;
  for (const Token& t : tokens) {
    sum += t.weight;
    if (sum > at) return t;
  }
  return {-1, 0};
}

// The distribution that is drawn from, and what is recorded of it.
void sample_row(const SampleParams& p, std::int64_t i, std::vector<Token> tokens) {
  const SampleRow& row = p.row[i];
  bool cuts = false;
  for (int id = 0; p.allowed != nullptr && id < p.vocab; ++id) cuts = cuts || !is_allowed(p, i, id);
  cuts = cuts || row.temperature < kLeastTemperature || row.top_p < 1.0 || row.min_p > 0.0 ||
         (row.top_k > 0 && row.top_k < p.vocab);
  if (row.temperature < kLeastTemperature) {
    const Token best = *std::max_element(
        tokens.begin(), tokens.end(),
        [](const Token& a, const Token& b) { return a.z != b.z ? a.z < b.z : a.id > b.id; });
    tokens = {best};
    weigh(tokens, 1.0);
  } else {
    weigh(tokens, 1.0 / row.temperature);
    cut(tokens, row);
  }
  const Token t = drawn(tokens, row);
  const double log_total = log_weight(total_of(tokens));
  p.id[i] = t.id;
  p.logprob[i] = static_cast<float>(std::min(0.0, t.x - log_total));
  if (p.entropy != nullptr) {
    std::uint64_t surprise = 0;
    for (const Token& one : tokens) surprise += surprise_of(one.x, one.weight);
    p.entropy[i] = static_cast<float>(log_total + static_cast<double>(surprise) /
                                                      static_cast<double>(total_of(tokens)));
  }
  if (p.kept_count != nullptr)
    p.kept_count[i] = cuts ? static_cast<std::int32_t>(tokens.size()) : -1;
  if (p.kept_ids != nullptr && cuts)
    for (std::size_t k = 0; k < tokens.size() && k < static_cast<std::size_t>(p.kept_capacity); ++k)
      p.kept_ids[i * p.kept_capacity + static_cast<std::int64_t>(k)] = tokens[k].id;
}

void raw_row(const SampleParams& p, std::int64_t i) {
  std::vector<Token> tokens;
  for (std::int32_t id = 0; id < p.vocab; ++id)
    tokens.push_back({id, static_cast<double>(p.logits[i * p.vocab + id])});
  weigh(tokens, 1.0);
  const double log_total = log_weight(total_of(tokens));
  if (p.id[i] >= 0)
    p.raw_logprob[i] = static_cast<float>(tokens[static_cast<std::size_t>(p.id[i])].x - log_total);
  std::stable_sort(tokens.begin(), tokens.end(),
                   [](const Token& a, const Token& b) { return a.z > b.z; });
  for (int k = 0; k < p.top; ++k) {
    const bool there = k < p.vocab && std::isfinite(tokens[static_cast<std::size_t>(k)].z);
    p.top_ids[i * p.top + k] = there ? tokens[static_cast<std::size_t>(k)].id : -1;
    p.top_logprobs[i * p.top + k] =
        there ? static_cast<float>(tokens[static_cast<std::size_t>(k)].x - log_total) : 0;
  }
}

}  // namespace

void sample(const SampleParams& p) {
  check_sample(p);
  for (std::int64_t i = 0; i < p.rows; ++i) {
    bool broken = false;
    for (int id = 0; id < p.vocab; ++id) {
      const float z = p.logits[i * p.vocab + id];
      broken = broken || std::isnan(z) || z == std::numeric_limits<float>::infinity();
    }
    std::vector<Token> tokens = broken ? std::vector<Token>() : adjusted(p, i);
    p.id[i] = -1;
    p.logprob[i] = p.raw_logprob[i] = 0;
    if (p.entropy != nullptr) p.entropy[i] = 0;
    if (p.kept_count != nullptr) p.kept_count[i] = 0;
    for (int k = 0; k < p.top; ++k) {
      p.top_ids[i * p.top + k] = -1;
      p.top_logprobs[i * p.top + k] = 0;
    }
    if (tokens.empty()) continue;
    sample_row(p, i, std::move(tokens));
    raw_row(p, i);
  }
}

}  // namespace seedbed::kernels::ref
