// The weights of one model as its forward pass reads them, on the device that computes it; on the
// host mostly views into the checkpoint's files.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/checkpoint.h"
#include "engine/config.h"
#include "kernels/device.h"
#include "kernels/dtype.h"
#include "kernels/pool.h"

namespace seedbed::engine {

using kernels::DType;

// y = x w^T. All pointers are of the device.
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
  Linear router;                // f32 or bf16, never fp8
  const float* bias = nullptr;  // [experts], for selection alone
  DType dtype = DType::f32;     // of all expert matrices
  struct Matrices {
    const void* const* w = nullptr;       // [experts] on the device, of device pointers
    const float* const* scale = nullptr;  // [experts], or null where there are no scales
  };
  Matrices gate, up, down;
  std::optional<FeedForward> shared;
};

struct Indexer {
  Linear wq_b, wk, weights_proj;
  const float *norm_weight = nullptr, *norm_bias = nullptr;
};

struct Layer {
  const float *input_norm = nullptr, *post_norm = nullptr, *q_a_norm = nullptr,
              *kv_a_norm = nullptr;
  Linear q_a, q_b, kv_a, o;
  // kv_b taken apart for the absorbed form. f32 where the checkpoint is f32, else bf16
  // (exact for fp8 with power-of-two scales).
  DType absorbed_dtype = DType::f32;
  const std::byte* w_uk =
      nullptr;  // [heads, c, nope]: transposed, a query's nope part -> latent space
  const std::byte* w_uv = nullptr;  // [heads, v, c]
  std::optional<Indexer> indexer;   // absent: the selection of the nearest earlier layer is used
  std::optional<Experts> experts;
  std::optional<FeedForward> dense;
};

// A multi-token-prediction layer: predicts one token further from the model's hidden state and the
// token chosen.
struct Prediction {
  Layer layer;
  const float *token_norm = nullptr, *hidden_norm = nullptr,
              *head_norm = nullptr;  // enorm, hnorm, shared_head.norm
  Linear project;                    // eh_proj [hidden, 2 hidden]: embedding first
  Linear embed, head;
};

// Where weights lie. On the host what the checkpoint's files hold stays there; on another device
// everything is copied, into few large blocks.
class WeightStore {
 public:
  // most: bytes that will be placed, as far as is known.
  WeightStore(std::shared_ptr<kernels::Device> device, std::int64_t most);
  ~WeightStore();
  WeightStore(const WeightStore&) = delete;
  WeightStore& operator=(const WeightStore&) = delete;
  // Bytes that outlive the store on the host, such as a mapped file's.
  const std::byte* view(const void* bytes, std::int64_t count);
  // Bytes that may go away.
  const std::byte* keep(const void* bytes, std::int64_t count);
  // Bytes that the caller fills on the device.
  std::byte* room(std::int64_t count);
  // Null pointers came out: the device has no more room.
  [[nodiscard]] bool full() const { return full_; }
  [[nodiscard]] std::int64_t bytes() const { return bytes_; }

 private:
  std::shared_ptr<kernels::Device> device_;
  std::int64_t most_, bytes_ = 0, left_ = 0;
  std::byte* next_ = nullptr;
  std::vector<std::byte*> blocks_;
  bool full_ = false;
};

struct Weights {
  std::shared_ptr<const Checkpoint> checkpoint;  // owns what the views see on the host
  std::shared_ptr<WeightStore> store;            // owns the rest
  Linear embed, head;                            // [vocab, hidden], f32 or bf16
  const float* norm = nullptr;
  std::vector<Layer> layers;
  std::vector<Prediction> predictions;
};

// Error{config} naming the tensor that is missing, of another shape or of a type that is not
// computed; weights that the device has no room for.
Result<Weights> load_weights(std::shared_ptr<const Checkpoint> checkpoint,
                             kernels::Pool& pool,
                             const std::shared_ptr<kernels::Device>& device);
// Weights of nobody's, for measuring: random numbers of the published types (fp8 linears with
// scales, bf16 matrices), norms 1. They are made once and copied about on the device.
// Error{config}: no room.
Result<Weights> random_weights(const ModelConfig& config,
                               std::uint64_t seed,
                               const std::shared_ptr<kernels::Device>& device);
// Which weights these are: a hash of every tensor's name, type and size and of sixteen stretches of
// its bytes. Weights that differ everywhere a little, as after a step of training, give another
// one.
std::string weights_version(const Checkpoint& checkpoint);

}  // namespace seedbed::engine
