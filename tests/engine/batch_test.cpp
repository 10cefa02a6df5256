// Many sequences in one forward pass: each row's results are those of its sequence alone, bit for
// bit, whatever the others are, in what order they come and how long their contexts are.
#include <gtest/gtest.h>

#include "tests/engine/model_kit.h"

namespace seedbed::engine {
namespace {

struct Kind {
  std::string config;
  DType weights, cache;
};
const std::vector<Kind> kKinds = {
    {"moe", DType::f32, DType::f32},
    {"groups", DType::f8, DType::f8},
    {"glm", DType::f8, DType::f8},
    {"narrow_topk", DType::bf16, DType::f8},
};

class ManySequences : public testing::TestWithParam<Kind> {
 protected:
  void SetUp() override {
    config_ = golden_config("configs/" + GetParam().config + ".json");
    model_ = load_model(ModelFolders::of(config_, 5, GetParam().weights, GetParam().config),
                        {.threads = 2});
    // Whole contexts and selected ones by turns.
    const int k = config_.index_topk;
    lengths_ = {3, k + 40, 1, k + 3, k, k + 1, 2, k + 70, 5, k - 1, k + 9, 7};
    const auto tokens = goldens::tokens(7, 400, config_.vocab_size);
    for (std::size_t i = 0; i < lengths_.size(); ++i)
      sequences_.emplace_back(tokens.begin() + static_cast<std::ptrdiff_t>(i * 7),
                              tokens.begin() + static_cast<std::ptrdiff_t>(i * 7) + lengths_[i]);
  }
  // All sequences over one cache, their pages between each other: everything but the last token
  // first, one after the other; then the last tokens in one pass, sequences in this order.
  std::vector<std::vector<float>> last_logits(const std::vector<int>& order) {
    const int longest = *std::max_element(lengths_.begin(), lengths_.end());
    const int stride = (longest + kernels::kPageTokens - 1) / kernels::kPageTokens;
    const auto count = static_cast<int>(lengths_.size());
    auto cache = PageCache::make(config_, GetParam().cache, count * stride);
    EXPECT_TRUE(cache.ok());
    std::vector<std::int32_t> table;
    for (int i = 0; i < count; ++i)
      for (int page = 0; page < stride; ++page) table.push_back(page * count + (i * 5) % count);
    Outputs out;
    const auto pass =
        [&](const std::vector<std::int32_t>& tokens, const std::vector<std::int32_t>& positions,
            const std::vector<std::int32_t>& sequence, const std::vector<std::int32_t>& wanted) {
          Batch batch;
          batch.tokens = tokens;
          batch.positions = positions;
          batch.sequence = sequence;
          batch.page_table = table;
          batch.table_stride = stride;
          batch.logit_rows = wanted;
          model_->forward(batch, **cache, out);
        };
    std::vector<std::int32_t> tokens, positions, sequence, wanted;
    for (const int i : order) {
      const auto& all = sequences_[static_cast<std::size_t>(i)];
      const auto before = static_cast<int>(all.size()) - 1;
      if (before > 0) {
        std::vector<std::int32_t> first(all.begin(), all.end() - 1), at(first.size());
        std::iota(at.begin(), at.end(), 0);
        pass(first, at, std::vector<std::int32_t>(first.size(), i), {});
      }
      tokens.push_back(all.back());
      positions.push_back(before);
      sequence.push_back(i);
      wanted.push_back(static_cast<std::int32_t>(wanted.size()));
    }
    pass(tokens, positions, sequence, wanted);
    std::vector<std::vector<float>> result(lengths_.size());
    for (std::size_t row = 0; row < order.size(); ++row) {
      const auto begin = out.logits.begin() + static_cast<std::ptrdiff_t>(row) * config_.vocab_size;
      result[static_cast<std::size_t>(order[row])] = {begin, begin + config_.vocab_size};
    }
    return result;
  }
  ModelConfig config_;
  std::unique_ptr<Model> model_;
  std::vector<int> lengths_;
  std::vector<std::vector<std::int32_t>> sequences_;
};

TEST_P(ManySequences, EachHasTheBitsOfItselfAlone) {
  std::vector<int> order(lengths_.size());
  std::iota(order.begin(), order.end(), 0);
  const auto mixed = last_logits(order);
  // Short contexts first: two stretches of one kind each.
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) {
    return lengths_[static_cast<std::size_t>(a)] < lengths_[static_cast<std::size_t>(b)];
  });
  EXPECT_EQ(mixed, last_logits(order));
  for (const int i : order) {
    const auto alone = last_logits({i});
    EXPECT_EQ(mixed[static_cast<std::size_t>(i)], alone[static_cast<std::size_t>(i)])
        << "sequence of " << lengths_[static_cast<std::size_t>(i)] << " tokens";
  }
}

std::string kind_name(const testing::TestParamInfo<Kind>& info) {
  static const std::string names[] = {"f32", "bf16", "f8"};
  return info.param.config + "_" + names[static_cast<int>(info.param.weights)] + "_cache_" +
         names[static_cast<int>(info.param.cache)];
}
INSTANTIATE_TEST_SUITE_P(Models, ManySequences, testing::ValuesIn(kKinds), kind_name);

}  // namespace
}  // namespace seedbed::engine
