#include <algorithm>
#include <array>

#include "base/text.h"
#include "engine/checkpoint.h"

namespace seedbed::engine {
namespace {

class Table {
 public:
  explicit Table(const ModelConfig& config) : c_(config) {}

  std::vector<ExpectedTensor> rows() {
    matrix("model.embed_tokens.weight", c_.vocab_size, c_.hidden_size);
    for (int l = 0; l < c_.num_hidden_layers; ++l) {
      layer_ = l;
      const auto i = static_cast<std::size_t>(l);
      layer(c_.layer_owns_indexer[i], c_.layer_is_moe[i]);
    }
    layer_ = -1;
    vector("model.norm.weight", c_.hidden_size);
    matrix("lm_head.weight", c_.vocab_size, c_.hidden_size, c_.tie_word_embeddings);
    for (int l = 0; l < c_.num_nextn_predict_layers; ++l) {
      layer_ = c_.num_hidden_layers + l;
      prediction();
    }
    return std::move(rows_);
  }

 private:
  using Size = std::int64_t;

  void linear(const std::string& name, Size out, Size in) {
    rows_.push_back({name, {out, in}, TensorKind::linear, layer_, false});
  }
  void matrix(const std::string& name, Size out, Size in, bool optional = false) {
    rows_.push_back({name, {out, in}, TensorKind::matrix, layer_, optional});
  }
  void vector(const std::string& name, Size n) {
    rows_.push_back({name, {n}, TensorKind::vector, layer_, false});
  }

  void feed_forward(const std::string& prefix, Size width) {
    linear(prefix + "gate_proj.weight", width, c_.hidden_size);
    linear(prefix + "up_proj.weight", width, c_.hidden_size);
    linear(prefix + "down_proj.weight", c_.hidden_size, width);
  }

  void attention(const std::string& prefix, bool owns_indexer) {
    const Size heads = c_.num_attention_heads;
    linear(prefix + "q_a_proj.weight", c_.q_lora_rank, c_.hidden_size);
    vector(prefix + "q_a_layernorm.weight", c_.q_lora_rank);
    linear(prefix + "q_b_proj.weight", heads * c_.qk_head_dim(), c_.q_lora_rank);
    linear(prefix + "kv_a_proj_with_mqa.weight", c_.latent_dim(), c_.hidden_size);
    vector(prefix + "kv_a_layernorm.weight", c_.kv_lora_rank);
    linear(prefix + "kv_b_proj.weight", heads * (c_.qk_nope_head_dim + c_.v_head_dim),
           c_.kv_lora_rank);
    linear(prefix + "o_proj.weight", c_.hidden_size, heads * c_.v_head_dim);
    if (!owns_indexer) return;
    const Size width = Size{c_.index_n_heads} * c_.index_head_dim;
    linear(prefix + "indexer.wq_b.weight", width, c_.q_lora_rank);
    linear(prefix + "indexer.wk.weight", c_.index_head_dim, c_.hidden_size);
    vector(prefix + "indexer.k_norm.weight", c_.index_head_dim);
    vector(prefix + "indexer.k_norm.bias", c_.index_head_dim);
    matrix(prefix + "indexer.weights_proj.weight", c_.index_n_heads, c_.hidden_size);
  }

  void experts(const std::string& prefix) {
    matrix(prefix + "gate.weight", c_.n_routed_experts, c_.hidden_size);
    vector(prefix + "gate.e_score_correction_bias", c_.n_routed_experts);
    for (int e = 0; e < c_.n_routed_experts; ++e)
      feed_forward(prefix + "experts." + std::to_string(e) + ".", c_.moe_intermediate_size);
    if (c_.n_shared_experts > 0)
      feed_forward(prefix + "shared_experts.",
                   Size{c_.n_shared_experts} * c_.moe_intermediate_size);
  }

