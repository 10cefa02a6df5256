// A folder of config.json and safetensors files, and the one table of what has to be in it. Names
// are Hugging Face's (model.layers.3.self_attn.q_a_proj.weight); files may also use those of
// DeepSeek's own demo (layers.3.attn.wq_a.weight) or pack a layer's experts into one tensor as
// transformers does in memory.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "engine/config.h"
#include "kernels/dtype.h"

namespace seedbed::engine {

using kernels::DType;

enum class TensorKind : std::uint8_t {
  linear,  // [out, in]; F8_E4M3 with a scale for each 128 x 128 block, BF16 or F32
  matrix,  // [out, in]; BF16 or F32: never quantised
  vector,  // [n]; F32 or BF16
};

struct ExpectedTensor {
  std::string name;
  std::vector<std::int64_t> shape;
  TensorKind kind = TensorKind::vector;
  int layer = -1;         // -1: of the whole model
  bool optional = false;  // may be left out: a copy of the embedding or of the head
};

// In the order of the forward pass, prediction layers last. Scales are not rows of their own.
std::vector<ExpectedTensor> expected_tensors(const ModelConfig& config);
// Of the scales that go with an fp8 linear.
std::string scale_name(std::string_view weight_name);
std::vector<std::int64_t> scale_shape(std::span<const std::int64_t> weight_shape);
// Hugging Face's name for a name of either kind; names of neither come back unchanged.
std::string canonical_name(std::string_view name);

struct TensorView {
  DType dtype = DType::f32;
  std::span<const std::int64_t> shape;
  const std::byte* data = nullptr;  // row-major, aligned to its element
  const float* scale = nullptr;     // of f8: [ceil(rows / 128), ceil(columns / 128)]
};

// Views live as long as the checkpoint, which may be moved. The files must not change meanwhile
// (engine/safetensors.h).
class Checkpoint {
 public:
  // Checks every name, shape and type against the table; reads headers only. Error{config} names
  // the file and the tensor.
  static Result<Checkpoint> open(const std::string& dir);
  Checkpoint(Checkpoint&&) noexcept;
  Checkpoint& operator=(Checkpoint&&) noexcept;
  Checkpoint(const Checkpoint&) = delete;
  Checkpoint& operator=(const Checkpoint&) = delete;
  ~Checkpoint();

  [[nodiscard]] const ModelConfig& config() const;
  // The table of this configuration; find() answers for each row of it, optional ones included:
  // where a copy is not stored, what it is a copy of.
  [[nodiscard]] const std::vector<ExpectedTensor>& tensors() const;
  // A weight, or the scales of one. Error{config} where the table has no such name.
  [[nodiscard]] Result<TensorView> find(std::string_view name) const;
  // Reads every weight once: no NaN, no infinity, scales above 0. The error names the first bad
  // tensor of the table, whatever the number of threads (0: one for each core).
  [[nodiscard]] Step check_finite(int threads = 0) const;

 private:
  struct State;
  explicit Checkpoint(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace seedbed::engine
