// What the host tells a pass: tokens, places, angles. One block, so that one copy brings it to a
// device, and parts that lie where rows, logits and nothing else decide: recordings keep the
// addresses.
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

#include "engine/forward.h"

namespace seedbed::engine {

class StepInputs {
 public:
  // rows, logits, stride: at least the batch's own; what they exceed it by is filled with rows that
  // read the first sequence's first token and write nothing. frequencies: [rope/2]. Checks that
  // every token has a page below `pages`.
  void fill(const ModelConfig& config,
            const std::vector<float>& frequencies,
            const Batch& batch,
            int pages,
            int rows,
            int logits,
            std::int64_t stride);
  [[nodiscard]] const std::byte* data() const { return block_.data(); }
  [[nodiscard]] std::int64_t bytes() const { return bytes_; }
  [[nodiscard]] const std::int32_t* key_end() const;
  // The parts of a copy of the block that lies at `base`.
  [[nodiscard]] BatchInputs at(const std::byte* base) const;
  // The size of a block.
  static std::int64_t bytes_for(
      int rows, int logits, int half, std::int64_t sequences, std::int64_t stride);

 private:
  struct Places {
    std::int64_t tokens, slots, key_end, list_length, sequence, cos, sin, logit_rows, page_table;
  };
  static Places places(int rows, int logits, int half);
  std::int32_t* ints(std::int64_t at) {
    return reinterpret_cast<std::int32_t*>(block_.data() + at);
  }
  Places places_{};
  std::vector<std::byte> block_;
  std::int64_t bytes_ = 0;
};

}  // namespace seedbed::engine
