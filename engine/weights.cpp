#include "engine/weights.h"

#include <algorithm>
#include <cstring>

#include "base/hash.h"
#include "engine/weight_source.h"

namespace seedbed::engine {

namespace {

class Reader final : public WeightSource {
 public:
  Reader(const Checkpoint& checkpoint, kernels::Pool& pool, WeightStore& store)
      : WeightSource(store), checkpoint_(checkpoint), pool_(pool) {}

  Linear linear(const std::string& name) override {
    const TensorView view = find(name);
    Linear out{view.dtype, nullptr, nullptr, 0, 0};
    if (view.shape.size() != 2) return out;
    out.cols = static_cast<int>(view.shape[0]);
    out.inner = static_cast<int>(view.shape[1]);
    out.w = store_.view(view.data, view.shape[0] * view.shape[1] * kernels::bytes_of(view.dtype));
    if (view.scale != nullptr)
      out.scale = reinterpret_cast<const float*>(store_.view(
          view.scale, 4LL * kernels::quant_blocks(out.cols) * kernels::quant_blocks(out.inner)));
    return out;
  }

  const float* vector(const std::string& name) override {
    const TensorView view = find(name);
    if (view.data == nullptr) return nullptr;
    std::vector<float> out(static_cast<std::size_t>(view.shape[0]));
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = element(view, i);
    return list(out);
  }

  void absorbed(const std::string& name, const ModelConfig& config, Layer& out) override {
    const TensorView view = find(name);
    if (view.data == nullptr) return;
    const std::int64_t heads = config.num_attention_heads, c = config.kv_lora_rank;
    const std::int64_t nope = config.qk_nope_head_dim, v = config.v_head_dim;
    out.absorbed_dtype = view.dtype == DType::f32 ? DType::f32 : DType::bf16;
    const auto width = static_cast<std::size_t>(kernels::bytes_of(out.absorbed_dtype));
    std::vector<std::byte> w_uk(static_cast<std::size_t>(heads * c * nope) * width);
    std::vector<std::byte> w_uv(static_cast<std::size_t>(heads * v * c) * width);
    kernels::parallel_for(&pool_, heads, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t h = begin; h < end; ++h)
        for (std::int64_t row = 0; row < nope + v; ++row)
          for (std::int64_t i = 0; i < c; ++i) {
            const std::int64_t source_row = h * (nope + v) + row;
            float x = element(view, static_cast<std::size_t>(source_row * c + i));
            if (view.scale != nullptr)
              x *= view.scale[source_row / kernels::kQuantBlock *
                                  kernels::quant_blocks(static_cast<int>(c)) +
                              i / kernels::kQuantBlock];
            if (row < nope)
              store(w_uk, out.absorbed_dtype, (h * c + i) * nope + row, x);
            else
              store(w_uv, out.absorbed_dtype, (h * v + row - nope) * c + i, x);
          }
    });
    out.w_uk = list(w_uk);
    out.w_uv = list(w_uv);
  }

 private:
  const Checkpoint& checkpoint_;
  kernels::Pool& pool_;

  TensorView find(const std::string& name) {
    if (error_) return {};
    auto found = checkpoint_.find(name);
    if (found.ok()) return *found;
    error_ = std::move(found).error();
    return {};
  }
  static float element(const TensorView& view, std::size_t i) {
    switch (view.dtype) {
      case DType::f32: {
        float x = 0;
        std::memcpy(&x, view.data + i * 4, 4);
        return x;
      }
      case DType::bf16: {
        std::uint16_t x = 0;
        std::memcpy(&x, view.data + i * 2, 2);
        return kernels::bf16_to_f32(x);
      }
      case DType::f8:
        return kernels::e4m3_to_f32(static_cast<std::uint8_t>(view.data[i]));
    }
    return 0;
  }
  static void store(std::vector<std::byte>& to, DType dtype, std::int64_t i, float x) {
    if (dtype == DType::f32) {
      std::memcpy(to.data() + i * 4, &x, 4);
    } else {
      const std::uint16_t rounded = kernels::f32_to_bf16(x);
      std::memcpy(to.data() + i * 2, &rounded, 2);
    }
  }
};

