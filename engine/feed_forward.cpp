// The second half of a layer: one SwiGLU, or the experts that the gate chooses plus the shared one.
#include "engine/forward.h"

namespace seedbed::engine {

const float* Pass::feed_dense(const FeedForward& w, Activation& x, Buffer<float>& result) {
  FeedForwardBuffers& b = feed_forward;
  const std::int64_t count = std::int64_t{x.rows()} * w.gate.cols;
  float *gate = b.gate.get(count), *up = b.up.get(count);
  linear(x, w.gate, gate);
  linear(x, w.up, up);
  gated(b.hidden, gate, up, x.rows(), w.gate.cols, w.down.dtype);
  float* y = result.get(std::int64_t{x.rows()} * w.down.cols);
  linear(b.hidden, w.down, y);
  return y;
}

const float* Pass::feed(const Layer& w, int moe_layer, const float* normed) {
  FeedForwardBuffers& b = feed_forward;
  const int hidden = config.hidden_size;
  b.normed.set(normed, rows, hidden);
  if (w.dense) return feed_dense(*w.dense, b.normed, b.shared);

  const Experts& e = *w.experts;
  const int experts = config.n_routed_experts, topk = config.num_experts_per_tok;
  const int inner = config.moe_intermediate_size, choices = rows * topk;
  float* logits = b.router.get(std::int64_t{rows} * experts);
  linear_f32(normed, rows, e.router, logits);
  // What is to be shown lies in a list of all layers, fetched when the pass is over.
  std::int32_t* ids = routing_ids != nullptr && moe_layer >= 0
                          ? routing_ids + std::int64_t{moe_layer} * choices
                          : b.ids.get(choices);
  float* weights = b.weights.get(choices);
  ops.moe_route({.tokens = rows,
                 .experts = experts,
                 .groups = config.n_group,
                 .topk_groups = config.topk_group,
                 .topk = topk,
                 .logits = logits,
                 .bias = e.bias,
                 .normalise = config.norm_topk_prob,
                 .scale = static_cast<float>(config.routed_scaling_factor),
                 .ids = ids,
                 .weights = weights,
                 .pool = pool});
  float* permuted = b.permuted.get(std::int64_t{choices} * hidden);
  std::int32_t* offsets = b.offsets.get(experts + 1);
  std::int32_t* row_of = b.row_of.get(choices);
  ops.moe_permute({.tokens = rows,
                   .topk = topk,
                   .experts = experts,
                   .dim = hidden,
                   .ids = ids,
                   .x = normed,
                   .offsets = offsets,
                   .row_of = row_of,
                   .out = permuted,
                   .pool = pool});

  auto grouped = [&](Activation& x, const Experts::Matrices& matrices, int cols, int k, float* y) {
    const Operand a = operand(x, e.dtype);
    ops.grouped_gemm({.groups = experts,
                      .cols = cols,
                      .inner = k,
                      .offsets = offsets,
                      .a_dtype = a.dtype,
                      .w_dtype = e.dtype,
                      .a = a.a,
                      .a_scale = a.scale,
                      .w = matrices.w,
                      .w_scale = matrices.scale,
                      .out = y,
                      .pool = pool});
  };
  b.expert_in.set(permuted, choices, hidden);
  const std::int64_t count = std::int64_t{choices} * inner;
  float *gate = b.expert_gate.get(count), *up = b.expert_up.get(count);
  grouped(b.expert_in, e.gate, inner, hidden, gate);
  grouped(b.expert_in, e.up, inner, hidden, up);
  gated(b.expert_hidden, gate, up, choices, inner, e.dtype);
  float* routed = b.expert_out.get(std::int64_t{choices} * hidden);
  grouped(b.expert_hidden, e.down, hidden, inner, routed);

  const float* shared = e.shared ? feed_dense(*e.shared, b.normed, b.shared) : nullptr;
  float* result = b.shared.get(std::int64_t{rows} * hidden);
  ops.moe_unpermute({.tokens = rows,
                     .topk = topk,
                     .dim = hidden,
                     .y = routed,
                     .row_of = row_of,
                     .weights = weights,
                     .shared = shared,
                     .out = result,
                     .pool = pool});
  return result;
}

}  // namespace seedbed::engine
