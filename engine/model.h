// The transformer: weights and one forward pass over the op table of a device. Stateless between
// calls; what remains lies in the pages. Where the device records, a decode step that comes again
// in the same shape is played from its recording.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/cache.h"
#include "engine/config.h"
#include "kernels/device.h"
#include "kernels/pool.h"

namespace seedbed::engine {

class Checkpoint;

// How attention is computed; both give the same function. mha expands every cached latent into keys
// and values first: slow, a check of the absorbed form.
enum class AttentionForm : std::uint8_t { absorbed, mha };

struct ModelOptions {
  std::shared_ptr<kernels::Device> device = nullptr;  // null: the host
  const kernels::Ops* ops = nullptr;                  // of the host; null: the processor's best
  int threads = 0;                                    // 0: one for each core
  AttentionForm attention = AttentionForm::absorbed;
  bool check_finite = true;  // refuse NaN and infinite weights; reads every weight once
};

// One call's work: tokens of one or more sequences, those of one sequence at consecutive rows and
// positions.
struct Batch {
  std::span<const std::int32_t> tokens;      // [rows]
  std::span<const std::int32_t> positions;   // [rows], of each token in its sequence
  std::span<const std::int32_t> sequence;    // [rows], row of page_table
  std::span<const std::int32_t> page_table;  // [sequences, table_stride]
  std::int64_t table_stride = 0;
  std::span<const std::int32_t> logit_rows;  // rows whose logits are wanted
  bool host_logits = true;                   // fetch the logits; else they are on the device alone
  bool attend_to_all =
      false;                 // whatever index_topk says: what sparse attention is measured against
  bool want_hidden = false;  // last layer's output after the final norm, for prediction layers
  bool want_routing = false;
  bool want_selection = false;
  // May change the positions selected in a layer: [rows, index_topk], ascending, -1 padded; rows
  // whose whole context is selected are not shown (first_row .. first_row + rows - 1 of the batch
  // are).
  std::function<void(int layer, int first_row, int rows, std::int32_t* positions)> on_selection;
};

struct Selection {  // of one layer and run of rows
  int layer = 0, first_row = 0, rows = 0;
  std::vector<std::int32_t> positions;  // [rows, index_topk]
};

struct Outputs {
  std::vector<float> logits;             // f32 [logit_rows, vocab], where they are fetched
  const float* device_logits = nullptr;  // the same on the device, until the model's next pass
  std::vector<float> hidden;             // f32 [rows, hidden]
  std::vector<std::uint16_t> routing;    // [rows, moe layers, experts per token], descending choice
  std::vector<Selection> selections;
};

class Model {
 public:
  static Result<std::unique_ptr<Model>> load(const std::string& dir,
                                             const ModelOptions& options = {});
  // Random weights of the published types, for measuring (engine/weights.h).
  static Result<std::unique_ptr<Model>> with_random_weights(const ModelConfig& config,
                                                            std::uint64_t seed,
                                                            const ModelOptions& options = {});
  ~Model();
  Model(const Model&) = delete;
  Model& operator=(const Model&) = delete;

  [[nodiscard]] const ModelConfig& config() const;
  [[nodiscard]] const std::shared_ptr<kernels::Device>& device() const;
  [[nodiscard]] kernels::Pool& pool() const;
  // Hash of the weights' headers and a sample of their bytes: which policy this is.
  [[nodiscard]] const std::string& version() const;
  [[nodiscard]] int moe_layers() const;

  // Takes the memory for passes of up to so many rows and logits over contexts of so many tokens,
  // in one block: such passes allocate nothing. Error{config}: the device has no room for it.
  Step reserve(DType kv_dtype, int rows, int logits, std::int64_t context);
  // What reserve() took, or passes since.
  [[nodiscard]] std::int64_t buffer_bytes() const;

  // Runs the batch: writes its tokens' latents and index keys into the cache, fills out (its
  // vectors are reused). Broken contracts (ids out of the vocabulary, positions without a page) are
  // checked and abort; callers validate what comes from outside. Not for two threads at once.
  // Throws OutOfDeviceMemory (engine/arena.h), after which the tokens of the batch are as not
  // computed, and kernels::DeviceError.
  void forward(const Batch& batch, PageCache& cache, Outputs& out);

  // Multi-token prediction: row i holds `hidden` (f32 [rows, hidden_size], what forward gave as
  // hidden) of position p = batch.positions[i] and the token at position p + 1; its logits are for
  // position p + 2. The layer keeps its own latents and index keys at position p. A further draft
  // step hands in the hidden state that this call gives, with the token drafted, one position
  // later.
  void forward_mtp(
      int depth, std::span<const float> hidden, const Batch& batch, PageCache& cache, Outputs& out);

 private:
  struct Impl;
  explicit Model(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace seedbed::engine
