// Inside the model: what one forward pass carries from step to step. Not for users of the engine.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "engine/arena.h"
#include "engine/model.h"
#include "engine/weights.h"

namespace seedbed::engine {

// An activation, rounded once for each kind of weight that reads it.
class Activation {
 public:
  explicit Activation(Arena& arena) : bf16_(arena), f8_(arena), scale_(arena) {}
  // x: f32 [rows, step], dim of each row used; must outlive the uses.
  void set(const float* x, int rows, int dim, std::int64_t step = 0);
  // Where a chain writes the codes and scales of what was set; they count as rounded.
  struct Codes {
    std::uint8_t* codes;
    float* scale;
  };
  Codes take_codes();
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
  explicit AttentionBuffers(Arena& a) : arena(a) {}
  Arena& arena;
  Activation normed{arena}, q_latent{arena}, values{arena};
  Buffer<float> q_a{arena}, kv_a{arena}, q{arena}, q_full{arena}, latent{arena}, out_latent{arena},
      out_heads{arena}, index_q{arena}, index_k{arena}, index_w{arena}, index_scores{arena};
  Buffer<std::uint8_t> index_q8{arena}, index_k8{arena};
  Buffer<float> index_q_scale{arena}, index_k_scale{arena};
  Buffer<std::uint16_t> index_q16{arena};
  Buffer<std::int32_t> positions{arena}, slots{arena};
};
struct FeedForwardBuffers {
  explicit FeedForwardBuffers(Arena& a) : arena(a) {}
  Arena& arena;
  Activation normed{arena}, hidden{arena}, expert_in{arena}, expert_hidden{arena};
  Buffer<float> gate{arena}, up{arena}, router{arena}, weights{arena}, permuted{arena},
      expert_gate{arena}, expert_up{arena}, expert_out{arena}, shared{arena};
  Buffer<std::int32_t> ids{arena}, offsets{arena}, row_of{arena};
};

// What the device is told of a batch, in one upload. Rows at and beyond the batch's own fill it up
// to a size that is recorded; their results are nobody's.
struct BatchInputs {
  const std::int32_t* tokens = nullptr;        // [rows]
  const std::int32_t* slots = nullptr;         // [rows] where each token's latent goes; -1: nowhere
  const std::int32_t* key_end = nullptr;       // [rows] position + 1
  const std::int32_t* list_length = nullptr;   // [rows] min(key_end, index_topk)
  const std::int32_t* sequence = nullptr;      // [rows]
  const std::int32_t* logit_rows = nullptr;    // [logits]
  const std::int32_t* page_table = nullptr;    // [sequences, table_stride]
  const float *cos = nullptr, *sin = nullptr;  // [rows, rope/2]
};

// One batch on its way through the layers. Between two ops the host reads and writes nothing of the
// device, but for selections that somebody asked to see.
struct Pass {
  const ModelConfig& config;
  kernels::Device& device;
  const kernels::Ops& ops;
  const kernels::Chains* chains;  // or null: the ops one after another
  kernels::Pool* pool;
  AttentionForm form;
  PageCache& cache;
  const Batch& batch;
  Outputs& out;
  AttentionBuffers& attention;
  FeedForwardBuffers& feed_forward;

  int rows = 0, logit_count = 0;
  std::int64_t table_stride = 0;
  std::int32_t columns = 0;  // of scores: no context is longer; 0: the rows' own
  bool recordable = false;
  BatchInputs in = {};                    // of the device
  const std::int32_t* key_end = nullptr;  // the same on the host
  std::int32_t* routing_ids = nullptr;    // [MoE layers, rows, topk], where wanted
  // A run is a stretch of rows of one sequence whose contexts are all selected whole, or all not.
  struct Run {
    int first = 0, rows = 0;
    bool whole = true;
  };
  std::vector<Run> runs = {};
  // Neighbouring runs of one kind, of whatever sequences: kernels take each stretch in one call.
  std::vector<Run> stretches = {};
  const float* added = nullptr;  // [rows, hidden] what the step before adds to the residual stream

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
  void gated(Activation& to, float* gate, const float* up, int count, int dim, DType weights);

  // hidden: f32 [rows, hidden], the residual stream, in and out; normed: [rows, hidden].
  void layer(const Layer& w, int cache_layer, int moe_layer, float* hidden, float* normed);
  // Fills attention.positions and slots for every run that is not whole; the layers after it reuse
  // them.
  void select(const Indexer& w, int cache_layer, Activation& x, Activation& q_latent);
  void write_key(const Indexer& w, int cache_layer, Activation& x);
  void score_and_choose(const void* query, const float* weight, int cache_layer);
  void choose(int first, int count, const float* scores, std::int64_t lds);
  void show_selections(int cache_layer);
  void attend(const Layer& w, int cache_layer);
  void attend_latents(const float* query, int cache_layer, float* result);
  void attend_mha(const Layer& w, int cache_layer);
  const float* self_attention(const Layer& w, int cache_layer, const float* normed);
  const float* feed(const Layer& w, int moe_layer, const float* normed);
  const float* feed_dense(const FeedForward& w, Activation& x, Buffer<float>& result);
  [[nodiscard]] kernels::PageTable table_from(int first_row) const {
    return {in.page_table, table_stride, in.sequence + first_row};
  }
};

}  // namespace seedbed::engine
