#include "engine/config.h"

#include <algorithm>

#include "engine/config_read.h"
#include "engine/shown.h"

namespace seedbed::engine {
namespace {

constexpr int kMaxLayers = 1024;
constexpr int kMaxExperts = 1 << 18;
constexpr int kMaxWidth = 1 << 18;  // of anything that a row of a weight can be long

// Members whose value changes nothing that inference computes here, each with its reason.
constexpr const char* kIgnored[] = {
    // how it was made, or which program reads it
    "transformers_version",
    "auto_map",
    "_name_or_path",
    "name_or_path",
    // training only
    "initializer_range",
    "attention_dropout",
    "aux_loss_alpha",
    "seq_aux",
    "router_aux_loss_coef",
    "output_router_logits",
    // layout of other programs' work; the weights' own headers say what they are stored as
    "ep_size",
    "pretraining_tp",
    "use_cache",
    "dtype",
    "torch_dtype",
    // derived there from other members (head_dim is overwritten by qk_rope_head_dim)
    "head_dim",
    // how later drafts of one prediction layer choose positions; the model itself checks every
    // draft
    "index_share_for_mtp_iteration",
    // text, not model
    "pad_token_id",
    // of every transformers configuration
    "return_dict",
    "output_hidden_states",
    "output_attentions",
    "chunk_size_feed_forward",
    "id2label",
    "label2id",
    "problem_type",
};

void read_sizes(ConfigReader& in, ModelConfig& c) {
  c.vocab_size = in.integer("vocab_size", 1, 1 << 24);
  c.hidden_size = in.integer("hidden_size", 1, kMaxWidth);
  c.intermediate_size = in.integer("intermediate_size", 1, 1 << 20);
  c.num_hidden_layers = in.integer("num_hidden_layers", 1, kMaxLayers);
  c.num_attention_heads = in.integer("num_attention_heads", 1, 4096);
  c.q_lora_rank = in.integer("q_lora_rank", 1, kMaxWidth);
  c.kv_lora_rank = in.integer("kv_lora_rank", 1, 1 << 16);
  c.qk_nope_head_dim = in.integer("qk_nope_head_dim", 1, 4096);
  c.qk_rope_head_dim = in.integer("qk_rope_head_dim", 2, 4096);
  c.v_head_dim = in.integer("v_head_dim", 1, 4096);
  c.index_n_heads = in.integer("index_n_heads", 1, 1024);
  c.index_head_dim = in.integer("index_head_dim", 2, 4096);
  c.index_topk = in.integer("index_topk", 1, 1 << 20);
  c.rms_norm_eps = in.number("rms_norm_eps", 1e-12, 1.0);
  c.max_position_embeddings = in.integer("max_position_embeddings", 1, 1 << 30);
  c.num_nextn_predict_layers = in.integer("num_nextn_predict_layers", 0, 16, 0);
  c.tie_word_embeddings = in.boolean("tie_word_embeddings", false);
}

void read_experts(ConfigReader& in, ModelConfig& c) {
  c.moe_intermediate_size = in.integer("moe_intermediate_size", 1, 1 << 20);
  c.n_shared_experts = in.integer("n_shared_experts", 0, 64);
  c.num_experts_per_tok = in.integer("num_experts_per_tok", 1, 256);
  c.n_group = in.integer("n_group", 1, 4096, 1);
  c.topk_group = in.integer("topk_group", 1, 4096, 1);
  c.routed_scaling_factor = in.number("routed_scaling_factor", 1e-6, 1e6, 1.0);
  c.norm_topk_prob = in.boolean("norm_topk_prob", true);
  // transformers knows three names for one count.
  const int names[] = {in.integer("n_routed_experts", 0, 1 << 16, -1),
                       in.integer("num_experts", 0, 1 << 16, -1),
                       in.integer("num_local_experts", 0, 1 << 16, -1)};
  for (const int n : names) {
    if (n < 0) continue;
    if (c.n_routed_experts != 0 && c.n_routed_experts != n)
      in.refuse("n_routed_experts", "is not what num_experts says", "give one of the two");
    c.n_routed_experts = n;
  }
}

// A list of one word a layer; nullptr where absent.
const schemas::Value::Array* layer_words(ConfigReader& in, const char* key, int at_least) {
  const auto* value = in.any(key);
  if (value == nullptr) return nullptr;
  const auto words = std::to_string(at_least) + " strings, one a layer";
  if (!value->is_array() || value->items().size() < static_cast<std::size_t>(at_least)) {
    in.refuse(key, "is no list of at least one word a layer, wanted " + words, "correct the list");
    return nullptr;
  }
  for (const auto& word : value->items())
    if (!word.is_string()) {
      in.refuse(key, "holds what is no string, wanted " + words, "correct the list");
      return nullptr;
    }
  return &value->items();
}

// The words of the list as booleans: yes, or one of the words of no; anything else is refused. What
// stands beyond the last layer (multi-token prediction) must be `yes`.
std::vector<bool> layer_flags(ConfigReader& in,
                              const char* key,
                              const schemas::Value::Array& words,
                              const ModelConfig& c,
                              std::string_view yes,
                              std::string_view no) {
  std::vector<bool> out;
  const auto most = static_cast<std::size_t>(c.num_hidden_layers + c.num_nextn_predict_layers);
  if (words.size() > most)
    in.refuse(key, "has " + std::to_string(words.size()) + " words, wanted one a layer",
              "correct the list");
  for (std::size_t i = 0; i < words.size() && !in.failed(); ++i) {
    const auto& word = words[i].as_string();
    const bool is_layer = i < static_cast<std::size_t>(c.num_hidden_layers);
    if (word != yes && (word != no || !is_layer))
      in.refuse(key,
                "found " + shown_name(word) + " for layer " + std::to_string(i) + ", wanted " +
                    std::string(yes) + (is_layer ? " or " + std::string(no) : ""),
                "correct the list");
    if (is_layer) out.push_back(word == yes);
  }
  return out;
}

void read_mlp_types(ConfigReader& in, ModelConfig& c) {
  const auto layers = static_cast<std::size_t>(c.num_hidden_layers);
  const bool listed = in.has("mlp_layer_types");
  // transformers writes both; the list decides there too.
  const int dense = in.integer("first_k_dense_replace", 0, kMaxLayers,
                               listed ? std::optional<int>(0) : std::nullopt);
  const auto* words = layer_words(in, "mlp_layer_types", c.num_hidden_layers);
  if (in.failed()) return;
  if (words != nullptr) {
    c.layer_is_moe = layer_flags(in, "mlp_layer_types", *words, c, "sparse", "dense");
  } else {
    c.layer_is_moe.assign(layers, true);
    for (std::size_t i = 0; i < std::min(layers, static_cast<std::size_t>(dense)); ++i)
      c.layer_is_moe[i] = false;
  }
}

// Which layers select for themselves. GLM's rules, in transformers' order: the list, a pattern of F
// and S, or every freq-th layer after an offset.
void read_indexer_types(ConfigReader& in, ModelConfig& c) {
  c.layer_owns_indexer.assign(static_cast<std::size_t>(c.num_hidden_layers), true);
  const auto* words = layer_words(in, "indexer_types", c.num_hidden_layers);
  const auto pattern = in.text("index_topk_pattern", "");
  const int freq = std::max(in.integer("index_topk_freq", 0, kMaxLayers, 1), 1);
  const int offset = in.integer("index_skip_topk_offset", 0, kMaxLayers, 2);
  if (in.failed()) return;
  if (words != nullptr) {
    c.layer_owns_indexer = layer_flags(in, "indexer_types", *words, c, "full", "shared");
  } else if (!pattern.empty()) {
    schemas::Value::Array spelled;
    for (const char letter : pattern)
      spelled.emplace_back(letter == 'F'   ? std::string("full")
                           : letter == 'S' ? std::string("shared")
                                           : std::string(1, letter));
    if (spelled.size() < c.layer_owns_indexer.size())
      in.refuse("index_topk_pattern", "is shorter than the layers are many", "one letter a layer");
    c.layer_owns_indexer = layer_flags(in, "index_topk_pattern", spelled, c, "full", "shared");
  } else {
    for (int i = 0; i < c.num_hidden_layers; ++i)
      c.layer_owns_indexer[static_cast<std::size_t>(i)] = std::max(i - offset + 1, 0) % freq == 0;
  }
  if (in.failed()) return;
  if (!c.layer_owns_indexer[0])
    in.refuse("indexer_types", "layer 0 shares a selection that no earlier layer makes",
              "make layer 0 full");
  if (c.architecture == Architecture::deepseek_v32 &&
      !std::all_of(c.layer_owns_indexer.begin(), c.layer_owns_indexer.end(),
                   [](bool owns) { return owns; }))
    in.refuse("indexer_types", "deepseek_v32 has an indexer in every layer", "use glm_moe_dsa");
}

void read_tokens(ConfigReader& in, ModelConfig& c) {
  c.bos_token_id = in.integer("bos_token_id", -1, c.vocab_size - 1, -1);
  c.eos_token_ids.clear();
  const auto* eos = in.any("eos_token_id");
  if (eos == nullptr) return;
  const auto one = [&](const schemas::Value& id) {
    if (id.is_int() && id.as_int() >= 0 && id.as_int() < c.vocab_size)
      c.eos_token_ids.push_back(static_cast<int>(id.as_int()));
    else
      in.refuse("eos_token_id", "found " + shown(id) + ", wanted ids below vocab_size",
                "correct the value");
  };
  if (!eos->is_array()) return one(*eos);
  if (eos->items().size() > 64) return in.refuse("eos_token_id", "holds over 64 ids", "give fewer");
  for (const auto& id : eos->items()) one(id);
}

void must_be(ConfigReader& in, const char* key, bool wanted) {
  if (in.boolean(key, wanted) != wanted)
    in.refuse(key, std::string("wanted ") + (wanted ? "true" : "false"),
              "this engine computes no other");
}

void must_be(ConfigReader& in, const char* key, const char* wanted) {
  const auto found = in.text(key, wanted);
  if (found != wanted)
    in.refuse(key, "found " + shown_name(found) + ", wanted '" + std::string(wanted) + "'",
              "this engine computes no other");
}

void must_be(ConfigReader& in, const char* key, int wanted) {
  const int found = in.integer(key, 0, 1 << 30, wanted);
  if (found != wanted)
    in.refuse(key, "found " + std::to_string(found) + ", wanted " + std::to_string(wanted),
              "this engine computes no other");
}

void read_switches(ConfigReader& in, const ModelConfig& c) {
  const bool glm = c.architecture == Architecture::glm_moe_dsa;
  must_be(in, "attention_bias", false);
  must_be(in, "mlp_bias", false);
  must_be(in, "is_encoder_decoder", false);
  must_be(in, "rope_interleave", true);
  must_be(in, "hidden_act", "silu");
  must_be(in, "scoring_func", "sigmoid");
  must_be(in, "topk_method", "noaux_tc");
  must_be(in, "moe_router_dtype", "float32");
  must_be(in, "moe_layer_freq", 1);
  must_be(in, "num_key_value_heads", c.num_attention_heads);
  must_be(in, "qk_head_dim", c.qk_head_dim());
  if (const auto* names = in.any("architectures")) {
    const std::string wanted = glm ? "GlmMoeDsaForCausalLM" : "DeepseekV32ForCausalLM";
    if (*names != schemas::Value(schemas::Value::Array{wanted}))
      in.refuse("architectures", "found " + shown(*names) + ", wanted [\"" + wanted + "\"]",
                "this engine computes no other");
  }
  if (const auto* words = layer_words(in, "layer_types", c.num_hidden_layers))
    for (const auto& word : *words)
      if (word.as_string() != "indexed_attention" &&
          word.as_string() != "deepseek_sparse_attention")
        in.refuse("layer_types",
                  "found " + shown_name(word.as_string()) + ", wanted indexed_attention",
                  "this engine computes no other");
}

// Sizes that do not fit together.
void check(ConfigReader& in, const ModelConfig& c) {
  const bool any_moe =
      std::any_of(c.layer_is_moe.begin(), c.layer_is_moe.end(), [](bool moe) { return moe; }) ||
      c.num_nextn_predict_layers > 0;
  if (c.qk_rope_head_dim % 2 != 0)
    in.refuse("qk_rope_head_dim", "is odd, wanted pairs", "correct the value");
  if (c.qk_rope_head_dim > c.index_head_dim)
    in.refuse("index_head_dim", "is below qk_rope_head_dim, which it begins with",
              "correct the value");
  if ((c.index_head_dim & (c.index_head_dim - 1)) != 0)
    in.refuse("index_head_dim", "is no power of two, which the rotation of index keys needs",
              "correct the value");
  if (c.n_shared_experts * static_cast<std::int64_t>(c.moe_intermediate_size) > (1 << 24))
    in.refuse("n_shared_experts", "times moe_intermediate_size is over 16,777,216",
              "correct the value");
  if (!any_moe) return;
  // Each expert is three rows of the table of tensors; this bounds what a hostile file can ask for.
  const auto layers =
      std::count(c.layer_is_moe.begin(), c.layer_is_moe.end(), true) + c.num_nextn_predict_layers;
  if (layers * c.n_routed_experts > kMaxExperts)
    return in.refuse("n_routed_experts", "makes over 262,144 experts in all layers",
                     "correct the value");
  if (c.n_routed_experts < 2)
    return in.refuse("n_routed_experts", "is below 2 though layers have experts",
                     "correct the value");
  if (c.n_routed_experts % c.n_group != 0 || c.n_routed_experts / c.n_group < 2)
    return in.refuse("n_group", "does not divide n_routed_experts into groups of 2 or more",
                     "correct the value");
  if (c.topk_group > c.n_group)
    return in.refuse("topk_group", "is over n_group", "correct the value");
  if (c.num_experts_per_tok > c.topk_group * (c.n_routed_experts / c.n_group))
    in.refuse("num_experts_per_tok", "is more than the kept groups hold", "correct the value");
}

}  // namespace

void read_quantization(ConfigReader& in, std::string_view where, ModelConfig& c) {
  const auto* json = in.any("quantization_config");
  c.quant = {};
  if (json == nullptr || in.failed()) return;
  ConfigReader quant(*json, where, "quantization_config.");
  if (!quant.failed()) {
    c.quant.fp8 = true;
    must_be(quant, "quant_method", "fp8");
    must_be(quant, "fmt", "e4m3");
    must_be(quant, "activation_scheme", "dynamic");
    if (!quant.has("quant_method"))
      quant.refuse("quant_method", "is absent, wanted fp8", "add it to the file");
    const auto* block = quant.any("weight_block_size");
    if (block == nullptr || *block != schemas::Value(schemas::Value::Array{128, 128}))
      quant.refuse("weight_block_size", "wanted [128,128]", "this engine computes no other");
    const auto scale = quant.text("scale_fmt", "");
    if (!scale.empty() && scale != "ue8m0" && scale != "float")
      quant.refuse("scale_fmt", "found " + shown_name(scale) + ", wanted ue8m0 or float",
                   "this engine computes no other");
    c.quant.ue8m0 = scale == "ue8m0";
    // Which modules stay unquantised: the weights' headers say that themselves.
    quant.ignore("modules_to_not_convert");
    quant.ignore("ignored_layers");
  }
  if (auto error = quant.finish()) in.refuse("quantization_config", error->message, "");
}

Result<ModelConfig> parse_model_config(const schemas::Value& json, std::string_view where) {
  ConfigReader in(json, where);
  if (auto error = in.failed() ? in.finish() : Step()) return *std::move(error);
  ModelConfig c;
  const auto type = in.text("model_type", "");
  if (type == "glm_moe_dsa")
    c.architecture = Architecture::glm_moe_dsa;
  else if (type != "deepseek_v32")
    in.refuse("model_type", "found " + shown_name(type) + ", wanted deepseek_v32 or glm_moe_dsa",
              "this engine computes no other");
  if (auto error = in.failed() ? in.finish() : Step()) return *std::move(error);
  read_sizes(in, c);
  read_experts(in, c);
  if (auto error = in.failed() ? in.finish() : Step()) return *std::move(error);
  read_mlp_types(in, c);
  read_indexer_types(in, c);
  c.indexer_rope_interleave =
      in.boolean("indexer_rope_interleave", c.architecture == Architecture::glm_moe_dsa);
  read_tokens(in, c);
  read_rope(in, where, c);
  read_quantization(in, where, c);
  read_switches(in, c);
  check(in, c);
  for (const char* key : kIgnored) in.ignore(key);
  if (auto error = in.finish()) return *std::move(error);
  return c;
}

Result<ModelConfig> read_model_config(const std::string& dir) {
  const auto path = dir + "/config.json";
  SEEDBED_TRY(const auto json, schemas::read_json_file(path));
  return parse_model_config(json, path);
}

}  // namespace seedbed::engine
