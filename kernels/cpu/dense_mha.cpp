// Multi-head attention over expanded keys and values: one piece of work a row, plain.
#include "kernels/cpu/attn_lanes.h"
#include "kernels/cpu/ops_here.h"
#include "kernels/mla.h"
#include "kernels/pool.h"

namespace seedbed::kernels::SEEDBED_ISA {

namespace {

float dot(const float* a, const float* b, int n) {
  Vec sum{};
  int i = 0;
  for (; i + kLanes <= n; i += kLanes) sum = v_fma(v_load(a + i), v_load(b + i), sum);
  float rest = 0;
  for (; i < n; ++i) rest += a[i] * b[i];
  return v_sum_all(sum) + rest;
}

// out += w * v
void add(float w, const float* v, int n, float* out) {
  const Vec weight = v_set(w);
  int i = 0;
  for (; i + kLanes <= n; i += kLanes)
    v_store(out + i, v_fma(weight, v_load(v + i), v_load(out + i)));
  for (; i < n; ++i) out[i] += w * v[i];
}

// The positions that row t attends to, in their order.
int find_positions(const DenseMhaParams& p, std::int64_t token, std::int32_t* positions) {
  const int end = p.key_end[token] < p.keys ? p.key_end[token] : p.keys;
  int n = 0;
  if (p.selected != nullptr) {
    for (int i = 0; i < p.selected_count; ++i) {
      const std::int32_t at = p.selected[token * p.selected_count + i];
      if (at >= 0 && at < end) positions[n++] = at;
    }
    return n;
  }
  for (; n < end; ++n) positions[n] = n;
  return n;
}

void attend(const DenseMhaParams& p,
            std::int64_t token,
            int head,
            const std::int32_t* positions,
            int count,
            float* score) {
  const std::int64_t row = token * p.heads + head;
  const float* q = p.q + row * p.qk_dim;
  float* out = p.out + row * p.v_dim;
  float top = -__builtin_inff();
  for (int i = 0; i < count; ++i) {
    const std::int64_t at = static_cast<std::int64_t>(positions[i]) * p.heads + head;
    score[i] = dot(q, p.k + at * p.qk_dim, p.qk_dim) * p.scale;
    top = score[i] > top ? score[i] : top;
  }
  std::memset(out, 0, sizeof(float) * static_cast<std::size_t>(p.v_dim));
  float total = 0;
  const int padded = round_up(count, kLanes);
  for (int i = count; i < padded; ++i) score[i] = -__builtin_inff();
  const Vec base = v_set(top == -__builtin_inff() ? 0.0F : top);
  for (int i = 0; i < padded; i += kLanes) v_store(score + i, v_exp(v_load(score + i) - base));
  for (int i = 0; i < count; ++i) {
    const std::int64_t at = static_cast<std::int64_t>(positions[i]) * p.heads + head;
    total += score[i];
    add(score[i], p.v + at * p.v_dim, p.v_dim, out);
  }
  if (total == 0) return;
  for (int i = 0; i < p.v_dim; ++i) out[i] /= total;
}

}  // namespace

void dense_mha(const DenseMhaParams& p) {
  KERNEL_CHECK(p.key_end != nullptr || p.tokens == 0, p.tokens, p.keys);
  const auto room =
      static_cast<std::size_t>(round_up(p.selected != nullptr ? p.selected_count : p.keys, kLanes));
  parallel_for(p.pool, p.tokens, 1, [&](std::int64_t begin, std::int64_t end) {
    auto* positions = static_cast<std::int32_t*>(scratch(2, 8 * room + 64));
    auto* score = reinterpret_cast<float*>(positions + room);
    for (std::int64_t t = begin; t < end; ++t) {
      const int count = find_positions(p, t, positions);
      for (int h = 0; h < p.heads; ++h) attend(p, t, h, positions, count, score);
    }
  });
}

}  // namespace seedbed::kernels::SEEDBED_ISA