Experts read_experts(WeightSource& read, const ModelConfig& config, const std::string& mlp) {
  Experts out;
  out.router = read.linear(mlp + "gate.weight");
  out.bias = read.vector(mlp + "gate.e_score_correction_bias");
  struct Lists {
    std::vector<const void*> w;
    std::vector<const float*> scale;
  };
  Lists gate, up, down;
  for (int e = 0; e < config.n_routed_experts && !read.error(); ++e) {
    const FeedForward expert = read.feed_forward(mlp + "experts." + std::to_string(e) + ".");
    out.dtype = expert.gate.dtype;
    for (const auto& [lists, of] : {std::pair{&gate, &expert.gate}, std::pair{&up, &expert.up},
                                    std::pair{&down, &expert.down}}) {
      lists->w.push_back(of->w);
      lists->scale.push_back(of->scale);
    }
  }
  for (const auto& [to, lists] :
       {std::pair{&out.gate, &gate}, std::pair{&out.up, &up}, std::pair{&out.down, &down}})
    *to = {read.list(lists->w), out.dtype == DType::f8 ? read.list(lists->scale) : nullptr};
  if (config.n_shared_experts > 0) out.shared = read.feed_forward(mlp + "shared_experts.");
  return out;
}

// The experts of a layer go through one grouped product, so they share one type.
Step same_dtype(const Checkpoint& checkpoint, const ModelConfig& config, const std::string& mlp) {
  DType first = DType::f32;
  for (int e = 0; e < config.n_routed_experts; ++e)
    for (const char* part : {"gate_proj", "up_proj", "down_proj"}) {
      const std::string name = mlp + "experts." + std::to_string(e) + "." + part + ".weight";
      auto view = checkpoint.find(name);
      if (!view.ok()) return view.error();
      if (e == 0 && std::strcmp(part, "gate_proj") == 0) first = view->dtype;
      if (view->dtype != first)
        return make_error(Where::config, "checkpoint", name,
                          "another element type than the layer's other experts",
                          "store all experts of a layer in one type");
    }
  return std::nullopt;
}

Layer read_layer(WeightSource& read,
                 const ModelConfig& config,
                 const std::string& prefix,
                 bool moe,
                 bool indexer) {
  Layer out;
  const std::string attention = prefix + "self_attn.", mlp = prefix + "mlp.";
  out.input_norm = read.vector(prefix + "input_layernorm.weight");
  out.post_norm = read.vector(prefix + "post_attention_layernorm.weight");
  out.q_a = read.linear(attention + "q_a_proj.weight");
  out.q_a_norm = read.vector(attention + "q_a_layernorm.weight");
  out.q_b = read.linear(attention + "q_b_proj.weight");
  out.kv_a = read.linear(attention + "kv_a_proj_with_mqa.weight");
  out.kv_a_norm = read.vector(attention + "kv_a_layernorm.weight");
  read.absorbed(attention + "kv_b_proj.weight", config, out);
  out.o = read.linear(attention + "o_proj.weight");
  if (indexer)
    out.indexer = Indexer{read.linear(attention + "indexer.wq_b.weight"),
                          read.linear(attention + "indexer.wk.weight"),
                          read.linear(attention + "indexer.weights_proj.weight"),
                          read.vector(attention + "indexer.k_norm.weight"),
                          read.vector(attention + "indexer.k_norm.bias")};
  if (moe)
    out.experts = read_experts(read, config, mlp);
  else
    out.dense = read.feed_forward(mlp);
  return out;
}

