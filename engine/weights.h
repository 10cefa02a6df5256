// The weights of one model as its forward pass reads them: mostly views into the checkpoint's
// files.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/checkpoint.h"
#include "engine/config.h"
#include "kernels/dtype.h"
#include "kernels/pool.h"

namespace seedbed::engine {

using kernels::DType;

// y = x w^T. Views; the checkpoint owns the memory.
struct Linear {
  DType dtype = DType::f32;
  const void* w = nullptr;       // [cols, inner]
  const float* scale = nullptr;  // f8: [ceil(cols/128), ceil(inner/128)]
  int cols = 0, inner = 0;
};

struct FeedForward {
  Linear gate, up, down;
};

struct Experts {
  Linear router;                            // f32 or bf16, never fp8
  std::vector<float> bias;                  // [experts], for selection alone
  DType dtype = DType::f32;                 // of all expert matrices
  std::vector<const void*> gate, up, down;  // [experts]
  std::vector<const float*> gate_scale, up_scale, down_scale;
  std::optional<FeedForward> shared;
};

struct Indexer {
  Linear wq_b, wk, weights_proj;
  std::vector<float> norm_weight, norm_bias;
};

struct Layer {
  std::vector<float> input_norm, post_norm, q_a_norm, kv_a_norm;
  Linear q_a, q_b, kv_a, o;
  // kv_b taken apart for the absorbed form; owned. f32 where the checkpoint is f32, else bf16
  // (exact for fp8 with power-of-two scales).
  DType absorbed_dtype = DType::f32;
  std::vector<std::byte> w_uk;  // [heads, c, nope]: transposed, a query's nope part -> latent space
  std::vector<std::byte> w_uv;  // [heads, v, c]
  std::optional<Indexer> indexer;  // absent: the selection of the nearest earlier layer is used
  std::optional<Experts> experts;
  std::optional<FeedForward> dense;
};

// A multi-token-prediction layer: predicts one token further from the model's hidden state and the
// token chosen.
struct Prediction {
  Layer layer;
  std::vector<float> token_norm, hidden_norm, head_norm;  // enorm, hnorm, shared_head.norm
  Linear project;  // eh_proj [hidden, 2 hidden]: embedding first
  Linear embed, head;
};

struct Weights {
  std::shared_ptr<const Checkpoint> checkpoint;  // owns what the views see
  Linear embed, head;                            // [vocab, hidden], f32 or bf16
  std::vector<float> norm;
  std::vector<Layer> layers;
  std::vector<Prediction> predictions;
};

// Error{config} naming the tensor that is missing, of another shape or of a type that is not
// computed.
Result<Weights> load_weights(std::shared_ptr<const Checkpoint> checkpoint, kernels::Pool& pool);
// Which weights these are: a hash of every tensor's name, type and size and of sixteen stretches of
// its bytes. Weights that differ everywhere a little, as after a step of training, give another
// one.
std::string weights_version(const Checkpoint& checkpoint);

}  // namespace seedbed::engine
