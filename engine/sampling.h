// One draw for one sequence, and what a sequence's penalties need to know.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "engine/arena.h"
#include "engine/engine.h"

namespace seedbed::engine {

// The ids that a sequence holds, ascending, and how often each was sampled.
class SeenTokens {
 public:
  void add(std::int32_t id, bool output);
  void clear() {
    ids_.clear();
    outputs_.clear();
  }
  [[nodiscard]] const std::vector<std::int32_t>& ids() const { return ids_; }
  [[nodiscard]] const std::vector<std::int32_t>& outputs() const { return outputs_; }

 private:
  std::vector<std::int32_t> ids_, outputs_;
};

// One row of a call.
struct Draw {
  const SamplingParams* params = nullptr;
  std::uint64_t sequence = 0;
  std::int64_t position = 0;
  const SeenTokens* seen = nullptr;
  const std::uint32_t* allowed = nullptr;  // bits [ceil(vocab/32)], null: all
};

class Sampler {
 public:
  explicit Sampler(std::shared_ptr<kernels::Device> device) : device_(std::move(device)) {}
  // Takes the memory for draws of so many rows, with a few thousand ids in their lists each.
  // Error{config}: the device has no room for it. Once, before the first draw.
  Step reserve(int rows, int vocab);
  // logits: f32 [draws, vocab] on the device. Each result is a function of its logits and its draw
  // alone. OutOfDeviceMemory, kernels::DeviceError.
  void draw(kernels::Pool* pool,
            const float* logits,
            int vocab,
            std::span<const Draw> draws,
            std::vector<TokenOut>& out);

 private:
  // Where lists of one call lie in a block that is copied as a whole.
  class Block {
   public:
    void clear() { bytes_.clear(); }
    template <class T>
    std::size_t add(std::span<const T> values);
    [[nodiscard]] std::span<std::byte> bytes() { return bytes_; }

   private:
    std::vector<std::byte> bytes_;
  };
  struct Places {
    std::size_t row, seen_offsets, seen_ids, seen_outputs, bias_offsets, bias_ids, bias, allowed;
    bool masked;
  };
  Places describe(int vocab, std::span<const Draw> draws);
  void draw_some(kernels::Pool* pool,
                 const float* logits,
                 int vocab,
                 std::span<const Draw> draws,
                 std::span<TokenOut> out);

  std::shared_ptr<kernels::Device> device_;
  Arena arena_{*device_};
  Buffer<std::byte> inputs_there_{arena_};
  Buffer<std::int32_t> results_there_{arena_}, kept_{arena_};
  Block block_;
  std::vector<kernels::SampleRow> rows_;
  std::vector<std::int32_t> seen_offsets_, seen_ids_, seen_outputs_, bias_offsets_, bias_ids_,
      results_;
  std::vector<float> bias_;
  std::vector<std::uint32_t> allowed_;
};

}  // namespace seedbed::engine