// What placing all of a checkpoint's tensors will take: kv_b twice (as it is, though nobody reads
// it there, leaves room for the rest), vectors as f32.
std::int64_t placed_bytes(const Checkpoint& checkpoint) {
  constexpr std::int64_t kAlign = 256;
  std::int64_t sum = 0;
  for (const ExpectedTensor& tensor : checkpoint.tensors()) {
    const auto view = checkpoint.find(tensor.name);
    if (!view.ok()) continue;
    std::int64_t count = 1;
    for (const std::int64_t n : view->shape) count *= n;
    const bool small = view->shape.size() < 2 || tensor.name.find("kv_b_proj") != std::string::npos;
    sum += count * (small ? 4 : kernels::bytes_of(view->dtype)) + 2 * kAlign;
    if (view->scale != nullptr) sum += count / 4096 + kAlign;
  }
  return sum;
}

}  // namespace

Weights weights_from(WeightSource& read, const ModelConfig& config) {
  Weights out;
  out.embed = read.linear("model.embed_tokens.weight");
  out.head = config.tie_word_embeddings ? out.embed : read.linear("lm_head.weight");
  out.norm = read.vector("model.norm.weight");
  auto prefix = [](int layer) { return "model.layers." + std::to_string(layer) + "."; };
  for (int i = 0; i < config.num_hidden_layers && !read.error(); ++i) {
    const auto at = static_cast<std::size_t>(i);
    out.layers.push_back(read_layer(read, config, prefix(i), config.layer_is_moe[at],
                                    config.layer_owns_indexer[at]));
  }
  for (int d = 0; d < config.num_nextn_predict_layers && !read.error(); ++d) {
    const std::string at = prefix(config.num_hidden_layers + d);
    Prediction p;
    p.layer = read_layer(read, config, at, config.n_routed_experts > 0, true);
    p.token_norm = read.vector(at + "enorm.weight");
    p.hidden_norm = read.vector(at + "hnorm.weight");
    p.project = read.linear(at + "eh_proj.weight");
    p.head_norm = read.vector(at + "shared_head.norm.weight");
    p.embed = read.linear(at + "embed_tokens.weight");
    p.head = read.linear(at + "shared_head.head.weight");
    out.predictions.push_back(std::move(p));
  }
  return out;
}

Result<Weights> load_weights(std::shared_ptr<const Checkpoint> checkpoint,
                             kernels::Pool& pool,
                             const std::shared_ptr<kernels::Device>& device) {
  const ModelConfig& config = checkpoint->config();
  for (int i = 0; i < config.num_hidden_layers; ++i)
    if (config.layer_is_moe[static_cast<std::size_t>(i)])
      if (auto error =
              same_dtype(*checkpoint, config, "model.layers." + std::to_string(i) + ".mlp."))
        return *std::move(error);
  const std::int64_t most = device->is_host() ? 0 : placed_bytes(*checkpoint);
  auto store = std::make_shared<WeightStore>(device, most);
  Reader read(*checkpoint, pool, *store);
  Weights out = weights_from(read, config);
  out.store = std::move(store);
  if (read.error()) return *read.error();
  if (out.store->full())
    return make_error(Where::config, "weights", device->describe(),
                      "no room for about " + std::to_string(most) + " bytes on the device",
                      "use a smaller model, or the CPU (--device cpu)");
  out.checkpoint = std::move(checkpoint);
  return out;
}

std::string weights_version(const Checkpoint& checkpoint) {
  std::string text;
  for (const ExpectedTensor& tensor : checkpoint.tensors()) {
    const auto view = checkpoint.find(tensor.name);
    if (!view.ok()) continue;
    std::int64_t bytes = kernels::bytes_of(view->dtype);
    for (const std::int64_t n : view->shape) bytes *= n;
    text += tensor.name + " " + std::to_string(static_cast<int>(view->dtype)) + " " +
            std::to_string(bytes) + " ";
    // Sixteen places spread over the tensor: an optimiser's step changes nearly every number.
    constexpr std::int64_t kPlaces = 16, kWidth = 16;
    for (std::int64_t i = 0; i < kPlaces; ++i) {
      const std::int64_t at = std::max<std::int64_t>(0, (bytes - kWidth) * i / (kPlaces - 1));
      text.append(reinterpret_cast<const char*>(view->data) + at,
                  static_cast<std::size_t>(std::min(kWidth, bytes - at)));
    }
  }
  return content_hash(text);
}

}  // namespace seedbed::engine
