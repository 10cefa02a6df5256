#include "engine/make_model.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/hash.h"
#include "checkpoint_kit.h"
#include "engine/checkpoint_headers.h"

namespace seedbed::engine {
namespace {

using kit::Folder;

std::vector<float> values(const Checkpoint& checkpoint, const std::string& name) {
  const auto view = checkpoint.find(name);
  EXPECT_TRUE(view.ok()) << view.error().message;
  const auto columns = view->shape.back();
  const auto rows = view->shape.size() == 2 ? view->shape[0] : 1;
  std::vector<float> out;
  for (std::int64_t r = 0; r < rows; ++r)
    for (std::int64_t c = 0; c < columns; ++c) {
      const auto i = static_cast<std::size_t>(r * columns + c);
      switch (view->dtype) {
        case DType::f32: {
          float x = 0;
          std::memcpy(&x, view->data + i * 4, 4);
          out.push_back(x);
          break;
        }
        case DType::bf16: {
          std::uint16_t x = 0;
          std::memcpy(&x, view->data + i * 2, 2);
          out.push_back(kernels::bf16_to_f32(x));
          break;
        }
        case DType::f8:
          out.push_back(kernels::e4m3_to_f32(static_cast<std::uint8_t>(view->data[i])) *
                        view->scale[r / 128 * ((columns + 127) / 128) + c / 128]);
      }
    }
  return out;
}

TEST(MakeModel, SameSeedSameBytesInAnyNumberOfThreads) {
  const Folder one, three, other;
  const auto a = kit::made_model(one, DType::f8, kit::tiny_config(), {.threads = 1});
  const auto b = kit::made_model(three, DType::f8, kit::tiny_config(), {.threads = 3});
  const auto c = kit::made_model(other, DType::f8, kit::tiny_config(), {.seed = 8});
  const auto payload = [](const std::string& dir) {
    const auto path = dir + "/model-00001-of-00001.safetensors";
    return kit::read_bytes(path).substr(
        static_cast<std::size_t>(read_safetensors_header(path)->payload_begin));
  };
  EXPECT_EQ(payload(a), payload(b));
  EXPECT_NE(payload(a), payload(c));
  // What a seed means stays: goldens and recorded runs name models by it.
  EXPECT_EQ(content_hash(payload(a)), "51d5ded6ef0a728e2736e1ede40cdb3c");
}

TEST(MakeModel, EveryFormatIsTheSameModelRounded) {
  const Folder exact, half, eighth;
  const auto f32 = Checkpoint::open(kit::made_model(exact, DType::f32));
  const auto bf16 = Checkpoint::open(kit::made_model(half, DType::bf16));
  const auto fp8 = Checkpoint::open(kit::made_model(eighth, DType::f8));
  ASSERT_TRUE(f32.ok() && bf16.ok() && fp8.ok());
  EXPECT_FALSE(f32->config().quant.fp8);
  EXPECT_TRUE(fp8->config().quant.ue8m0);
  for (const auto& row : f32->tensors()) {
    const auto wanted = values(*f32, row.name);
    const auto rounded = values(*bf16, row.name);
    const auto coarse = values(*fp8, row.name);
    float largest = 0;
    for (const float x : wanted) largest = std::max(largest, std::abs(x));
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      ASSERT_LE(std::abs(rounded[i] - wanted[i]), std::abs(wanted[i]) / 256) << row.name;
      // Half a step of 3 mantissa bits, or of the subnormals of a block.
      ASSERT_LE(std::abs(coarse[i] - wanted[i]), std::abs(wanted[i]) / 16 + largest / 448 / 256)
          << row.name << " " << i;
    }
  }
}

TEST(MakeModel, ScalesArePowersOfTwoThatUseTheRange) {
  const Folder folder;
  const auto checkpoint = Checkpoint::open(kit::made_model(folder, DType::f8));
  ASSERT_TRUE(checkpoint.ok());
  for (const auto& row : checkpoint->tensors()) {
    if (row.kind != TensorKind::linear) continue;
    const auto scales = values(*checkpoint, scale_name(row.name));
    EXPECT_EQ(scales.size(),
              static_cast<std::size_t>((row.shape[0] + 127) / 128 * ((row.shape[1] + 127) / 128)));
    for (const float scale : scales) {
      int exponent = 0;
      EXPECT_EQ(std::frexp(scale, &exponent), 0.5F) << row.name;
    }
    // Below 224 the largest code would have had a smaller scale.
    const auto view = checkpoint->find(row.name);
    float largest = 0;
    for (std::int64_t i = 0; i < row.shape[0] * row.shape[1]; ++i)
      largest = std::max(largest,
                         std::abs(kernels::e4m3_to_f32(static_cast<std::uint8_t>(view->data[i]))));
    EXPECT_GT(largest, 223.0F) << row.name;
  }
}

TEST(MakeModel, WeightsAreSpreadAsTheModelNeedsThem) {
  const Folder folder;
  const auto checkpoint = Checkpoint::open(kit::made_model(folder, DType::f32));
  ASSERT_TRUE(checkpoint.ok());
  const auto moments = [&](const std::string& name) {
    const auto x = values(*checkpoint, name);
    double sum = 0, square = 0, low = x[0], high = x[0];
    for (const double v : x) {
      sum += v;
      square += v * v;
      low = std::min(low, v);
      high = std::max(high, v);
    }
    const auto n = static_cast<double>(x.size());
    return std::array{sum / n, std::sqrt(square / n - sum / n * sum / n), low, high};
  };
  const auto [mean, deviation, low, high] = moments("model.layers.0.self_attn.q_a_proj.weight");
  EXPECT_NEAR(mean, 0, 0.01);
  EXPECT_NEAR(deviation, 1 / std::sqrt(144.0), 0.002);
  const auto norm = moments("model.norm.weight");
  EXPECT_NEAR(norm[0], 1.0, 0.05);
  EXPECT_GT(norm[1], 0.05);
  for (const char* both : {"model.layers.1.mlp.gate.e_score_correction_bias",
                           "model.layers.0.self_attn.indexer.k_norm.bias",
                           "model.layers.0.self_attn.indexer.weights_proj.weight"}) {
    const auto m = moments(both);
    EXPECT_LT(m[2], 0) << both;
    EXPECT_GT(m[3], 0) << both;
  }
  EXPECT_EQ(values(*checkpoint, "model.embed_tokens.weight"),
            values(*checkpoint, "model.layers.2.embed_tokens.weight"));
  EXPECT_NE(values(*checkpoint, "model.layers.0.input_layernorm.weight"),
            values(*checkpoint, "model.layers.1.input_layernorm.weight"));
}

TEST(MakeModel, ShardsReportsAndStops) {
  const Folder folder;
  std::uint64_t last = 0, whole = 0;
  MakeModelOptions options{.dtype = DType::bf16, .max_shard_bytes = 100'000, .store_copies = false};
  options.progress = [&](std::uint64_t done, std::uint64_t total) {
    EXPECT_GT(done, last);
    last = done;
    whole = total;
  };
  const auto dir = folder / "model";
  ASSERT_FALSE(make_model(kit::tiny_config(), options, dir));
  EXPECT_EQ(last, whole);
  const auto read = read_checkpoint_headers(dir);
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_GT(read->files.size(), 2U);
  EXPECT_TRUE(Checkpoint::open(dir).ok());
  EXPECT_TRUE(make_model(kit::tiny_config(), options, dir));  // weights stand there

  const std::atomic<bool> stop{true};
  options.stop = &stop;
  const auto error = make_model(kit::tiny_config(), options, folder / "other");
  ASSERT_TRUE(error);
  EXPECT_EQ(error->where, Where::interrupted);
  EXPECT_TRUE(std::filesystem::is_empty(folder / "other"));
}

TEST(MakeModel, CopiesATokenizer) {
  const Folder folder;
  kit::write_bytes(folder / "t.json", "{}");
  const auto dir =
      kit::made_model(folder, DType::f8, kit::tiny_config(), {.tokenizer = folder / "t.json"});
  EXPECT_EQ(kit::read_bytes(dir + "/tokenizer.json"), "{}");
}

}  // namespace
}  // namespace seedbed::engine
