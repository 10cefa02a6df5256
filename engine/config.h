// The sizes and switches of one model, from the published config.json. Names are Hugging Face's.
// Sources: DeepSeek-V3.2's config and transformers' configuration classes of deepseek_v32 and
// glm_moe_dsa.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "schemas/value.h"

namespace seedbed::engine {

enum class Architecture : std::uint8_t { deepseek_v32, glm_moe_dsa };

// YaRN's stretch of the rotary frequencies; factor 1 means plain RoPE.
struct RopeConfig {
  double theta = 10'000.0;
  double factor = 1.0;
  int original_positions = 4096;  // original_max_position_embeddings
  double beta_fast = 32, beta_slow = 1;
  double mscale = 1.0,
         mscale_all_dim = 0.0;  // softmax scale *= (0.1 mscale_all_dim ln factor + 1)^2
  bool truncate = true;         // the ramp's ends are rounded outwards to whole dimensions
};

// What the weights of the linear layers are stored as, and how activations meet fp8 weights.
struct QuantConfig {
  bool fp8 = false;    // quantization_config present: F8_E4M3 with one scale a 128 x 128 block
  bool ue8m0 = false;  // scale_fmt: scales of activations are powers of two
};

struct ModelConfig {
  Architecture architecture = Architecture::deepseek_v32;
  int vocab_size = 0;
  int hidden_size = 0;
  int intermediate_size = 0;      // of dense feed-forward layers
  int moe_intermediate_size = 0;  // of one expert
  int num_hidden_layers = 0;
  int num_attention_heads = 0;
  int q_lora_rank = 0, kv_lora_rank = 0;
  int qk_nope_head_dim = 0, qk_rope_head_dim = 0, v_head_dim = 0;
  int n_routed_experts = 0, n_shared_experts = 0, num_experts_per_tok = 0;
  int n_group = 1, topk_group = 1;
  double routed_scaling_factor = 1.0;
  bool norm_topk_prob = true;
  int index_n_heads = 0, index_head_dim = 0, index_topk = 0;
  bool indexer_rope_interleave = false;  // GLM pairs neighbours in the indexer too
  int num_nextn_predict_layers = 0;      // multi-token-prediction layers after the last one
  double rms_norm_eps = 1e-6;
  RopeConfig rope;
  int max_position_embeddings = 0;
  int bos_token_id = 0;
  std::vector<int> eos_token_ids = {1};
  bool tie_word_embeddings = false;
  std::vector<bool> layer_is_moe;        // [num_hidden_layers]
  std::vector<bool> layer_owns_indexer;  // [num_hidden_layers]; false: the selection of the nearest
                                         // earlier owner is used (GLM's shared indexer layers)
  QuantConfig quant;

  [[nodiscard]] int qk_head_dim() const { return qk_nope_head_dim + qk_rope_head_dim; }
  [[nodiscard]] int latent_dim() const { return kv_lora_rank + qk_rope_head_dim; }
  // qk_head_dim^-0.5, times YaRN's correction squared; never used in the indexer.
  [[nodiscard]] double softmax_scale() const;
  // [qk_rope_head_dim / 2] inverse frequencies, YaRN applied, float64.
  [[nodiscard]] std::vector<double> inverse_frequencies() const;
};

// From the text of a config.json. Error{config}: unknown key (names the nearest known one), a value
// out of bounds, sizes that do not fit together, an option this engine does not compute. `where`
// names the file.
Result<ModelConfig> parse_model_config(const schemas::Value& json, std::string_view where);
// The file DIR/config.json.
Result<ModelConfig> read_model_config(const std::string& dir);
// The other way: a config.json that parse_model_config and transformers read as the same model.
schemas::Value to_json(const ModelConfig& config);

}  // namespace seedbed::engine
