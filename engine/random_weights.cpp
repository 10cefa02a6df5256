#include <algorithm>
#include <cmath>
#include <map>

#include "base/rng.h"
#include "engine/weight_source.h"

namespace seedbed::engine {

namespace {

// Values of a tensor are a stretch of one of these, begun at a place of the tensor's own.
constexpr std::int64_t kSourceBytes = 1 << 24;

class RandomSource final : public WeightSource {
 public:
  RandomSource(const ModelConfig& config,
               std::uint64_t seed,
               kernels::Device& device,
               WeightStore& store)
      : WeightSource(store), device_(device), rng_(rng_for(seed, "weights", 0, "random")) {
    for (auto& tensor : expected_tensors(config)) {
      const std::string name = tensor.name;
      tensors_.emplace(name, std::move(tensor));
    }
    std::vector<std::uint8_t> codes(kSourceBytes);
    std::vector<std::uint16_t> halves(kSourceBytes / 2);
    for (auto& code : codes) code = kernels::f32_to_e4m3(16.0F * uniform());
    for (auto& half : halves) half = kernels::f32_to_bf16(0.02F * uniform());
    codes_ = list(codes);
    halves_ = list(halves);
  }

  Linear linear(const std::string& name) override {
    const ExpectedTensor& tensor = tensors_.at(name);
    Linear out;
    out.cols = static_cast<int>(tensor.shape[0]);
    out.inner = static_cast<int>(tensor.shape[1]);
    const std::int64_t count = tensor.shape[0] * tensor.shape[1];
    if (tensor.kind != TensorKind::linear) {
      out.dtype = DType::bf16;
      out.w = fill(halves_, count * 2);
      return out;
    }
    out.dtype = DType::f8;
    out.w = fill(codes_, count);
    // Products of unit rows with these have about unit variance.
    const auto scale = static_cast<float>(1.0 / (9.24 * std::sqrt(static_cast<double>(out.inner))));
    out.scale =
        list(std::vector<float>(static_cast<std::size_t>(kernels::quant_blocks(out.cols)) *
                                    static_cast<std::size_t>(kernels::quant_blocks(out.inner)),
                                scale));
    return out;
  }
  const float* vector(const std::string& name) override {
    const bool bias = name.find("bias") != std::string::npos;
    return list(std::vector<float>(static_cast<std::size_t>(tensors_.at(name).shape[0]),
                                   bias ? 0.0F : 1.0F));
  }
  void absorbed(const std::string&, const ModelConfig& config, Layer& out) override {
    const std::int64_t heads = config.num_attention_heads, c = config.kv_lora_rank;
    out.absorbed_dtype = DType::bf16;
    out.w_uk = fill(halves_, heads * c * config.qk_nope_head_dim * 2);
    out.w_uv = fill(halves_, heads * config.v_head_dim * c * 2);
  }

 private:
  float uniform() { return static_cast<float>(rng_.below(2'000'001)) / 1'000'000.0F - 1.0F; }
  const std::byte* fill(const void* source, std::int64_t bytes) {
    std::byte* out = store_.room(bytes);
    if (out == nullptr) return nullptr;
    constexpr std::int64_t kStep = 256;
    for (std::int64_t done = 0; done < bytes;) {
      const auto from = static_cast<std::int64_t>(rng_.below(kSourceBytes / kStep / 2)) * kStep;
      const std::int64_t part = std::min(bytes - done, kSourceBytes - from);
      device_.copy(out + done, static_cast<const std::byte*>(source) + from, part);
      done += part;
    }
    return out;
  }

  kernels::Device& device_;
  Rng rng_;
  std::map<std::string, ExpectedTensor> tensors_;
  const std::uint8_t* codes_ = nullptr;
  const std::uint16_t* halves_ = nullptr;
};

}  // namespace

Result<Weights> random_weights(const ModelConfig& config,
                               std::uint64_t seed,
                               const std::shared_ptr<kernels::Device>& device) {
  auto store = std::make_shared<WeightStore>(device, 0);
  RandomSource source(config, seed, *device, *store);
  Weights out = weights_from(source, config);
  out.store = std::move(store);
  if (out.store->full())
    return make_error(Where::config, "weights", device->describe(),
                      "no room for more than " + std::to_string(out.store->bytes()) + " bytes",
                      "use fewer layers");
  return out;
}

}  // namespace seedbed::engine
