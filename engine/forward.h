// Inside the model: what one forward pass carries from step to step. Not for users of the engine.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "engine/model.h"
#include "engine/weights.h"

namespace seedbed::engine {

// Memory that grows and stays.
template <class T>
class Buffer {
 public:
  T* get(std::int64_t count) {
    if (data_.size() < static_cast<std::size_t>(count))
      data_.resize(static_cast<std::size_t>(count));
    return data_.data();
  }

 private:
  std::vector<T> data_;
};

// An activation, rounded once for each kind of weight that reads it.
class Activation {
 public:
  // x: f32 [rows, step], dim of each row used; must outlive the uses.
  void set(const float* x, int rows, int dim, std::int64_t step = 0);
  const float* f32() const { return x_; }
  [[nodiscard]] int rows() const { return rows_; }

 private:
  friend struct Pass;
  const float* x_ = nullptr;
  int rows_ = 0, dim_ = 0;
  std::int64_t step_ = 0;
  bool has_bf16_ = false, has_f8_ = false;
  Buffer<std::uint16_t> bf16_;
  Buffer<std::uint8_t> f8_;
  Buffer<float> scale_;
};

struct AttentionBuffers {
  Activation normed, q_latent, heads, values;
  Buffer<float> q_a, kv_a, q, q_full, latent, out_latent, out_heads, index_q, index_k, index_w,
      index_scores;
  Buffer<std::uint8_t> index_q8, index_k8;
  Buffer<float> index_q_scale, index_k_scale;
  Buffer<std::uint16_t> index_q16;
  Buffer<std::int32_t> positions, slots, lengths;
};
struct FeedForwardBuffers {
  Activation normed, hidden, expert_in, expert_hidden;
  Buffer<float> gate, up, router, weights, permuted, expert_gate, expert_up, expert_out, shared;
  Buffer<std::int32_t> ids, offsets, row_of;
};

// One batch on its way through the layers.
struct Pass {
  const ModelConfig& config;
  const kernels::Ops& ops;
  kernels::Pool* pool;
  AttentionForm form;
  PageCache& cache;
  const Batch& batch;
  Outputs& out;
  AttentionBuffers& attention;
  FeedForwardBuffers& feed_forward;

  int rows = 0;
  const float *cos = nullptr, *sin = nullptr;  // [rows, rope/2]
  const std::int32_t* slots = nullptr;         // [rows] where each token's latent goes
  const std::int32_t* key_end = nullptr;       // [rows] position + 1
  // A run is a stretch of rows of one sequence whose contexts are all selected whole, or all not.
  struct Run {
    int first = 0, rows = 0;
    bool whole = true;
  };
  std::vector<Run> runs = {};
  // Neighbouring runs of one kind, of whatever sequences: kernels take each stretch in one call.
  std::vector<Run> stretches = {};
  const float* added = nullptr;  // [rows, hidden] what the step before adds to the residual stream
  std::vector<float> normed_rows = {};

  // out = x w^T, x rounded as w wants it (quantised to e4m3 for fp8 weights, to bf16 for bf16
  // ones).
  void linear(Activation& x, const Linear& w, float* y);
  // Activations stay f32 whatever the weights are: router, head weights of the indexer, lm_head.
  void linear_f32(const float* x, int rows_of_x, const Linear& w, float* y);
  // x, rounded for weights of this type: what a GEMM takes as `a` and `a_scale`.
  struct Operand {
    DType dtype = DType::f32;
    const void* a = nullptr;
    const float* scale = nullptr;
    std::int64_t lda = 0;
  };
  Operand operand(Activation& x, DType weights);

  // hidden: f32 [rows, hidden], the residual stream, in and out.
  void layer(const Layer& w, int cache_layer, int moe_layer, float* hidden);
  // Fills attention.positions for every run that is not whole; the layers after it reuse them.
  void select(const Indexer& w, int cache_layer, Activation& x, Activation& q_latent);
  void score_and_choose(const void* query, const float* weight, int cache_layer);
  void attend(const Layer& w, int cache_layer);
  void attend_latents(const float* query, int cache_layer, float* result);
  void attend_mha(const Layer& w, int cache_layer);
  const float* self_attention(const Layer& w, int cache_layer, const float* normed);
  const float* feed(const Layer& w, int moe_layer, const float* normed);
  const float* feed_dense(const FeedForward& w, Activation& x, Buffer<float>& result);
};

}  // namespace seedbed::engine
