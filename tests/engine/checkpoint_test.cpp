#include "engine/checkpoint.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "checkpoint_kit.h"
#include "engine/checkpoint_headers.h"
#include "engine/memory_plan.h"

namespace seedbed::engine {
namespace {

using kit::Folder;
using schemas::Value;

bool says(const std::string& message, const std::string& part) {
  return message.find(part) != std::string::npos;
}

// A checkpoint in memory: what a test changes before it writes it as one file.
struct Stored {
  StoredType type = StoredType::f32;
  std::vector<std::int64_t> shape;
  std::string bytes;
};
using Tensors = std::map<std::string, Stored>;

Tensors read_all(const std::string& dir) {
  Tensors out;
  const auto files = checkpoint_files(dir);
  EXPECT_TRUE(files.ok());
  for (const auto& name : *files) {
    const auto file = SafetensorsFile::open(dir + "/" + name);
    EXPECT_TRUE(file.ok());
    for (const auto& tensor : file->header().tensors)
      out[tensor.name] = {tensor.dtype, tensor.shape,
                          std::string(reinterpret_cast<const char*>(file->data(tensor)),
                                      static_cast<std::size_t>(tensor.bytes()))};
  }
  return out;
}

// Widest elements first, as every writer of the format does.
struct File {
  std::string json, payload;
};
File file_of(const Tensors& tensors) {
  Value json = Value::object();
  std::string payload;
  for (const std::uint64_t width : {4U, 2U, 1U})
    for (const auto& [name, tensor] : tensors) {
      if (stored_type_bytes(tensor.type) != width) continue;
      Value shape = Value::array();
      for (const auto n : tensor.shape) shape.push(n);
      const auto begin = static_cast<std::int64_t>(payload.size());
      payload += tensor.bytes;
      json.members().emplace_back(
          name,
          Value::object()
              .set("dtype", stored_type_name(tensor.type))
              .set("shape", shape)
              .set("data_offsets", Value::Array{begin, static_cast<std::int64_t>(payload.size())}));
    }
  return {schemas::dump(json), payload};
}
std::string file_bytes(const Tensors& tensors) {
  auto file = file_of(tensors);
  file.json.resize((file.json.size() + 7) / 8 * 8, ' ');
  return kit::header_bytes(file.json) + file.payload;
}

class CheckpointFolder : public testing::Test {
 protected:
  // Starts from a made model and is then rewritten as one file.
  void make(DType dtype, const ModelConfig& config = kit::tiny_config()) {
    const auto dir = kit::made_model(source_, dtype, config);
    tensors_ = read_all(dir);
    std::filesystem::copy_file(dir + "/config.json", folder_ / "config.json");
  }
  void write() { kit::write_bytes(folder_ / "model.safetensors", file_bytes(tensors_)); }
  void edit_config(const char* key, Value value) {
    auto json = schemas::read_json_file(folder_ / "config.json");
    json->set(key, std::move(value));
    kit::write_bytes(folder_ / "config.json", schemas::dump(*json));
  }
  std::string refusal() {
    write();
    const auto checkpoint = Checkpoint::open(folder_.path());
    if (checkpoint.ok()) return "";
    EXPECT_EQ(checkpoint.error().where, Where::config);
    return checkpoint.error().message;
  }

