// The same math as other people's programs: logits and selections of tiny seeded models against
// goldens that transformers (and an independent torch version for prediction layers and fp8)
// computed. tests/goldens/README.md.
#include <gtest/gtest.h>

#include <set>

#include "tests/engine/model_kit.h"

namespace seedbed::engine {
namespace {

using goldens::Golden;
using goldens::load_golden;

struct Backend {
  std::string name;
  const kernels::Ops* ops;
};
std::vector<Backend> backends() {
  std::vector<Backend> all = {{"ref", &kernels::ref_ops()}};
  for (const auto isa : {kernels::Isa::scalar, kernels::Isa::avx2, kernels::Isa::avx512})
    if (kernels::isa_supported(isa))
      all.push_back({std::string(kernels::isa_name(isa)), &kernels::cpu_ops(isa)});
  return all;
}

class Parity : public testing::TestWithParam<std::tuple<std::string, Backend>> {};

std::string name_of(const testing::TestParamInfo<std::tuple<std::string, Backend>>& info) {
  return std::get<0>(info.param) + "_" + std::get<1>(info.param).name;
}

// Sets of every stored row are the golden's.
void same_selections(const Golden& golden,
                     const std::string& array,
                     const ModelConfig& config,
                     int first_layer,
                     int layers,
                     const RunResult& run) {
  if (golden.arrays.find(array) == golden.arrays.end()) return;
  int owner = 0, compared = 0, different = 0;
  for (int layer = first_layer; layer < first_layer + layers; ++layer) {
    if (layer < config.num_hidden_layers &&
        !config.layer_owns_indexer[static_cast<std::size_t>(layer)])
      continue;
    const auto rows = golden.arrays.at(array).shape.at(1);
    for (std::size_t r = 0; r < rows; ++r) {
      const int position = golden.number("index_topk") + static_cast<int>(r);
      const auto found = run.sets.find({layer, position});
      ASSERT_NE(found, run.sets.end()) << "layer " << layer << " position " << position;
      ++compared;
      if (found->second != golden.selected(array, owner, position)) ++different;
    }
    ++owner;
  }
  EXPECT_EQ(different, 0) << "of " << compared << " sets";
}

TEST_P(Parity, LogitsAndSelectionsAreThoseOfTransformers) {
  const auto& [name, backend] = GetParam();
  const Golden golden = load_golden(golden_path(name + ".golden"));
  const ModelConfig config = golden_config(golden.fields.at("config"));
  const std::string dir = ModelFolders::of(
      config, std::stoull(golden.fields.at("weights_seed")), DType::f32, name,
      golden.fields.count("bias_shift") != 0 ? std::stof(golden.fields.at("bias_shift")) : 0.0F);
  auto model = load_model(dir, {.ops = backend.ops, .threads = 2});
  ASSERT_TRUE(model);
  const auto tokens = golden.tokens();
  const RunResult run = run_model(*model, tokens);
  EXPECT_LE(largest(row_errors(run.logits, golden.floats("logits"), config.vocab_size)), 1e-4);
  same_selections(golden, "selected", config, 0, config.num_hidden_layers, run);

  if (golden.arrays.count("experts") != 0) {
    const auto experts = golden.arrays.at("experts").values<std::uint8_t>();
    const auto& shape = golden.arrays.at("experts").shape;
    const auto k = static_cast<int>(shape[2]);
    int different = 0;
    for (std::size_t layer = 0; layer < shape[0]; ++layer)
      for (std::size_t t = 0; t < shape[1]; ++t) {
        std::multiset<int> ours, theirs;
        for (int j = 0; j < k; ++j) {
          ours.insert(run.routing[(t * shape[0] + layer) * shape[2] + static_cast<std::size_t>(j)]);
          theirs.insert(experts[(layer * shape[1] + t) * shape[2] + static_cast<std::size_t>(j)]);
        }
        different += ours != theirs ? 1 : 0;
      }
    EXPECT_EQ(different, 0);
  }
  if (golden.arrays.count("mtp_logits") == 0) return;
  Outputs out;
  const auto rows = tokens.size() - 1;
  std::vector<std::int32_t> positions(rows), sequence(rows, 0), wanted(rows);
  std::iota(positions.begin(), positions.end(), 0);
  std::iota(wanted.begin(), wanted.end(), 0);
  Batch batch;
  batch.tokens = std::span(tokens).subspan(1);
  batch.positions = positions;
  batch.sequence = sequence;
  batch.page_table = run.table;
  batch.table_stride = static_cast<std::int64_t>(run.table.size());
  batch.logit_rows = wanted;
  batch.want_selection = true;
  model->forward_mtp(
      0, std::span(run.hidden).first(rows * static_cast<std::size_t>(config.hidden_size)), batch,
      *run.cache, out);
  EXPECT_LE(largest(row_errors(out.logits, golden.floats("mtp_logits"), config.vocab_size)), 1e-4);
  RunResult mtp;
  collect_sets(out, 0, config.index_topk, mtp);
  same_selections(golden, "mtp_selected", config, config.num_hidden_layers, 1, mtp);
}

INSTANTIATE_TEST_SUITE_P(
    Goldens,
    Parity,
    testing::Combine(
        testing::Values(
            "dense", "moe", "groups", "ragged", "wide_topk", "narrow_topk", "negative_bias", "glm"),
        testing::ValuesIn(backends())),
    name_of);

// The quantised path. The golden's selection is put in place of ours, so that one near tie does not
// decide.
class QuantisedParity : public testing::TestWithParam<std::tuple<std::string, Backend>> {};

TEST_P(QuantisedParity, LogitsAreThoseOfTheFp8Reference) {
  const auto& [name, backend] = GetParam();
  const Golden golden = load_golden(golden_path(name + ".golden"));
  const ModelConfig config = golden_config(golden.fields.at("config"));
  const std::string dir =
      ModelFolders::of(config, std::stoull(golden.fields.at("weights_seed")), DType::f8, name);
  auto model = load_model(dir, {.ops = backend.ops, .threads = 2});
  ASSERT_TRUE(model);
  ASSERT_TRUE(model->config().quant.fp8);
  RunOptions options;
  options.kv_dtype = DType::f8;
  int rows_seen = 0, rows_equal = 0;
  options.on_selection = [&](int layer, int first, int rows, std::int32_t* chosen) {
    for (int r = 0; r < rows; ++r) {
      const auto theirs = golden.selected("selected", layer, first + r);
      std::int32_t* ours = chosen + std::int64_t{r} * config.index_topk;
      ++rows_seen;
      rows_equal += std::equal(theirs.begin(), theirs.end(), ours) ? 1 : 0;
      std::copy(theirs.begin(), theirs.end(), ours);
    }
  };
  const RunResult run = run_model(*model, golden.tokens(), options);
  EXPECT_GE(rows_equal, rows_seen * 95 / 100) << "of " << rows_seen;
  const auto theirs = golden.floats("logits");
  ASSERT_EQ(run.logits.size(), theirs.size());
  double xy = 0, xx = 0, yy = 0;
  for (std::size_t i = 0; i < theirs.size(); ++i) {
    xy += static_cast<double>(run.logits[i]) * static_cast<double>(theirs[i]);
    xx += static_cast<double>(run.logits[i]) * static_cast<double>(run.logits[i]);
    yy += static_cast<double>(theirs[i]) * static_cast<double>(theirs[i]);
  }
  const bool one_layer = name == "fp8_layer";
  EXPECT_LE(1 - 2 * xy / (xx + yy), one_layer ? 1e-5 : 3e-3);
  auto errors = row_errors(run.logits, theirs, config.vocab_size);
  std::sort(errors.begin(), errors.end());
  if (one_layer) {
    EXPECT_LE(errors[errors.size() / 2], 1e-5);
  }
}

INSTANTIATE_TEST_SUITE_P(Goldens,
                         QuantisedParity,
                         testing::Combine(testing::Values("fp8_layer", "fp8_two"),
                                          testing::ValuesIn(backends())),
                         name_of);

}  // namespace
}  // namespace seedbed::engine
