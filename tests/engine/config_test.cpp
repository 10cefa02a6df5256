#include "engine/config.h"

#include <gtest/gtest.h>

#include <cmath>

#include "checkpoint_kit.h"

namespace seedbed::engine {
namespace {

using schemas::Value;

std::string refusal(const Value& json) {
  const auto config = parse_model_config(json, "config.json");
  return config.ok() ? "" : config.error().message;
}
Value with(const char* key, Value value) {
  return kit::tiny_json().set(key, std::move(value));
}
bool says(const std::string& message, const std::string& part) {
  return message.find(part) != std::string::npos;
}
Value data(const std::string& name) {
  auto json =
      schemas::read_json_file(std::string(SEEDBED_SOURCE_DIR) + "/tests/data/engine/" + name);
  EXPECT_TRUE(json.ok());
  return *json;
}

TEST(Config, ReadsThePublishedModel) {
  const auto config = named_config("deepseek-v3.2");
  ASSERT_TRUE(config.ok()) << config.error().message;
  EXPECT_EQ(config->hidden_size, 7168);
  EXPECT_EQ(config->qk_head_dim(), 192);
  EXPECT_EQ(config->latent_dim(), 576);
  EXPECT_EQ(config->layer_is_moe.size(), 61U);
  EXPECT_FALSE(config->layer_is_moe[2]);
  EXPECT_TRUE(config->layer_is_moe[3]);
  EXPECT_TRUE(config->layer_owns_indexer[60]);
  EXPECT_TRUE(config->quant.fp8);
  EXPECT_TRUE(config->quant.ue8m0);
  EXPECT_FALSE(config->indexer_rope_interleave);
  EXPECT_EQ(config->num_nextn_predict_layers, 1);
}

TEST(Config, YarnAgreesWithThePublishedNumbers) {
  const auto config = named_config("deepseek-v3.2");
  const auto numbers = data("yarn_v32.json");
  EXPECT_NEAR(config->softmax_scale(), numbers.find("mla_softmax_scale")->as_double(), 1e-15);
  const auto& wanted = numbers.find("inv_freq_yarn")->items();
  const auto found = config->inverse_frequencies();
  ASSERT_EQ(found.size(), wanted.size());
  for (std::size_t i = 0; i < found.size(); ++i)
    EXPECT_NEAR(found[i] / wanted[i].as_double(), 1.0, 1e-14) << i;

  auto plain = *config;
  plain.rope.factor = 1.0;
  const auto& unstretched = numbers.find("inv_freq_plain")->items();
  const auto frequencies = plain.inverse_frequencies();
  for (std::size_t i = 0; i < frequencies.size(); ++i)
    EXPECT_NEAR(frequencies[i] / unstretched[i].as_double(), 1.0, 1e-14) << i;
  EXPECT_NEAR(plain.softmax_scale(), 1 / std::sqrt(192.0), 1e-16);
}

TEST(Config, UntruncatedRampDiffersFromTheTruncatedOne) {
  auto json = kit::tiny_json();
  auto rope = *json.find("rope_scaling");
  json.set("rope_scaling", rope.set("truncate", false));
  const auto config = parse_model_config(json, "x");
  ASSERT_TRUE(config.ok()) << config.error().message;
  EXPECT_FALSE(config->rope.truncate);
  EXPECT_NE(config->inverse_frequencies(), kit::tiny_config().inverse_frequencies());
}

TEST(Config, UnknownKeyIsRefusedWithTheNearestKnownOne) {
  const auto message = refusal(with("index_topkk", 8));
  EXPECT_TRUE(says(message, "index_topkk")) << message;
  EXPECT_TRUE(says(message, "did you mean 'index_topk'?")) << message;
  auto json = kit::tiny_json();
  auto rope = *json.find("rope_scaling");
  EXPECT_TRUE(
      says(refusal(json.set("rope_scaling", rope.set("facter", 3))), "rope_scaling.facter"));
}

TEST(Config, KeysThatChangeNothingAreAccepted) {
  for (const char* key : {"transformers_version", "auto_map", "initializer_range", "use_cache",
                          "pad_token_id", "aux_loss_alpha", "seq_aux", "pretraining_tp", "ep_size",
                          "attention_dropout", "torch_dtype", "dtype", "head_dim"})
    EXPECT_EQ(refusal(with(key, 1)), "") << key;
}

TEST(Config, OptionsThatAreNotComputedAreRefused) {
  const struct {
    const char* key;
    Value value;
  } rows[] = {
      {"attention_bias", true},
      {"mlp_bias", true},
      {"hidden_act", "gelu"},
      {"scoring_func", "softmax"},
      {"topk_method", "greedy"},
      {"moe_layer_freq", 2},
      {"num_key_value_heads", 1},
      {"qk_head_dim", 7},
      {"model_type", "deepseek_v3"},
      {"architectures", "x"},
      {"rope_interleave", false},
      {"q_lora_rank", Value()},
      {"layer_types", Value::Array{"full_attention", "full_attention"}},
      {"quantization_config", Value::object().set("quant_method", "gptq")},
  };
  for (const auto& row : rows)
    EXPECT_TRUE(says(refusal(with(row.key, row.value)), row.key)) << row.key;
}

TEST(Config, SizesAreBounded) {
  const struct {
    const char* key;
    Value value;
  } rows[] = {
      {"vocab_size", 0},
      {"vocab_size", -5},
      {"hidden_size", 1 << 30},
      {"hidden_size", 2.5},
      {"hidden_size", "144"},
      {"num_hidden_layers", 100'000},
      {"kv_lora_rank", 0},
      {"qk_rope_head_dim", 7},
      {"index_head_dim", 24},
      {"index_head_dim", 4},
      {"n_group", 3},
      {"n_group", 4},
      {"topk_group", 3},
      {"num_experts_per_tok", 3},
      {"n_routed_experts", 1},
      {"rms_norm_eps", 0.0},
      {"rms_norm_eps", 1e300},
      {"eos_token_id", 96},
      {"rope_theta", 1.0},
      {"index_topk", 0},
      {"max_position_embeddings", std::int64_t{1} << 40},
  };
  for (const auto& row : rows)
    EXPECT_NE(refusal(with(row.key, row.value)), "") << row.key << " " << schemas::dump(row.value);
  auto many = with("n_routed_experts", 65'536).set("num_hidden_layers", 4);
  EXPECT_TRUE(says(refusal(many.set("num_nextn_predict_layers", 2)), "262,144 experts"));
  EXPECT_NE(refusal(Value(3)), "");
  EXPECT_NE(refusal(Value::object()), "");
}

TEST(Config, CosAndSinAreNeverScaled) {
  auto json = kit::tiny_json();
  auto rope = *json.find("rope_scaling");
  auto other = rope;
  EXPECT_TRUE(says(refusal(json.set("rope_scaling", other.set("mscale", 0.7))), "mscale"));
  // The factor said outright: 1 is what is computed, whatever the two mscales are.
  EXPECT_EQ(refusal(json.set("rope_scaling", other.set("attention_factor", 1.0))), "");
  EXPECT_NE(refusal(json.set("rope_scaling", other.set("attention_factor", 1.2))), "");
  // Neither mscale: transformers would infer 0.1 ln 40 + 1.
  const auto bare = Value::object().set("rope_type", "yarn").set("factor", 40.0);
  EXPECT_NE(refusal(json.set("rope_scaling", bare)), "");
}

TEST(Config, NewerAndOlderSpellingsAreTheSameModel) {
  auto json = kit::tiny_json();
  auto rope = *json.find("rope_scaling");
  json.set("rope_scaling", Value());
  json.set("rope_theta", Value());
  json.set("rope_parameters",
           rope.set("type", Value()).set("rope_type", "yarn").set("rope_theta", 10000.0));
  json.set("first_k_dense_replace", 3);  // the list decides
  json.set("mlp_layer_types", Value::Array{"dense", "sparse"});
  json.set("layer_types", Value::Array{"indexed_attention", "indexed_attention"});
  const auto config = parse_model_config(json, "x");
  ASSERT_TRUE(config.ok()) << config.error().message;
  EXPECT_EQ(to_json(*config), to_json(kit::tiny_config()));
}

TEST(Config, GlmSharesIndexersByListPatternOrFrequency) {
  auto json = kit::tiny_json().set("model_type", "glm_moe_dsa").set("num_hidden_layers", 5);
  json.set("architectures", Value::Array{"GlmMoeDsaForCausalLM"});
  const auto owners = [](const Value& of) {
    const auto config = parse_model_config(of, "x");
    EXPECT_TRUE(config.ok()) << config.error().message;
    return config.ok() ? config->layer_owns_indexer : std::vector<bool>{};
  };
  EXPECT_EQ(owners(json), std::vector<bool>(5, true));
  const std::vector<bool> wanted{true, true, false, true, false};
  auto listed = json;
  listed.set("indexer_types", Value::Array{"full", "full", "shared", "full", "shared"});
  EXPECT_EQ(owners(listed), wanted);
  EXPECT_TRUE(parse_model_config(listed, "x")->indexer_rope_interleave);
  auto pattern = json;
  EXPECT_EQ(owners(pattern.set("index_topk_pattern", "FFSFS")), wanted);
  auto frequency = json;
  frequency.set("index_topk_freq", 2).set("index_skip_topk_offset", 2);
  EXPECT_EQ(owners(frequency), wanted);
  EXPECT_NE(refusal(listed.set("indexer_types",
                               Value::Array{"shared", "full", "shared", "full", "shared"})),
            "");
  EXPECT_NE(refusal(pattern.set("index_topk_pattern", "FFSXS")), "");
  EXPECT_NE(refusal(pattern.set("index_topk_pattern", "FF")), "");
}

// The members that GLM-5.2's published config.json has, at sizes of a test.
TEST(Config, ReadsGlmsPublishedKeys) {
  const auto json = schemas::parse_json(R"({
    "architectures": ["GlmMoeDsaForCausalLM"], "attention_bias": false, "attention_dropout": 0.0,
    "dtype": "bfloat16", "eos_token_id": [60, 61, 62], "ep_size": 1, "first_k_dense_replace": 1,
    "hidden_act": "silu", "head_dim": 8, "hidden_size": 32, "index_head_dim": 8,
    "index_n_heads": 2, "index_share_for_mtp_iteration": true, "index_skip_topk_offset": 1,
    "index_topk": 4, "index_topk_freq": 4, "indexer_rope_interleave": true,
    "indexer_types": ["full", "shared"], "initializer_range": 0.02, "intermediate_size": 64,
    "kv_lora_rank": 8, "max_position_embeddings": 202752, "mlp_layer_types": ["dense", "sparse"],
    "model_type": "glm_moe_dsa", "moe_intermediate_size": 16, "moe_layer_freq": 1,
    "moe_router_dtype": "float32", "n_group": 1, "n_routed_experts": 4, "n_shared_experts": 1,
    "norm_topk_prob": true, "num_attention_heads": 4, "num_experts_per_tok": 2,
    "num_hidden_layers": 2, "num_key_value_heads": 4, "num_nextn_predict_layers": 1,
    "pad_token_id": 60, "pretraining_tp": 1, "q_lora_rank": 16, "qk_head_dim": 12,
    "qk_nope_head_dim": 8, "qk_rope_head_dim": 4, "rms_norm_eps": 1e-05, "rope_interleave": true,
    "rope_parameters": {"rope_theta": 8000000, "rope_type": "default"},
    "quantization_config": {"activation_scheme": "dynamic", "fmt": "e4m3", "quant_method": "fp8",
      "weight_block_size": [128, 128], "modules_to_not_convert": ["lm_head"]},
    "routed_scaling_factor": 2.5, "scoring_func": "sigmoid", "tie_word_embeddings": false,
    "topk_group": 1, "topk_method": "noaux_tc", "transformers_version": "5.12.0",
    "use_cache": true, "v_head_dim": 8, "vocab_size": 64})");
  ASSERT_TRUE(json.ok()) << json.error().message;
  const auto config = parse_model_config(*json, "config.json");
  ASSERT_TRUE(config.ok()) << config.error().message;
  EXPECT_EQ(config->rope.theta, 8e6);
  EXPECT_EQ(config->rope.factor, 1.0);
  EXPECT_TRUE(config->quant.fp8);
  EXPECT_FALSE(config->quant.ue8m0);
  EXPECT_EQ(config->layer_owns_indexer, (std::vector<bool>{true, false}));
  EXPECT_EQ(config->eos_token_ids.size(), 3U);
}

TEST(Config, WhatIsWrittenReadsBackAsTheSame) {
  auto glm = kit::tiny_json().set("model_type", "glm_moe_dsa");
  glm.set("architectures", Value::Array{"GlmMoeDsaForCausalLM"});
  glm.set("indexer_types", Value::Array{"full", "shared"}).set("rope_scaling", Value());
  glm.set("mlp_layer_types", Value::Array{"sparse", "dense"}).set("eos_token_id", Value());
  glm.set("bos_token_id", Value()).set("tie_word_embeddings", true);
  for (const auto& json : {kit::tiny_json(), glm}) {
    const auto config = parse_model_config(json, "x");
    ASSERT_TRUE(config.ok()) << config.error().message;
    const auto written = to_json(*config);
    const auto again = parse_model_config(written, "y");
    ASSERT_TRUE(again.ok()) << again.error().message;
    EXPECT_EQ(to_json(*again), written);
    EXPECT_EQ(again->inverse_frequencies(), config->inverse_frequencies());
    EXPECT_EQ(again->softmax_scale(), config->softmax_scale());
    EXPECT_EQ(again->layer_is_moe, config->layer_is_moe);
    EXPECT_EQ(again->layer_owns_indexer, config->layer_owns_indexer);
    EXPECT_EQ(again->eos_token_ids, config->eos_token_ids);
  }
  for (const auto& name : named_configs()) {
    const auto config = named_config(name);
    ASSERT_TRUE(config.ok()) << config.error().message;
    EXPECT_TRUE(parse_model_config(to_json(*config), name).ok());
  }
  EXPECT_FALSE(named_config("midd").ok());
}

}  // namespace
}  // namespace seedbed::engine
