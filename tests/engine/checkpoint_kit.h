// Small configurations and model folders for the tests of config, safetensors and checkpoints.
#pragma once
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "engine/config.h"
#include "engine/make_model.h"

namespace seedbed::engine::kit {

// A folder of its own, removed with its content.
class Folder {
 public:
  Folder() {
    std::string pattern = testing::TempDir() + "seedbed_checkpoint_XXXXXX";
    path_ = mkdtemp(pattern.data());
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() { std::filesystem::remove_all(path_); }
  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

inline std::string read_bytes(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}
inline void write_bytes(const std::string& path, const std::string& bytes) {
  std::ofstream out(path, std::ios::binary);
  out << bytes;
}

// Two layers, the second with experts, one prediction layer; 144 = 128 + 16 makes ragged blocks.
inline schemas::Value tiny_json() {
  return *schemas::parse_json(R"({
    "model_type": "deepseek_v32", "architectures": ["DeepseekV32ForCausalLM"],
    "vocab_size": 96, "hidden_size": 144, "intermediate_size": 160, "moe_intermediate_size": 48,
    "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 2,
    "q_lora_rank": 40, "kv_lora_rank": 32, "qk_nope_head_dim": 16, "qk_rope_head_dim": 8,
    "v_head_dim": 16, "n_routed_experts": 4, "n_shared_experts": 1, "num_experts_per_tok": 2,
    "n_group": 2, "topk_group": 1, "routed_scaling_factor": 2.5, "norm_topk_prob": true,
    "index_n_heads": 2, "index_head_dim": 16, "index_topk": 8, "first_k_dense_replace": 1,
    "num_nextn_predict_layers": 1, "rms_norm_eps": 1e-06, "max_position_embeddings": 4096,
    "rope_theta": 10000.0, "bos_token_id": 0, "eos_token_id": [1, 2],
    "rope_scaling": {"type": "yarn", "factor": 40, "original_max_position_embeddings": 64,
                     "beta_fast": 32, "beta_slow": 1, "mscale": 1.0, "mscale_all_dim": 1.0}
  })");
}

inline ModelConfig tiny_config() {
  auto config = parse_model_config(tiny_json(), "tiny");
  EXPECT_TRUE(config.ok()) << config.error().message;
  return *config;
}

// A model folder inside `folder`; empty on failure.
inline std::string made_model(const Folder& folder,
                              DType dtype,
                              const ModelConfig& config = tiny_config(),
                              MakeModelOptions options = {}) {
  const auto dir = folder / "model";
  options.seed = options.seed == 0 ? 7 : options.seed;
  options.dtype = dtype;
  const auto error = make_model(config, options, dir);
  EXPECT_FALSE(error) << error->message;
  return dir;
}

inline std::string header_bytes(const std::string& json) {
  std::string out(8, '\0');
  for (std::size_t i = 0; i < 8; ++i) out[i] = static_cast<char>(json.size() >> (8 * i) & 0xff);
  return out + json;
}

}  // namespace seedbed::engine::kit
