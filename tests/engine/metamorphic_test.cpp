// What must stay the same when the way to it changes: where pages lie, how a prompt is cut, which
// form attention takes, whether tokens are drafted.
#include <gtest/gtest.h>

#include "engine/engine.h"
#include "tests/engine/model_kit.h"

namespace seedbed::engine {
namespace {

struct Kind {
  std::string config;
  DType weights, cache;
};
const std::vector<Kind> kKinds = {
    {"moe", DType::f32, DType::f32},     {"groups", DType::bf16, DType::bf16},
    {"groups", DType::f8, DType::f8},    {"ragged", DType::f8, DType::f8},
    {"glm", DType::f8, DType::f8},       {"narrow_topk", DType::bf16, DType::f8},
    {"fp8_two", DType::f8, DType::bf16},
};

class Metamorphic : public testing::TestWithParam<Kind> {
 protected:
  void SetUp() override {
    config_ = golden_config("configs/" + GetParam().config + ".json");
    dir_ = ModelFolders::of(config_, 5, GetParam().weights, GetParam().config);
    model_ = load_model(dir_, {.threads = 2});
    tokens_ = goldens::tokens(7, 201, config_.vocab_size);
    options_.kv_dtype = GetParam().cache;
  }
  ModelConfig config_;
  std::string dir_;
  std::unique_ptr<Model> model_;
  std::vector<std::int32_t> tokens_;
  RunOptions options_;
};

TEST_P(Metamorphic, PagesMayLieAnywhere) {
  const auto straight = run_model(*model_, tokens_, options_);
  options_.scatter_pages = true;
  const auto scattered = run_model(*model_, tokens_, options_);
  EXPECT_EQ(straight.logits, scattered.logits);
  EXPECT_EQ(straight.sets, scattered.sets);
}

TEST_P(Metamorphic, APromptMayBeCutAnywhere) {
  const auto whole = run_model(*model_, tokens_, options_);
  for (const std::vector<int>& chunks : {std::vector<int>{1}, {64}, {3, 1, 50, 17}, {200, 1}}) {
    options_.chunks = chunks;
    const auto cut = run_model(*model_, tokens_, options_);
    EXPECT_EQ(whole.logits, cut.logits) << "first chunk " << chunks[0];
    EXPECT_EQ(whole.sets, cut.sets);
    EXPECT_EQ(whole.routing, cut.routing);
  }
}

TEST_P(Metamorphic, ThreadsDoNotChangeBits) {
  const auto two = run_model(*model_, tokens_, options_);
  auto alone = load_model(dir_, {.threads = 1});
  EXPECT_EQ(two.logits, run_model(*alone, tokens_, options_).logits);
}

TEST_P(Metamorphic, AbsorbedAndMultiHeadFormsAgree) {
  auto expanded = load_model(dir_, {.threads = 2, .attention = AttentionForm::mha});
  const auto absorbed = run_model(*model_, tokens_, options_);
  // One selection for both, so that a near tie does not decide.
  options_.on_selection = [&](int layer, int first, int rows, std::int32_t* chosen) {
    for (int r = 0; r < rows; ++r) {
      const auto& set = absorbed.sets.at({layer, first + r});
      std::copy(set.begin(), set.end(), chosen + std::int64_t{r} * config_.index_topk);
    }
  };
  const auto multi = run_model(*expanded, tokens_, options_);
  if (GetParam().weights == DType::f32) {
    EXPECT_LE(largest(row_errors(multi.logits, absorbed.logits, config_.vocab_size)), 1e-4);
    return;
  }
  // bf16 and fp8 round between the forms' steps in different places, and a rounding step of e4m3
  // may be crossed.
  double xy = 0, xx = 0, yy = 0;
  for (std::size_t i = 0; i < absorbed.logits.size(); ++i) {
    const auto x = static_cast<double>(multi.logits[i]),
               y = static_cast<double>(absorbed.logits[i]);
    xy += x * y;
    xx += x * x;
    yy += y * y;
  }
  EXPECT_LE(1 - 2 * xy / (xx + yy), 5e-2);
}

std::string kind_name(const testing::TestParamInfo<Kind>& info) {
  static const std::string names[] = {"f32", "bf16", "f8"};
  return info.param.config + "_" + names[static_cast<int>(info.param.weights)] + "_cache_" +
         names[static_cast<int>(info.param.cache)];
}
INSTANTIATE_TEST_SUITE_P(Models, Metamorphic, testing::ValuesIn(kKinds), kind_name);

TEST(Model, EverythingSelectedEqualsDenseAttention) {
  const ModelConfig config = golden_config("configs/wide_topk.json");
  const std::string dir = ModelFolders::of(config, 5, DType::f32, "wide_topk");
  const auto tokens = goldens::tokens(7, 150, config.vocab_size);
  auto sparse = load_model(dir), dense = load_model(dir, {.attention = AttentionForm::mha});
  const auto a = run_model(*sparse, tokens), b = run_model(*dense, tokens);
  EXPECT_TRUE(a.sets.empty());  // contexts up to index_topk are never scored
  EXPECT_LE(largest(row_errors(a.logits, b.logits, config.vocab_size)), 1e-4);
}

// ---- drafting ----
struct Drafted {
  std::vector<std::int32_t> ids;
  std::vector<float> logprobs;
  std::vector<std::uint16_t> routing;
  std::int64_t accepted = 0, drafted = 0;
};
Drafted generate(
    const std::string& dir, bool speculative, DType kv, double temperature, std::vector<int> cuts) {
  EngineOptions options;
  options.model_dir = dir;
  options.kv_dtype = kv;
  options.cache_tokens = 1024;
  options.chunk = 48;
  options.speculative = speculative;
  auto engine = Engine::open(options);
  EXPECT_TRUE(engine.ok());
  const auto id = (*engine)->open_sequence(99);
  const auto prompt = goldens::tokens(3, 100, (*engine)->config().vocab_size);
  Drafted out;
  std::size_t fed = 0;
  for (const int cut :
       cuts) {  // prompt pieces with generations between them, as turns of an agent are
    EXPECT_FALSE(
        (*engine)->append(id, std::span(prompt).subspan(fed, static_cast<std::size_t>(cut))));
    fed += static_cast<std::size_t>(cut);
    GenerateParams params;
    params.sampling.temperature = temperature;
    params.sampling.top_p = 0.9;
    params.sampling.seed = 4;
    params.max_tokens = 40;
    params.ignore_eos = true;
    auto generated = (*engine)->generate(id, params);
    EXPECT_TRUE(generated.ok()) << (generated.ok() ? "" : generated.error().message);
    if (!generated.ok()) return out;
    EXPECT_EQ(generated->tokens.size(), 40U);
    out.accepted += generated->accepted;
    out.drafted += generated->drafted;
    for (const auto& token : generated->tokens) {
      out.ids.push_back(token.id);
      out.logprobs.push_back(token.logprob);
      out.logprobs.push_back(token.raw_logprob);
    }
  }
  out.routing = (*engine)->routing(id).ids;
  return out;
}

TEST(Drafting, ChangesNoTokenAndNoBit) {
  const ModelConfig config = golden_config("configs/moe.json");
  for (const auto& [weights, kv] : {std::pair{DType::f32, DType::f32}, {DType::f8, DType::f8}})
    for (const double temperature : {0.0, 1.0}) {
      const std::string dir = ModelFolders::of(config, 12, weights, "moe");
      const auto plain = generate(dir, false, kv, temperature, {70, 5, 25});
      const auto drafted = generate(dir, true, kv, temperature, {70, 5, 25});
      EXPECT_EQ(plain.ids, drafted.ids);
      EXPECT_EQ(plain.logprobs, drafted.logprobs);
      EXPECT_EQ(plain.routing, drafted.routing);
      EXPECT_GT(drafted.drafted, 0);
      EXPECT_EQ(plain.drafted, 0);
    }
}

}  // namespace
}  // namespace seedbed::engine
