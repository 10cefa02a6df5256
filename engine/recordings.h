// Decode steps that were recorded once and are played again: a step of another batch, at other
// positions and of other pages differs in what its inputs hold, not in its ops, as long as what the
// host decides by is equal. That is the shape.
#pragma once
#include <compare>
#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "engine/arena.h"

namespace seedbed::engine {

struct StepShape {
  int depth = -1;  // of the prediction layer; -1: the model itself
  int rows = 0, logits = 0;
  bool whole = true;              // all contexts are selected whole, or none is
  std::int64_t table_stride = 0;  // pages; no context is longer
  bool routing = false;
  const void* pages = nullptr;  // which cache
  auto operator<=>(const StepShape&) const = default;
};

class Recordings {
 public:
  explicit Recordings(const Arena& arena) : arena_(arena) {}
  // The recording of a shape, or null: not met before, or the buffers have moved since.
  kernels::Device::Recording* find(const StepShape& shape);
  // A shape is worth it when it comes a second time; the first time its buffers grow.
  bool worth_it(const StepShape& shape);
  void keep(const StepShape& shape, std::unique_ptr<kernels::Device::Recording> recording);

 private:
  static constexpr std::size_t kMost = 64;
  struct Entry {
    std::unique_ptr<kernels::Device::Recording> recording;  // null: met once
    std::uint64_t used = 0;
  };
  void forget_if_moved();
  const Arena& arena_;
  std::map<StepShape, Entry> entries_;
  std::int64_t generation_ = 0;
  std::uint64_t clock_ = 0;
};

// The sizes that are recorded: the least of them that holds `count`. Sizes grow by at most a half,
// so that few recordings serve all and little is computed for nobody.
std::int64_t recorded_size(std::int64_t count);

}  // namespace seedbed::engine
