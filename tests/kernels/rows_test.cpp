// Ops on rows: embed, rms_norm, layer_norm, rope, silu_mul.
#include <cmath>
#include <limits>

#include "tests/kernels/support.h"

namespace seedbed::kernels::test {
namespace {

struct EmbedRow : Named {
  DType dtype;
  int vocab, dim;
  std::vector<std::int32_t> ids;
};
const std::vector<EmbedRow> kEmbeds = {
    {"bf16", DType::bf16, 50, 95, {0, 49, 7, 7, 3}},
    {"f32", DType::f32, 50, 129, {49, 0, 1}},
    {"one_wide", DType::bf16, 3, 1, {2, 1, 0}},
    {"many", DType::bf16, 11, 64, std::vector<std::int32_t>(100, 10)},
    {"none", DType::f32, 3, 8, {}},
};
class Embed : public OpTest<EmbedRow> {};
SEEDBED_ROWS(Embed, EmbedRow, kEmbeds);

TEST_P(Embed, GivesTheOraclesBits) {
  const EmbedRow& c = row();
  Rng rng = stream(c.name);
  const auto table = encoded(c.dtype, normal(rng, std::int64_t{c.vocab} * c.dim));
  const auto run = [&](const Ops& ops, Pool* pool) {
    Buffers out = {Buffer::of<float>(static_cast<std::int64_t>(c.ids.size()) * c.dim)};
    ops.embed({.tokens = static_cast<int>(c.ids.size()),
               .vocab = c.vocab,
               .dim = c.dim,
               .ids = c.ids.data(),
               .dtype = c.dtype,
               .table = table.data(),
               .out = out[0].as<float>(),
               .pool = pool});
    return out;
  };
  const Buffers got = same_on_any_pool(ops(), run);
  EXPECT_TRUE(exact(got[0], run(ref_ops(), nullptr)[0]));
}

struct NormRow : Named {
  int rows, dim;
  bool x = true, residual = false;
  int gap = 0;
  bool in_place = false;
  float scale = 1;
};
std::vector<NormRow> norm_rows() {
  std::vector<NormRow> rows;
  for (const int dim : {1, 7, 64, 95, 129, 576, 1536})
    for (const bool residual : {false, true})
      rows.push_back(
          {"dim_" + std::to_string(dim) + (residual ? "_residual" : ""), 5, dim, true, residual});
  rows.push_back({"residual_alone", 3, 130, false, true});
  rows.push_back({"strided", 4, 95, true, false, 9});
  rows.push_back({"strided_residual", 4, 95, true, true, 3});
  rows.push_back({"in_place", 9, 448, true, false, 0, true});
  rows.push_back({"in_place_residual", 9, 448, true, true, 0, true});
  rows.push_back({"tiny", 3, 64, true, false, 0, false, 1e-25F});
  rows.push_back({"huge", 3, 64, true, false, 0, false, 1e18F});
  rows.push_back({"wide", 1, 7168, true, true});
  rows.push_back({"none", 0, 64});
  return rows;
}
// 1e-6 of the row's largest magnitude; `row` numbers beside gaps.
testing::AssertionResult close_rows(
    const Buffer& got, const Buffer& want, std::int64_t rows, std::int64_t dim, std::int64_t step) {
  for (std::int64_t t = 0; t < rows; ++t)
    if (auto ok = close(got.view<float>().subspan(at(t * step), at(dim)),
                        want.view<float>().subspan(at(t * step), at(dim)),
                        Tolerance{.of_largest = 1e-6, .cos = 1e-11});
        !ok)
      return ok << ", row " << t;
  return testing::AssertionSuccess();
}
class Norm : public OpTest<NormRow> {};
SEEDBED_ROWS(Norm, NormRow, norm_rows());

TEST_P(Norm, RmsNormMatchesTheOracle) {
  const NormRow& c = row();
  const std::int64_t step = c.dim + c.gap;
  Rng rng = stream(c.name);
  const std::vector<float> x = normal(rng, c.rows * step, c.scale),
                           residual = normal(rng, std::int64_t{c.rows} * c.dim, c.scale),
                           weight = normal(rng, c.dim);
  const auto run = [&](const Ops& ops, Pool* pool) {
    Buffers out = {c.in_place ? Buffer::holding(x) : Buffer::of<float>(c.rows * step),
                   Buffer::holding(residual)};
    ops.rms_norm({.rows = c.rows,
                  .dim = c.dim,
                  .x = !c.x         ? nullptr
                       : c.in_place ? out[0].as<float>()
                                    : x.data(),
                  .ldx = c.gap == 0 ? 0 : step,
                  .residual = c.residual ? out[1].as<float>() : nullptr,
                  .weight = weight.data(),
                  .out = out[0].as<float>(),
                  .ldo = c.gap == 0 ? 0 : step,
                  .pool = pool});
    return out;
  };
  const Buffers got = same_on_any_pool(ops(), run), want = run(ref_ops(), nullptr);
  EXPECT_TRUE(close(got[0], want[0], Tolerance{.of_largest = 1e-6, .cos = 1e-11}));
  EXPECT_TRUE(close_rows(got[0], want[0], c.rows, c.dim, step));
  EXPECT_TRUE(exact(got[1], want[1])) << "residual";
}

TEST_P(Norm, LayerNormMatchesTheOracle) {
  const NormRow& c = row();
  Rng rng = stream(c.name, 1);
  const std::vector<float> x = normal(rng, std::int64_t{c.rows} * c.dim, c.scale),
                           weight = normal(rng, c.dim), bias = normal(rng, c.dim);
  const auto run = [&](const Ops& ops, Pool* pool) {
    Buffers out = {c.in_place ? Buffer::holding(x)
                              : Buffer::of<float>(std::int64_t{c.rows} * c.dim)};
    ops.layer_norm({.rows = c.rows,
                    .dim = c.dim,
                    .x = c.in_place ? out[0].as<float>() : x.data(),
                    .weight = weight.data(),
                    .bias = bias.data(),
                    .out = out[0].as<float>(),
                    .pool = pool});
    return out;
  };
  const Buffers got = same_on_any_pool(ops(), run), want = run(ref_ops(), nullptr);
  EXPECT_TRUE(close(got[0], want[0], Tolerance{.of_largest = 1e-6, .cos = 1e-11}));
  EXPECT_TRUE(close_rows(got[0], want[0], c.rows, c.dim, c.dim));
}

struct RopeRow : Named {
  int tokens, heads, half;
  bool interleaved;
  int head_gap, token_gap;
};
std::vector<RopeRow> rope_rows() {
  std::vector<RopeRow> rows;
  for (const bool interleaved : {true, false})
    for (const int half : {1, 3, 8, 17, 32})
      rows.push_back({std::string(interleaved ? "pairs_" : "halves_") + std::to_string(half), 5, 3,
                      half, interleaved, half % 3 * 64, half % 2 * 7});
  rows.push_back({"pairs_one_head", 1, 1, 32, true, 0, 0});
  rows.push_back({"halves_no_token", 0, 2, 32, false, 0, 0});
  return rows;
}
class Rope : public OpTest<RopeRow> {};
SEEDBED_ROWS(Rope, RopeRow, rope_rows());

TEST_P(Rope, GivesTheOraclesBits) {
  const RopeRow& c = row();
  Rng rng = stream(c.name);
  const std::int64_t head_step = 2 * c.half + c.head_gap,
                     token_step = c.heads * head_step + c.token_gap;
  const std::vector<float> x = normal(rng, c.tokens * token_step);
  std::vector<float> cos, sin;
  for (int i = 0; i < c.tokens * c.half; ++i) {
    const double angle = static_cast<double>(rng.below(1'000'000)) / 1000;
    cos.push_back(static_cast<float>(std::cos(angle)));
    sin.push_back(static_cast<float>(std::sin(angle)));
  }
  const auto run = [&](const Ops& ops, Pool* pool) {
    Buffers out = {Buffer::holding(x)};
    ops.rope({.tokens = c.tokens,
              .heads = c.heads,
              .half = c.half,
              .interleaved = c.interleaved,
              .x = out[0].as<float>(),
              .token_step = token_step,
              .head_step = head_step,
              .cos = cos.data(),
              .sin = sin.data(),
              .pool = pool});
    return out;
  };
  const Buffers got = same_on_any_pool(ops(), run);
  EXPECT_TRUE(exact(got[0], run(ref_ops(), nullptr)[0]));
}

class EveryRow : public EachBackend {};
SEEDBED_BACKENDS(EveryRow);

TEST_P(EveryRow, ANormedRowAloneHasTheBitsOfARowAmongMany) {
  Rng rng = stream("alone");
  const int rows = 9, dim = 129;
  const std::vector<float> x = normal(rng, rows * dim), weight = normal(rng, dim),
                           bias = normal(rng, dim);
  std::vector<float> all(x.size()), one(at(dim));
  for (const bool layer : {false, true}) {
    const auto norm = [&](const float* from, int count, float* to) {
      if (layer)
        ops().layer_norm({.rows = count,
                          .dim = dim,
                          .x = from,
                          .weight = weight.data(),
                          .bias = bias.data(),
                          .out = to});
      else
        ops().rms_norm({.rows = count, .dim = dim, .x = from, .weight = weight.data(), .out = to});
    };
    norm(x.data(), rows, all.data());
    for (int t = 0; t < rows; ++t) {
      norm(x.data() + t * dim, 1, one.data());
      ASSERT_EQ(std::memcmp(one.data(), all.data() + t * dim, at(dim) * 4), 0) << t;
    }
  }
}

TEST_P(EveryRow, NormsHaveTheMomentsThatTheyAreNamedFor) {
  Rng rng = stream("moments");
  const int dim = 500;
  std::vector<float> x = normal(rng, dim, 3), y(at(dim));
  for (float& value : x) value += 10;
  const std::vector<float> one(at(dim), 1.0F), zero(at(dim), 0.0F);
  const auto moments = [&] {
    double mean = 0, square = 0;
    for (const float value : y)
      mean += double{value} / dim, square += double{value} * double{value} / dim;
    return std::pair(mean, square);
  };
  ops().rms_norm({.rows = 1, .dim = dim, .x = x.data(), .weight = one.data(), .out = y.data()});
  EXPECT_NEAR(moments().second, 1, 1e-6);
  EXPECT_GT(moments().first, 0.9) << "rms_norm takes no mean away";
  ops().layer_norm({.rows = 1,
                    .dim = dim,
                    .x = x.data(),
                    .weight = one.data(),
                    .bias = zero.data(),
                    .out = y.data()});
  EXPECT_NEAR(moments().first, 0, 1e-6);
  EXPECT_NEAR(moments().second, 1, 1e-6);
}

TEST_P(EveryRow, RopeTurnsEachPairAsAComplexNumber) {
  for (const bool interleaved : {true, false}) {
    const int half = 32;
    Rng rng = stream("complex");
    const std::vector<float> x = normal(rng, 2 * half + 10);
    std::vector<float> y = x, cos, sin;
    std::vector<double> angle;
    for (int i = 0; i < half; ++i) {
      angle.push_back(static_cast<double>(rng.below(6000)) / 100);
      cos.push_back(static_cast<float>(std::cos(angle.back())));
      sin.push_back(static_cast<float>(std::sin(angle.back())));
    }
    ops().rope({.tokens = 1,
                .heads = 1,
                .half = half,
                .interleaved = interleaved,
                .x = y.data(),
                .token_step = 74,
                .head_step = 74,
                .cos = cos.data(),
                .sin = sin.data()});
    for (int i = 0; i < half; ++i) {
      const auto first = at(interleaved ? 2 * i : i),
                 second = at(interleaved ? 2 * i + 1 : i + half);
      const double length = std::hypot(double{x[first]}, double{x[second]});
      const double turned = std::atan2(double{x[second]}, double{x[first]}) + angle[at(i)];
      EXPECT_NEAR(double{y[first]}, length * std::cos(turned), 1e-5);
      EXPECT_NEAR(double{y[second]}, length * std::sin(turned), 1e-5);
    }
    for (std::size_t i = 2 * half; i < x.size(); ++i) EXPECT_EQ(x[i], y[i]) << "beyond 2 * half";
  }
}

TEST_P(EveryRow, SiluMulIsItsDefinitionAndTheSameBitsEverywhere) {
  for (const std::int64_t count : {0, 1, 95, 576, 20'000}) {
    Rng rng = stream("silu", static_cast<std::uint64_t>(count));
    std::vector<float> gate = normal(rng, count, 6), up = normal(rng, count);
    for (std::size_t i = 0; i + 8 < gate.size(); i += 50) gate[i] = i % 100 == 0 ? 1e4F : -200.0F;
    const auto run = [&](const Ops& ops, Pool* pool) {
      Buffers out = {Buffer::of<float>(count), Buffer::holding(gate)};
      ops.silu_mul({.count = count,
                    .gate = gate.data(),
                    .up = up.data(),
                    .out = out[0].as<float>(),
                    .pool = pool});
      float* in_place = out[1].as<float>();
      ops.silu_mul(
          {.count = count, .gate = in_place, .up = up.data(), .out = in_place, .pool = pool});
      return out;
    };
    const Buffers got = same_on_any_pool(ops(), run), want = run(ref_ops(), nullptr);
    EXPECT_TRUE(exact(got[0], want[0]));
    EXPECT_TRUE(exact(got[1], got[0])) << "in place";
    for (std::int64_t i = 0; i < count; ++i) {
      const double g = gate[at(i)], value = g / (1 + std::exp(-g)) * double{up[at(i)]};
      ASSERT_NEAR(double{got[0].view<float>()[at(i)]}, value, 1e-7 * std::fabs(value) + 1e-37) << g;
    }
  }
}

TEST_P(EveryRow, AnIdOutsideTheVocabularyStops) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const std::vector<float> table(8, 0.0F);
  float out[4];
  for (const std::int32_t id : {-1, 2})
    EXPECT_DEATH(ops().embed({.tokens = 1,
                              .vocab = 2,
                              .dim = 4,
                              .ids = &id,
                              .dtype = DType::f32,
                              .table = table.data(),
                              .out = out}),
                 "vocab");
}

}  // namespace
}  // namespace seedbed::kernels::test
