// Where the weights of a model come from, by the checkpoint's names: its files, or random numbers.
// The first failure is kept and the rest is empty, so that a layer reads as a list.
#pragma once
#include <string>
#include <vector>

#include "engine/weights.h"

namespace seedbed::engine {

class WeightSource {
 public:
  explicit WeightSource(WeightStore& store) : store_(store) {}
  WeightSource(const WeightSource&) = delete;
  WeightSource& operator=(const WeightSource&) = delete;
  virtual ~WeightSource() = default;
  [[nodiscard]] const Step& error() const { return error_; }

  virtual Linear linear(const std::string& name) = 0;
  virtual const float* vector(const std::string& name) = 0;
  // kv_b_proj [heads * (nope + v), c] taken apart for the absorbed form.
  virtual void absorbed(const std::string& name, const ModelConfig& config, Layer& out) = 0;
  template <class T>
  const T* list(const std::vector<T>& values) {
    return reinterpret_cast<const T*>(
        store_.keep(values.data(), static_cast<std::int64_t>(values.size() * sizeof(T))));
  }
  FeedForward feed_forward(const std::string& prefix) {
    return {linear(prefix + "gate_proj.weight"), linear(prefix + "up_proj.weight"),
            linear(prefix + "down_proj.weight")};
  }

 protected:
  WeightStore& store_;
  Step error_;
};

// All weights of the model, but for what owns them.
Weights weights_from(WeightSource& source, const ModelConfig& config);

}  // namespace seedbed::engine
