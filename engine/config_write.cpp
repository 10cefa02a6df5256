// The published spelling (rope_theta with rope_scaling), which older readers know too.
#include <algorithm>

#include "engine/config.h"

namespace seedbed::engine {
namespace {

using schemas::Value;

Value rope_json(const RopeConfig& rope) {
  if (rope.factor == 1.0) return {};
  Value out = Value::object();
  out.set("type", "yarn").set("factor", rope.factor);
  out.set("original_max_position_embeddings", rope.original_positions);
  out.set("beta_fast", rope.beta_fast).set("beta_slow", rope.beta_slow);
  out.set("mscale", rope.mscale).set("mscale_all_dim", rope.mscale_all_dim);
  if (!rope.truncate) out.set("truncate", false);
  // Without two equal mscales a reader would infer another scale of cos and sin.
  if (rope.mscale != rope.mscale_all_dim || rope.mscale == 0) out.set("attention_factor", 1.0);
  return out;
}

Value quantization_json(const QuantConfig& quant) {
  Value out = Value::object();
  out.set("activation_scheme", "dynamic").set("fmt", "e4m3").set("quant_method", "fp8");
  if (quant.ue8m0) out.set("scale_fmt", "ue8m0");
  out.set("weight_block_size", Value::Array{128, 128});
  return out;
}

// How many leading layers are dense, or -1 where that does not say it all.
int leading_dense(const std::vector<bool>& is_moe) {
  const auto first = std::find(is_moe.begin(), is_moe.end(), true);
  const bool rest = std::all_of(first, is_moe.end(), [](bool moe) { return moe; });
  return rest ? static_cast<int>(first - is_moe.begin()) : -1;
}

Value layer_words(const std::vector<bool>& flags, const char* yes, const char* no) {
  Value out = Value::array();
  for (const bool flag : flags) out.push(flag ? yes : no);
  return out;
}

}  // namespace

schemas::Value to_json(const ModelConfig& c) {
  const bool glm = c.architecture == Architecture::glm_moe_dsa;
  Value out = Value::object();
  out.set("architectures", Value::Array{glm ? "GlmMoeDsaForCausalLM" : "DeepseekV32ForCausalLM"});
  out.set("attention_bias", false);
  out.set("bos_token_id", c.bos_token_id < 0 ? Value() : Value(c.bos_token_id));
  Value eos = Value::array();
  for (const int id : c.eos_token_ids) eos.push(id);
  out.set("eos_token_id", c.eos_token_ids.empty()       ? Value()
                          : c.eos_token_ids.size() == 1 ? eos.items()[0]
                                                        : eos);
  if (const int dense = leading_dense(c.layer_is_moe); dense >= 0)
    out.set("first_k_dense_replace", dense);
  else
    out.set("mlp_layer_types", layer_words(c.layer_is_moe, "sparse", "dense"));
  out.set("hidden_act", "silu").set("hidden_size", c.hidden_size);
  out.set("index_head_dim", c.index_head_dim).set("index_n_heads", c.index_n_heads);
  out.set("index_topk", c.index_topk);
  if (glm || c.indexer_rope_interleave)
    out.set("indexer_rope_interleave", c.indexer_rope_interleave);
  if (glm) out.set("indexer_types", layer_words(c.layer_owns_indexer, "full", "shared"));
  out.set("intermediate_size", c.intermediate_size).set("kv_lora_rank", c.kv_lora_rank);
  out.set("max_position_embeddings", c.max_position_embeddings);
  out.set("model_type", glm ? "glm_moe_dsa" : "deepseek_v32");
  out.set("moe_intermediate_size", c.moe_intermediate_size).set("moe_layer_freq", 1);
  out.set("n_group", c.n_group).set("n_routed_experts", c.n_routed_experts);
  out.set("n_shared_experts", c.n_shared_experts).set("norm_topk_prob", c.norm_topk_prob);
  out.set("num_attention_heads", c.num_attention_heads);
  out.set("num_experts_per_tok", c.num_experts_per_tok);
  out.set("num_hidden_layers", c.num_hidden_layers);
  out.set("num_key_value_heads", c.num_attention_heads);
  out.set("num_nextn_predict_layers", c.num_nextn_predict_layers);
  out.set("q_lora_rank", c.q_lora_rank).set("qk_nope_head_dim", c.qk_nope_head_dim);
  out.set("qk_rope_head_dim", c.qk_rope_head_dim);
  if (c.quant.fp8) out.set("quantization_config", quantization_json(c.quant));
  out.set("rms_norm_eps", c.rms_norm_eps);
  if (auto rope = rope_json(c.rope); !rope.is_null()) out.set("rope_scaling", std::move(rope));
  out.set("rope_theta", c.rope.theta).set("routed_scaling_factor", c.routed_scaling_factor);
  out.set("scoring_func", "sigmoid").set("tie_word_embeddings", c.tie_word_embeddings);
  out.set("topk_group", c.topk_group).set("topk_method", "noaux_tc");
  out.set("use_cache", true).set("v_head_dim", c.v_head_dim).set("vocab_size", c.vocab_size);
  return out;
}

}  // namespace seedbed::engine
