// `seedbed engine` as main calls it: what is refused comes back as an error with exit code 3.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "cli/engine_commands.h"
#include "engine/safetensors.h"

namespace seedbed::cli {
namespace {

namespace fs = std::filesystem;

class EngineCommands : public testing::Test {
 protected:
  EngineCommands() {
    std::string pattern = testing::TempDir() + "seedbed_engine_XXXXXX";
    root_ = mkdtemp(pattern.data());
    std::ofstream(root_ + "/tiny.json") << R"({
      "model_type": "deepseek_v32", "vocab_size": 64, "hidden_size": 64, "intermediate_size": 96,
      "moe_intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
      "q_lora_rank": 32, "kv_lora_rank": 32, "qk_nope_head_dim": 16, "qk_rope_head_dim": 8,
      "v_head_dim": 16, "n_routed_experts": 4, "n_shared_experts": 1, "num_experts_per_tok": 2,
      "index_n_heads": 2, "index_head_dim": 16, "index_topk": 8, "first_k_dense_replace": 1,
      "rms_norm_eps": 1e-06, "max_position_embeddings": 4096})";
  }
  ~EngineCommands() override { fs::remove_all(root_); }
  EngineCommands(const EngineCommands&) = delete;
  EngineCommands& operator=(const EngineCommands&) = delete;

  // The exit code; what stood on stdout is in out_, the refusal in message_.
  int run(const Words& words) {
    Output output;
    Context context{output, stop_};
    testing::internal::CaptureStdout();
    const auto result = cmd_engine(context, words);
    output.finish();
    out_ = testing::internal::GetCapturedStdout();
    message_ = result.ok() ? "" : result.error().message;
    return result.ok() ? *result : exit_code(result.error());
  }
  int make(const std::string& dtype = "fp8") {
    return run({"make-model", "--config", root_ + "/tiny.json", "--seed", "3", "--out", model(),
                "--dtype", dtype});
  }
  int inspect() { return run({"inspect", model(), "--json"}); }
  [[nodiscard]] std::string model() const { return root_ + "/model"; }
  [[nodiscard]] std::string shard() const { return model() + "/model-00001-of-00001.safetensors"; }
  // Replaces text of the shard's header by text of the same length.
  void edit_header(const std::string& from, const std::string& to) {
    ASSERT_EQ(from.size(), to.size());
    std::fstream file(shard(), std::ios::in | std::ios::out | std::ios::binary);
    std::string head(1 << 16, '\0');
    file.read(head.data(), static_cast<std::streamsize>(head.size()));
    file.clear();
    const auto at = head.find(from);
    ASSERT_NE(at, std::string::npos) << from;
    file.seekp(static_cast<std::streamoff>(at));
    file << to;
  }
  void expect_refused(const std::string& part) {
    EXPECT_EQ(inspect(), 3);
    EXPECT_NE(message_.find(part), std::string::npos) << message_;
  }

  std::atomic<bool> stop_{false};
  std::string root_, out_, message_;
};

TEST_F(EngineCommands, MakesAModelThatInspectAccepts) {
  for (const char* dtype : {"fp8", "bf16", "f32"}) {
    ASSERT_EQ(make(dtype), 0) << message_;
    ASSERT_EQ(inspect(), 0) << message_;
    const auto json = schemas::parse_json(out_);
    ASSERT_TRUE(json.ok()) << out_;
    EXPECT_TRUE(json->find("loads")->as_bool());
    EXPECT_TRUE(json->find("missing")->items().empty());
    EXPECT_GT(json->integer("tensors"), 50);
    EXPECT_EQ(json->find("types")->find("F8_E4M3") != nullptr, std::string(dtype) == "fp8");
    // 32 latent codes, a scale, 8 rope numbers; 16 index codes and a scale; 2 layers.
    EXPECT_EQ(json->find("cache")->find("fp8")->integer("bytes_per_token"),
              2 * (32 + 4 + 16 + 16 + 4));
    EXPECT_EQ(run({"inspect", model()}), 0);
    EXPECT_NE(out_.find("every tensor is there"), std::string::npos) << out_;
    fs::remove_all(model());
  }
}

TEST_F(EngineCommands, WhatIsWrongWithTheWordsIsUsage) {
  EXPECT_EQ(run({"inspct", "x"}), 2);
  EXPECT_NE(message_.find("did you mean 'inspect'?"), std::string::npos) << message_;
  EXPECT_EQ(run({"make-model", "--config", "nano"}), 2);
  EXPECT_EQ(run({"make-model", "--config", "nano", "--out", "x", "--dtype", "f16"}), 2);
  EXPECT_EQ(run({"inspect"}), 2);
  EXPECT_EQ(run({}), 2);
  EXPECT_EQ(run({"--help"}), 0);
  EXPECT_NE(out_.find("make-model"), std::string::npos);
  EXPECT_EQ(run({"inspect", "--help"}), 0);
}

TEST_F(EngineCommands, UnknownConfigurationsAreRefused) {
  EXPECT_EQ(run({"make-model", "--config", "nanoo", "--out", model()}), 3);
  EXPECT_NE(message_.find("did you mean 'nano'?"), std::string::npos) << message_;
  EXPECT_EQ(run({"inspect", root_ + "/nowhere"}), 3);
  ASSERT_EQ(make(), 0);
  EXPECT_EQ(make(), 3);  // weights stand there
}

TEST_F(EngineCommands, DamagedModelsAreRefused) {
  const auto fresh = [&] {
    fs::remove_all(model());
    ASSERT_EQ(make(), 0);
  };
  fresh();
  fs::resize_file(shard(), fs::file_size(shard()) - 1);
  expect_refused("cut short");
  fresh();
  edit_header("\"model.norm.weight\"", "\"model.nrom.weight\"");
  expect_refused("model.norm.weight");
  fresh();
  edit_header("\"data_offsets\":[0,", "\"data_offsets\":[8,");
  expect_refused("bytes for");
  fresh();
  edit_header("\"dtype\":\"BF16\"", "\"dtype\":\"F16\" ");
  expect_refused("F16");
  fresh();
  fs::remove(shard());
  expect_refused("model-00001-of-00001.safetensors");
  fresh();
  fs::remove(model() + "/config.json");
  expect_refused("config.json");
}

TEST_F(EngineCommands, StopsWhenAsked) {
  stop_ = true;
  EXPECT_EQ(make(), 130);
  EXPECT_FALSE(fs::exists(shard()));
}

}  // namespace
}  // namespace seedbed::cli
