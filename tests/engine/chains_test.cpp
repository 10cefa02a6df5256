// Chains of ops as one launch each change no bit of a pass: the sources of the GPU's kernels, run
// on the host, with chains and without.
#if defined(SEEDBED_WITH_SIMT)
#include "base/rng.h"
#include "kernels/cuda/table.h"
#include "tests/engine/model_kit.h"

namespace seedbed::engine {
namespace {

class SimtDevice final : public kernels::Device {
 public:
  explicit SimtDevice(bool chained) : chained_(chained) {}
  [[nodiscard]] const kernels::Ops& ops() const override { return kernels::simt::table(); }
  [[nodiscard]] const kernels::Chains* chains() const override {
    if (chained_) ++asked_;
    return chained_ ? &kernels::simt::chains() : nullptr;
  }
  [[nodiscard]] bool is_host() const override { return true; }
  [[nodiscard]] std::string describe() const override { return "simt"; }
  std::byte* allocate(std::int64_t bytes) override { return host_->allocate(bytes); }
  void release(std::byte* memory) override { host_->release(memory); }
  void upload(void* to, const void* from, std::int64_t bytes) override {
    host_->copy(to, from, bytes);
  }
  void download(void* to, const void* from, std::int64_t bytes) override {
    host_->copy(to, from, bytes);
  }
  void copy(void* to, const void* from, std::int64_t bytes) override {
    host_->copy(to, from, bytes);
  }
  [[nodiscard]] int asked() const { return asked_; }

 private:
  std::shared_ptr<kernels::Device> host_ = kernels::host_device();
  bool chained_;
  mutable int asked_ = 0;
};

ModelConfig chained_config() {
  auto config = *named_config("nano");
  config.num_hidden_layers = 2;
  config.layer_is_moe = {false, true};
  config.layer_owns_indexer = {true, true};
  config.vocab_size = 256;
  config.bos_token_id = 0;
  config.eos_token_ids = {1};
  config.index_head_dim = 128;
  config.kv_lora_rank = 256;
  config.qk_rope_head_dim = 64;
  config.num_nextn_predict_layers = 0;
  config.index_topk = 32;  // so that 70 tokens have whole and chosen contexts
  return config;
}

class Chained : public testing::TestWithParam<std::pair<DType, DType>> {};

TEST_P(Chained, GiveTheBitsOfTheirOps) {
  const ModelConfig config = chained_config();
  const std::string dir = ModelFolders::of(config, 5, GetParam().first, "chained");
  std::vector<std::int32_t> tokens;
  Rng rng(3);
  for (int i = 0; i < 70; ++i) tokens.push_back(static_cast<std::int32_t>(rng.below(256)));
  RunOptions how;
  how.kv_dtype = GetParam().second;
  how.chunks = {40, 29, 1};
  RunResult results[2];
  for (const bool chained : {false, true}) {
    ModelOptions options;
    const auto device = std::make_shared<SimtDevice>(chained);
    options.device = device;
    const auto model = load_model(dir, options);
    ASSERT_TRUE(model);
    results[chained ? 1 : 0] = run_model(*model, tokens, how);
    EXPECT_EQ(device->asked() > 0, chained);
  }
  EXPECT_EQ(results[0].logits, results[1].logits);
  EXPECT_EQ(results[0].routing, results[1].routing);
  EXPECT_EQ(results[0].sets, results[1].sets);
  EXPECT_FALSE(results[0].sets.empty());
}

INSTANTIATE_TEST_SUITE_P(Types,
                         Chained,
                         testing::Values(std::pair{DType::f8, DType::f8},
                                         std::pair{DType::bf16, DType::bf16}));

}  // namespace
}  // namespace seedbed::engine
#endif