  void layer(bool owns_indexer, bool is_moe) {
    const auto prefix = "model.layers." + std::to_string(layer_) + ".";
    vector(prefix + "input_layernorm.weight", c_.hidden_size);
    attention(prefix + "self_attn.", owns_indexer);
    vector(prefix + "post_attention_layernorm.weight", c_.hidden_size);
    if (is_moe)
      experts(prefix + "mlp.");
    else
      feed_forward(prefix + "mlp.", c_.intermediate_size);
  }

  // Whole layers with experts and an indexer of their own, and what joins them to the model.
  void prediction() {
    const auto prefix = "model.layers." + std::to_string(layer_) + ".";
    vector(prefix + "enorm.weight", c_.hidden_size);
    vector(prefix + "hnorm.weight", c_.hidden_size);
    matrix(prefix + "eh_proj.weight", c_.hidden_size, Size{2} * c_.hidden_size);
    matrix(prefix + "embed_tokens.weight", c_.vocab_size, c_.hidden_size, true);
    layer(true, true);
    vector(prefix + "shared_head.norm.weight", c_.hidden_size);
    matrix(prefix + "shared_head.head.weight", c_.vocab_size, c_.hidden_size, true);
  }

  const ModelConfig& c_;
  int layer_ = -1;
  std::vector<ExpectedTensor> rows_;
};

struct Renamed {
  std::string_view demo, published;
};
// DeepSeek-V3.2-Exp, inference/convert.py. Parts of a dotted name; what is not here stays.
constexpr std::array<Renamed, 17> kParts = {{
    {"attn", "self_attn"},
    {"ffn", "mlp"},
    {"attn_norm", "input_layernorm"},
    {"ffn_norm", "post_attention_layernorm"},
    {"wq_a", "q_a_proj"},
    {"q_norm", "q_a_layernorm"},
    {"wkv_a", "kv_a_proj_with_mqa"},
    {"kv_norm", "kv_a_layernorm"},
    {"wkv_b", "kv_b_proj"},
    {"wo", "o_proj"},
    {"w1", "gate_proj"},
    {"w2", "down_proj"},
    {"w3", "up_proj"},
    {"embed", "embed_tokens"},
    {"scale", "weight_scale_inv"},
    {"wq_b", "q_b_proj"},
    {"head", "lm_head"},
}};

}  // namespace

std::vector<ExpectedTensor> expected_tensors(const ModelConfig& config) {
  return Table(config).rows();
}

std::string scale_name(std::string_view weight_name) {
  return std::string(weight_name) + "_scale_inv";
}

std::vector<std::int64_t> scale_shape(std::span<const std::int64_t> weight_shape) {
  std::vector<std::int64_t> out;
  for (const auto n : weight_shape)
    out.push_back((n + kernels::kQuantBlock - 1) / kernels::kQuantBlock);
  return out;
}

std::string canonical_name(std::string_view name) {
  // The published names begin with "model." or are "lm_head.weight"; the demo's begin otherwise.
  if (name.starts_with("model.") || name.starts_with("lm_head.")) return std::string(name);
  const auto begins = [&](std::string_view prefix) { return name.starts_with(prefix); };
  if (!begins("layers.") && !begins("embed.") && !begins("norm.") && !begins("head."))
    return std::string(name);
  auto parts = split(name, '.');
  const bool in_indexer = std::find(parts.begin(), parts.end(), "indexer") != parts.end();
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (in_indexer && parts[i] == "wq_b") continue;  // the indexer keeps its own name
    if (parts[i] == "head" && i > 0) continue;       // shared_head.head
    if (parts[i] == "bias" && i > 0 && parts[i - 1] == "gate") {
      parts[i] = "e_score_correction_bias";
      continue;
    }
    for (const auto& renamed : kParts)
      if (parts[i] == renamed.demo) {
        parts[i] = renamed.published;
        break;
      }
  }
  const auto joined = join(parts, ".");
  return parts[0] == "lm_head" ? joined : "model." + joined;
}

}  // namespace seedbed::engine