  Folder source_, folder_;
  Tensors tensors_;
};

constexpr const char* kQa = "model.layers.0.self_attn.q_a_proj.weight";

TEST(ExpectedTensors, CloseOnThePublishedTotals) {
  const auto config = named_config("deepseek-v3.2");
  ASSERT_TRUE(config.ok());
  const auto wanted = schemas::read_json_file(std::string(SEEDBED_SOURCE_DIR) +
                                              "/tests/data/engine/checkpoint_totals.json");
  ASSERT_TRUE(wanted.ok());
  const auto totals = published_totals(*config);
  EXPECT_EQ(static_cast<std::int64_t>(totals.tensors), wanted->integer("tensors"));
  EXPECT_EQ(static_cast<std::int64_t>(totals.elements), wanted->integer("numel"));
  EXPECT_EQ(static_cast<std::int64_t>(totals.payload_bytes), wanted->integer("payload_bytes"));
  EXPECT_EQ(static_cast<std::int64_t>(totals.scale_elements), wanted->integer("scale_elements"));

  const auto parameters = parameter_counts(*config);
  EXPECT_NEAR(static_cast<double>(parameters.total), 671.9e9, 0.05e9);
  EXPECT_NEAR(static_cast<double>(parameters.active), 37.6e9 + 0.85e9, 0.1e9);
}

// The published checkpoint's headers over holes: 163 files, no payload anywhere.
TEST(ExpectedTensors, AFolderOfHeadersGivesThePublishedTotals) {
  const auto config = named_config("deepseek-v3.2");
  ASSERT_TRUE(config.ok());
  const Folder folder;
  kit::write_bytes(folder / "config.json", schemas::dump(to_json(*config)));
  constexpr std::size_t kShards = 163;
  std::vector<Value> headers(kShards, Value::object());
  std::vector<std::int64_t> sizes(kShards, 0);
  Value map = Value::object();
  const auto name_of = [](std::size_t i) {
    const auto n = std::to_string(i + 1);
    return "model-" + std::string(5 - n.size(), '0') + n + "-of-000163.safetensors";
  };
  std::size_t at = 0;
  const auto add = [&](const std::string& name, StoredType type,
                       const std::vector<std::int64_t>& shape) {
    const auto i = at++ % kShards;
    auto bytes = static_cast<std::int64_t>(stored_type_bytes(type));
    Value sizes_json = Value::array();
    for (const auto n : shape) {
      bytes *= n;
      sizes_json.push(n);
    }
    // Every size is a multiple of 4, so the order does not matter.
    headers[i].members().emplace_back(
        name, Value::object()
                  .set("dtype", stored_type_name(type))
                  .set("shape", sizes_json)
                  .set("data_offsets", Value::Array{sizes[i], sizes[i] + bytes}));
    sizes[i] += bytes;
    map.members().emplace_back(name, name_of(i));
  };
  for (const auto& row : expected_tensors(*config)) {
    if (row.kind == TensorKind::vector) add(row.name, StoredType::f32, row.shape);
    if (row.kind == TensorKind::matrix) add(row.name, StoredType::bf16, row.shape);
    if (row.kind != TensorKind::linear) continue;
    add(row.name, StoredType::f8_e4m3, row.shape);
    add(scale_name(row.name), StoredType::f32, scale_shape(row.shape));
  }
  std::int64_t on_disk = 0;
  for (std::size_t i = 0; i < kShards; ++i) {
    auto text = schemas::dump(headers[i]);
    text.resize((text.size() + 7) / 8 * 8, ' ');
    kit::write_bytes(folder / name_of(i), kit::header_bytes(text));
    ASSERT_EQ(
        truncate((folder / name_of(i)).c_str(), static_cast<off_t>(8 + text.size()) + sizes[i]), 0);
    on_disk += static_cast<std::int64_t>(text.size());
  }
  kit::write_bytes(folder / "model.safetensors.index.json",
                   schemas::dump(Value::object().set("weight_map", std::move(map))));
  EXPECT_LT(on_disk, 64 << 20);

  const auto read = read_checkpoint_headers(folder.path());
  ASSERT_TRUE(read.ok()) << read.error().message;
  const auto totals = totals_of(*read);
  EXPECT_EQ(totals.tensors, 92'425U);
  EXPECT_EQ(totals.elements, 685'396'921'376U);
  EXPECT_EQ(totals.payload_bytes, 689'471'107'200U);
  EXPECT_EQ(totals.shards, 163U);
  EXPECT_EQ(totals.scale_elements, 41'591'584U);
  const auto matched = match_headers(*read, expected_tensors(read->config));
  EXPECT_TRUE(matched.problems.empty()) << matched.problems[0].message;
}

TEST(ExpectedTensors, GlmLayersThatShareHaveNoIndexer) {
  auto config = kit::tiny_config();
  config.architecture = Architecture::glm_moe_dsa;
  config.layer_owns_indexer = {true, false};
  std::set<std::string> names;
  for (const auto& row : expected_tensors(config)) EXPECT_TRUE(names.insert(row.name).second);
  EXPECT_TRUE(names.contains("model.layers.0.self_attn.indexer.wk.weight"));
  EXPECT_FALSE(names.contains("model.layers.1.self_attn.indexer.wk.weight"));
  EXPECT_TRUE(names.contains("model.layers.2.self_attn.indexer.wk.weight"));  // prediction
}

TEST(CanonicalName, TranslatesTheDemosNames) {
  const std::pair<const char*, const char*> rows[] = {
      {"embed.weight", "model.embed_tokens.weight"},
      {"head.weight", "lm_head.weight"},
      {"norm.weight", "model.norm.weight"},
      {"layers.3.attn_norm.weight", "model.layers.3.input_layernorm.weight"},
      {"layers.3.ffn_norm.weight", "model.layers.3.post_attention_layernorm.weight"},
      {"layers.3.attn.wq_a.scale", "model.layers.3.self_attn.q_a_proj.weight_scale_inv"},
      {"layers.3.attn.wq_b.weight", "model.layers.3.self_attn.q_b_proj.weight"},
      {"layers.3.attn.q_norm.weight", "model.layers.3.self_attn.q_a_layernorm.weight"},
      {"layers.3.attn.wkv_a.weight", "model.layers.3.self_attn.kv_a_proj_with_mqa.weight"},
      {"layers.3.attn.kv_norm.weight", "model.layers.3.self_attn.kv_a_layernorm.weight"},
      {"layers.3.attn.wkv_b.weight", "model.layers.3.self_attn.kv_b_proj.weight"},
      {"layers.3.attn.wo.weight", "model.layers.3.self_attn.o_proj.weight"},
      {"layers.3.attn.indexer.wq_b.weight", "model.layers.3.self_attn.indexer.wq_b.weight"},
      {"layers.3.attn.indexer.k_norm.bias", "model.layers.3.self_attn.indexer.k_norm.bias"},
      {"layers.3.ffn.gate.weight", "model.layers.3.mlp.gate.weight"},
      {"layers.3.ffn.gate.bias", "model.layers.3.mlp.gate.e_score_correction_bias"},
      {"layers.3.ffn.experts.7.w1.weight", "model.layers.3.mlp.experts.7.gate_proj.weight"},
      {"layers.3.ffn.experts.7.w2.scale",
       "model.layers.3.mlp.experts.7.down_proj.weight_scale_inv"},
      {"layers.3.ffn.shared_experts.w3.weight", "model.layers.3.mlp.shared_experts.up_proj.weight"},
      {"model.layers.3.mlp.gate.weight", "model.layers.3.mlp.gate.weight"},
      {"lm_head.weight", "lm_head.weight"},
      {"other", "other"},
  };
  for (const auto& [demo, published] : rows) EXPECT_EQ(canonical_name(demo), published);
}

TEST_F(CheckpointFolder, FindsEveryTensorOfTheTable) {
  for (const auto dtype : {DType::f8, DType::bf16, DType::f32}) {
    const Folder folder;
    const auto checkpoint = Checkpoint::open(kit::made_model(folder, dtype));
    ASSERT_TRUE(checkpoint.ok()) << checkpoint.error().message;
    for (const auto& row : checkpoint->tensors()) {
      const auto view = checkpoint->find(row.name);
      ASSERT_TRUE(view.ok()) << view.error().message;
      EXPECT_TRUE(std::equal(view->shape.begin(), view->shape.end(), row.shape.begin()));
      EXPECT_EQ(view->scale != nullptr, dtype == DType::f8 && row.kind == TensorKind::linear);
      EXPECT_TRUE(row.kind != TensorKind::linear || view->dtype == dtype);
    }
    EXPECT_FALSE(checkpoint->check_finite(2));
    const auto none = checkpoint->find("model.layers.0.self_attn.q_a_pro.weight");
    ASSERT_FALSE(none.ok());
    EXPECT_TRUE(says(none.error().message, "did you mean")) << none.error().message;
  }
}

TEST_F(CheckpointFolder, ReadsTheDemosNames) {
  make(DType::f8);
  std::map<std::string, std::string> demo;  // by published name
  const std::pair<std::string, std::string> words[] = {{"model.", ""},
                                                       {"self_attn", "attn"},
                                                       {"mlp", "ffn"},
                                                       {"weight_scale_inv", "scale"},
                                                       {"e_score_correction_bias", "bias"},
                                                       {"post_attention_layernorm", "ffn_norm"},
                                                       {"input_layernorm", "attn_norm"},
                                                       {"q_a_layernorm", "q_norm"},
                                                       {"kv_a_layernorm", "kv_norm"},
                                                       {"q_a_proj", "wq_a"},
                                                       {"q_b_proj", "wq_b"},
                                                       {"kv_a_proj_with_mqa", "wkv_a"},
                                                       {"kv_b_proj", "wkv_b"},
                                                       {"o_proj", "wo"},
                                                       {"gate_proj", "w1"},
                                                       {"down_proj", "w2"},
                                                       {"up_proj", "w3"},
                                                       {"lm_head", "head"},
                                                       {"embed_tokens", "embed"}};
  Tensors renamed;
  for (auto& [name, tensor] : tensors_) {
    auto other = name;
    for (const auto& [from, to] : words)
      if (const auto at = other.find(from); at != std::string::npos)
        other.replace(at, from.size(), to);
    renamed[other] = tensor;
  }
  ASSERT_TRUE(renamed.contains("layers.1.ffn.experts.3.w2.scale"));
  const auto before = tensors_;
  tensors_ = renamed;
  write();
  const auto checkpoint = Checkpoint::open(folder_.path());
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.error().message;
  const auto view = checkpoint->find(kQa);
  ASSERT_TRUE(view.ok());
  EXPECT_EQ(std::memcmp(view->data, before.at(kQa).bytes.data(), before.at(kQa).bytes.size()), 0);
}

TEST_F(CheckpointFolder, ReadsPackedExperts) {
  make(DType::bf16);
  const auto before = tensors_;
  for (const char* layer : {"1", "2"}) {
    const auto prefix = std::string("model.layers.") + layer + ".mlp.experts.";
    Stored gate_up{StoredType::bf16, {4, 96, 144}, {}}, down{StoredType::bf16, {4, 144, 48}, {}};
    for (int e = 0; e < 4; ++e) {
      const auto expert = prefix + std::to_string(e) + ".";
      for (const char* part : {"gate_proj.weight", "up_proj.weight"}) {
        gate_up.bytes += tensors_.at(expert + part).bytes;
        tensors_.erase(expert + part);
      }
      down.bytes += tensors_.at(expert + "down_proj.weight").bytes;
      tensors_.erase(expert + "down_proj.weight");
    }
    tensors_[prefix + "gate_up_proj"] = gate_up;
    tensors_[prefix + "down_proj"] = down;
  }
  write();
  const auto checkpoint = Checkpoint::open(folder_.path());
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.error().message;
  for (const auto& row : checkpoint->tensors()) {
    const auto view = checkpoint->find(row.name);
    ASSERT_TRUE(view.ok());
    EXPECT_EQ(
        std::memcmp(view->data, before.at(row.name).bytes.data(), before.at(row.name).bytes.size()),
        0)
        << row.name;
  }
  tensors_["model.layers.1.mlp.experts.down_proj"].shape = {4, 48, 144};
  EXPECT_TRUE(says(refusal(), "experts.down_proj"));
}

TEST_F(CheckpointFolder, CopiesOfEmbeddingAndHeadMayBeLeftOut) {
  make(DType::bf16);
  tensors_.erase("model.layers.2.embed_tokens.weight");
  tensors_.erase("model.layers.2.shared_head.head.weight");
  write();
  auto checkpoint = Checkpoint::open(folder_.path());
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.error().message;
  EXPECT_EQ(checkpoint->find("model.layers.2.embed_tokens.weight")->data,
            checkpoint->find("model.embed_tokens.weight")->data);
  EXPECT_EQ(checkpoint->find("model.layers.2.shared_head.head.weight")->data,
            checkpoint->find("lm_head.weight")->data);
  // Tied: the head is the embedding.
  tensors_.erase("lm_head.weight");
  EXPECT_TRUE(says(refusal(), "lm_head.weight"));
  edit_config("tie_word_embeddings", true);
  checkpoint = Checkpoint::open(folder_.path());
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.error().message;
  EXPECT_EQ(checkpoint->find("lm_head.weight")->data,
            checkpoint->find("model.embed_tokens.weight")->data);
}

TEST_F(CheckpointFolder, WhatDoesNotFitIsNamed) {
  make(DType::f8);
  const auto whole = tensors_;
  const auto changed = [&](const auto& change) {
    tensors_ = whole;
    change();
    return refusal();
  };
  EXPECT_EQ(changed([] {}), "");
  auto message = changed([&] { tensors_.erase(kQa); });
  EXPECT_TRUE(says(message, "missing") && says(message, kQa)) << message;
  message = changed([&] { tensors_.erase(scale_name(kQa)); });
  EXPECT_TRUE(says(message, "missing") && says(message, scale_name(kQa))) << message;
  message = changed([&] { tensors_["model.layers.0.self_attn.q_a_prj.weight"] = tensors_[kQa]; });
  EXPECT_TRUE(says(message, "belong to no layer") && says(message, kQa)) << message;
  message = changed([&] {
    tensors_["model.layers.0.self_attn.q_a_prj.weight"] = tensors_[kQa];
    tensors_.erase(kQa);
  });
  EXPECT_TRUE(says(message, "q_a_prj")) << message;
  message = changed([&] { tensors_[kQa].shape = {144, 40}; });
  EXPECT_TRUE(says(message, "[144,40], wanted [40,144]")) << message;
  message = changed([&] {
    auto& norm = tensors_["model.norm.weight"];
    norm.type = StoredType::f16;
    norm.bytes.resize(norm.bytes.size() / 2);
  });
  EXPECT_TRUE(says(message, "F16") && says(message, "wanted BF16 or F32")) << message;
  message = changed([&] { tensors_[kQa].type = StoredType::f8_e5m2; });
  EXPECT_TRUE(says(message, "F8_E5M2") && says(message, "F8_E4M3")) << message;
  message = changed([&] { tensors_[scale_name(kQa)].shape = {2, 1}; });
  EXPECT_TRUE(says(message, "wanted F32 [1,2]")) << message;
  message = changed([&] {
    auto& embed = tensors_["model.embed_tokens.weight"];
    embed.type = StoredType::f8_e4m3;
    embed.bytes.resize(embed.bytes.size() / 2);
  });
  EXPECT_TRUE(says(message, "F8_E4M3") && says(message, "wanted BF16 or F32")) << message;
  message = changed([&] { tensors_["layers.0.attn.wq_a.weight"] = tensors_[kQa]; });
  EXPECT_TRUE(says(message, "stands in")) << message;
  message = changed([&] {
    for (auto it = tensors_.begin(); it != tensors_.end();)
      it = it->first.starts_with("model.layers.2.") ? tensors_.erase(it) : std::next(it);
  });
  EXPECT_TRUE(says(message, "num_nextn_predict_layers to 0")) << message;
  message = changed([&] { edit_config("quantization_config", Value()); });
  EXPECT_TRUE(says(message, "no quantization_config")) << message;
}

TEST_F(CheckpointFolder, LeftoverBuffersAreIgnored) {
  make(DType::f32);
  tensors_["model.layers.0.self_attn.rotary_emb.inv_freq"] = {StoredType::f32, {1}, "abcd"};
  EXPECT_EQ(refusal(), "");
}

TEST_F(CheckpointFolder, NumbersThatAreNotFiniteAreFound) {
  const struct {
    DType dtype;
    const char* name;
    std::size_t element;
    std::string bytes;
    const char* part;
  } rows[] = {
      {DType::f8, kQa, 77, "\x7f", "element 77: found NaN"},
      {DType::f8, kQa, 5759, "\xff", "element 5759: found NaN"},
      {DType::bf16, kQa, 3, std::string("\x80\x7f", 2), "element 3: found NaN"},
      {DType::bf16, "lm_head.weight", 0, std::string("\xc1\xff", 2), "element 0"},
      {DType::f32, kQa, 9, std::string("\x00\x00\x80\xff", 4), "element 9"},
      {DType::f8, "model.norm.weight", 143, std::string("\x00\x00\xc0\x7f", 4), "element 143"},
      {DType::f8, "model.layers.0.self_attn.q_a_proj.weight_scale_inv", 1, std::string(4, '\0'),
       "scale that is not"},
      {DType::f8, "model.layers.0.self_attn.q_a_proj.weight_scale_inv", 0,
       std::string("\x00\x00\x80\xbf", 4), "scale that is not"},
      {DType::f8, "model.layers.0.self_attn.q_a_proj.weight_scale_inv", 0,
       std::string("\x00\x00\x80\x7f", 4), "scale that is not"},
  };
  for (const auto& row : rows) {
    const Folder folder;
    const auto dir = kit::made_model(folder, row.dtype);
    auto tensors = read_all(dir);
    tensors.at(row.name).bytes.replace(row.element * row.bytes.size(), row.bytes.size(), row.bytes);
    const Folder broken;
    std::filesystem::copy_file(dir + "/config.json", broken / "config.json");
    kit::write_bytes(broken / "model.safetensors", file_bytes(tensors));
    const auto checkpoint = Checkpoint::open(broken.path());
    ASSERT_TRUE(checkpoint.ok()) << checkpoint.error().message;
    for (const int threads : {1, 3}) {
      const auto error = checkpoint->check_finite(threads);
      ASSERT_TRUE(error) << row.name;
      EXPECT_TRUE(says(error->message, row.part) && says(error->message, row.name))
          << error->message;
    }
  }
}

TEST_F(CheckpointFolder, FilesAreTakenFromTheIndex) {
  make(DType::bf16);
  write();
  const auto index = folder_ / "model.safetensors.index.json";
  const auto open = [&] {
    const auto checkpoint = Checkpoint::open(folder_.path());
    return checkpoint.ok() ? std::string() : checkpoint.error().message;
  };
  kit::write_bytes(index, R"({"weight_map":{"lm_head.weight":"model.safetensors"}})");
  EXPECT_EQ(open(), "");
  kit::write_bytes(index, R"({"weight_map":{"lm_head.weight":"absent.safetensors"}})");
  EXPECT_TRUE(says(open(), "absent.safetensors"));
  kit::write_bytes(index, R"({"weight_map":{"lm_hed.weight":"model.safetensors"}})");
  EXPECT_TRUE(says(open(), "lacks tensor 'lm_hed.weight'"));
  for (const char* bad : {R"({"weight_map":{"a":"../model.safetensors"}})", R"({"weight_map":{}})",
                          R"({})", "[", R"({"weight_map":{"a":7}})"}) {
    kit::write_bytes(index, bad);
    EXPECT_NE(open(), "") << bad;
  }
  EXPECT_FALSE(Checkpoint::open(folder_ / "nowhere").ok());
  const Folder empty;
  EXPECT_FALSE(Checkpoint::open(empty.path()).ok());
}

TEST_F(CheckpointFolder, TruncatedShardIsRefused) {
  make(DType::f8);
  write();
  const auto path = folder_ / "model.safetensors";
  const auto size = std::filesystem::file_size(path);
  std::filesystem::resize_file(path, size - 1);
  const auto checkpoint = Checkpoint::open(folder_.path());
  ASSERT_FALSE(checkpoint.ok());
  EXPECT_TRUE(says(checkpoint.error().message, "cut short")) << checkpoint.error().message;
}

TEST_F(CheckpointFolder, MisalignedTensorsAreRefused) {
  make(DType::f8);
  auto file = file_of(tensors_);
  while (file.json.size() % 4 != 1) file.json += ' ';
  kit::write_bytes(folder_ / "model.safetensors", kit::header_bytes(file.json) + file.payload);
  const auto checkpoint = Checkpoint::open(folder_.path());
  ASSERT_FALSE(checkpoint.ok());
  EXPECT_TRUE(says(checkpoint.error().message, "multiple of its element"))
      << checkpoint.error().message;
}

}  // namespace
}  // namespace seedbed::engine
