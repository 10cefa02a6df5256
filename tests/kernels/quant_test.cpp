// cast_bf16, act_quant, hadamard_quant: the same bytes on every backend.
#include <bit>
#include <cmath>
#include <functional>
#include <limits>

#include "tests/kernels/support.h"

namespace seedbed::kernels::test {
namespace {

struct Pattern {
  const char* name;
  void (*change)(std::vector<float>& x, Rng& rng);
};
const Pattern kPatterns[] = {
    {"normal", [](std::vector<float>&, Rng&) {}},
    {"zeros", [](std::vector<float>& x, Rng&) { x.assign(x.size(), 0.0F); }},
    {"signed_zeros",
     [](std::vector<float>& x, Rng&) {
       for (float& v : x) v = std::copysign(0.0F, v);
     }},
    {"tiny",
     [](std::vector<float>& x, Rng&) {
       for (float& v : x) v *= 1e-40F;
     }},
    {"below_the_floor",
     [](std::vector<float>& x, Rng&) {
       for (float& v : x) v *= 2e-5F;
     }},
    {"huge",
     [](std::vector<float>& x, Rng&) {
       for (float& v : x) v *= 1e30F;
     }},
    {"outliers",
     [](std::vector<float>& x, Rng& rng) {
       for (float& v : x)
         if (rng.chance(1, 50)) v *= 3e4F;
     }},
    {"nan",
     [](std::vector<float>& x, Rng& rng) {
       for (float& v : x)
         if (rng.chance(1, 40)) v = std::numeric_limits<float>::quiet_NaN();
     }},
    {"negative",
     [](std::vector<float>& x, Rng&) {
       for (float& v : x) v = -std::fabs(v);
     }},
};
constexpr int kDims[] = {1, 7, 64, 95, 127, 128, 129, 576, 1024};

struct QuantRow : Named {
  const Pattern* pattern;
  int rows, dim, gap;
  bool ue8m0;
};
std::vector<QuantRow> quant_rows() {
  std::vector<QuantRow> rows;
  for (const Pattern& pattern : kPatterns)
    for (const int dim : kDims)
      rows.push_back({std::string(pattern.name) + "_" + std::to_string(dim), &pattern, dim % 4 + 5,
                      dim, dim % 3 * 5, dim % 2 == 0});
  for (const int dim : {128, 576})
    rows.push_back({"plain_scale_" + std::to_string(dim), &kPatterns[0], 33, dim, 0, false});
  rows.push_back({"no_rows", &kPatterns[0], 0, 128, 0, true});
  return rows;
}
std::vector<float> input(const QuantRow& c, std::int64_t count) {
  Rng rng = stream(c.name);
  std::vector<float> x = normal(rng, count);
  c.pattern->change(x, rng);
  return x;
}

class Quant : public OpTest<QuantRow> {};
SEEDBED_ROWS(Quant, QuantRow, quant_rows());

TEST_P(Quant, ActQuantGivesTheOraclesBytes) {
  const QuantRow& c = row();
  const std::int64_t ldx = c.dim + c.gap;
  const std::vector<float> x = input(c, c.rows * ldx);
  const auto run = [&](const Ops& table, Pool* pool) {
    Buffers out = {Buffer::of<std::uint8_t>(std::int64_t{c.rows} * c.dim),
                   Buffer::of<float>(std::int64_t{c.rows} * quant_blocks(c.dim))};
    table.act_quant({.rows = c.rows,
                     .dim = c.dim,
                     .x = x.data(),
                     .ldx = c.gap == 0 ? 0 : ldx,
                     .ue8m0 = c.ue8m0,
                     .out = out[0].as<std::uint8_t>(),
                     .scale = out[1].as<float>(),
                     .pool = pool});
    return out;
  };
  const Buffers got = same_on_any_pool(ops(), run), want = run(ref_ops(), nullptr);
  EXPECT_TRUE(exact(got[0], want[0]));
  EXPECT_TRUE(exact(got[1], want[1]));
}

TEST_P(Quant, CastBf16GivesTheOraclesBytes) {
  const QuantRow& c = row();
  const std::int64_t ldx = c.dim + c.gap;
  const std::vector<float> x = input(c, c.rows * ldx);
  const auto run = [&](const Ops& table, Pool* pool) {
    Buffers out = {Buffer::of<std::uint16_t>(std::int64_t{c.rows} * c.dim)};
    table.cast_bf16({.rows = c.rows,
                     .dim = c.dim,
                     .x = x.data(),
                     .ldx = c.gap == 0 ? 0 : ldx,
                     .out = out[0].as<std::uint16_t>(),
                     .pool = pool});
    return out;
  };
  const Buffers got = same_on_any_pool(ops(), run);
  EXPECT_TRUE(exact(got[0], run(ref_ops(), nullptr)[0]));
}

std::vector<QuantRow> hadamard_rows() {
  std::vector<QuantRow> rows;
  for (const Pattern& pattern : kPatterns) {
    if (std::string(pattern.name) == "nan") continue;  // its sign after sums is no one's promise
    for (const int dim : {1, 2, 16, 32, 64, 128, 256, 1024})
      rows.push_back(
          {std::string(pattern.name) + "_" + std::to_string(dim), &pattern, 7, dim, 0, dim != 64});
  }
  return rows;
}
class Hadamard : public OpTest<QuantRow> {};
SEEDBED_ROWS(Hadamard, QuantRow, hadamard_rows());

TEST_P(Hadamard, GivesTheOraclesBytes) {
  const QuantRow& c = row();
  const std::vector<float> x = input(c, std::int64_t{c.rows} * c.dim);
  const auto run = [&](const Ops& table, Pool* pool) {
    Buffers out = {Buffer::of<std::uint8_t>(std::int64_t{c.rows} * c.dim),
                   Buffer::of<float>(std::int64_t{c.rows} * quant_blocks(c.dim))};
    table.hadamard_quant({.rows = c.rows,
                          .dim = c.dim,
                          .x = x.data(),
                          .ue8m0 = c.ue8m0,
                          .out = out[0].as<std::uint8_t>(),
                          .scale = out[1].as<float>(),
                          .pool = pool});
    return out;
  };
  const Buffers got = same_on_any_pool(ops(), run), want = run(ref_ops(), nullptr);
  EXPECT_TRUE(exact(got[0], want[0]));
  EXPECT_TRUE(exact(got[1], want[1]));
}

class EveryQuant : public EachBackend {};
SEEDBED_BACKENDS(EveryQuant);

// code * scale lies within half a step of the number: a sixteenth of it, or 2^-10 scales.
void expect_near(float x, std::uint8_t code, float scale) {
  const double value = double{e4m3_to_f32(code)} * double{scale};
  EXPECT_LE(std::fabs(value - double{x}),
            std::max(std::fabs(double{x}) / 16, 0x1p-10 * double{scale}) * 1.0001)
      << x;
}

TEST_P(EveryQuant, CodesTimesScaleComeBackNear) {
  Rng rng = stream("near");
  const int dim = 576;
  const std::vector<float> x = normal(rng, 4 * dim, 3);
  for (const bool ue8m0 : {false, true}) {
    std::vector<std::uint8_t> codes(x.size());
    std::vector<float> scales(4 * 5);
    ops().act_quant({.rows = 4,
                     .dim = dim,
                     .x = x.data(),
                     .ue8m0 = ue8m0,
                     .out = codes.data(),
                     .scale = scales.data()});
    for (int i = 0; i < 4 * dim; ++i)
      expect_near(x[at(i)], codes[at(i)], scales[at(i / dim * 5 + i % dim / 128)]);
  }
}

TEST_P(EveryQuant, HadamardIsTheSignedSumOfItsDefinition) {
  for (const int dim : {2, 64, 128, 256}) {
    Rng rng = stream("sign", static_cast<std::uint64_t>(dim));
    const std::vector<float> x = normal(rng, dim, 2);
    std::vector<std::uint8_t> codes(at(dim));
    std::vector<float> scales(2);
    ops().hadamard_quant(
        {.rows = 1, .dim = dim, .x = x.data(), .out = codes.data(), .scale = scales.data()});
    for (int i = 0; i < dim; ++i) {
      double sum = 0;
      for (int j = 0; j < dim; ++j)
        sum +=
            (std::popcount(static_cast<unsigned>(i & j)) % 2 == 0 ? 1.0 : -1.0) * double{x[at(j)]};
      expect_near(static_cast<float>(sum / std::sqrt(static_cast<double>(dim))), codes[at(i)],
                  scales[at(i / 128)]);
    }
  }
}

}  // namespace
}  // namespace seedbed::kernels::test
