// Number formats against slow definitions of their own, on the host and through each backend's ops.
#include <bit>
#include <cmath>
#include <limits>

#include "tests/kernels/support.h"

namespace seedbed::kernels::test {
namespace {

class EveryFormat : public EachBackend {};
SEEDBED_BACKENDS(EveryFormat);

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

// e4m3fn by its definition; code < 0x7f.
double magnitude_of(int code) {
  const int exponent = code >> 3, mantissa = code & 7;
  return exponent == 0 ? std::ldexp(mantissa, -9) : std::ldexp(8 + mantissa, exponent - 10);
}

// The nearest finite code, ties to the even one; found by search.
std::uint8_t nearest_e4m3(float x) {
  const std::uint8_t sign = std::signbit(x) ? 0x80 : 0;
  if (std::isnan(x)) return sign | 0x7f;
  int best = 0;
  for (int code = 1; code < 0x7f; ++code) {
    const double now = std::fabs(std::fabs(double{x}) - magnitude_of(code));
    const double before = std::fabs(std::fabs(double{x}) - magnitude_of(best));
    if (now < before || (now == before && code % 2 == 0)) best = code;
  }
  if (std::isinf(x)) best = 0x7e;
  return static_cast<std::uint8_t>(sign | best);
}

// Every code, and every float within three steps of each boundary between two codes; both signs.
std::vector<float> around_every_e4m3_boundary() {
  std::vector<float> values = {448.0F, 464.0F, 480.0F, 1e30F, kInf, 0.0F, 1e-45F, 1e-10F};
  for (int code = 0; code < 0x7e; ++code) {
    const double low = magnitude_of(code), high = magnitude_of(code + 1);
    for (const double centre : {low, (low + high) / 2, high})
      for (int step = -3; step <= 3; ++step) {
        const auto bits =
            static_cast<std::int64_t>(std::bit_cast<std::uint32_t>(static_cast<float>(centre)));
        if (bits + step >= 0)
          values.push_back(std::bit_cast<float>(static_cast<std::uint32_t>(bits + step)));
      }
  }
  const std::size_t positive = values.size();
  for (std::size_t i = 0; i < positive; ++i) values.push_back(-values[i]);
  return values;
}

// bf16 by its definition: the nearer neighbour of x among the codes, ties to the even one.
std::uint16_t nearest_bf16(float x) {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  const auto down = static_cast<std::uint16_t>(bits >> 16);
  const auto value = [](std::uint32_t code) {  // above the largest stands what would follow it
    return (code & 0x7fffU) == 0x7f80U
               ? 0x1p128
               : std::fabs(double{bf16_to_f32(static_cast<std::uint16_t>(code))});
  };
  if (std::isinf(x)) return down;
  const double low = std::fabs(double{x}) - value(down),
               high = value(down + 1U) - std::fabs(double{x});
  if (low == high) return static_cast<std::uint16_t>(down % 2 == 0 ? down : down + 1);
  return static_cast<std::uint16_t>(low < high ? down : down + 1);
}

std::vector<float> around_every_bf16_boundary() {
  std::vector<float> values;
  for (std::uint32_t code = 0; code < 0x10000U; ++code)
    for (const std::uint32_t low : {0U, 1U, 0x7fffU, 0x8000U, 0x8001U, 0xffffU})
      values.push_back(std::bit_cast<float>((code << 16) | low));
  return values;
}

TEST(E4m3, AllCodesHaveTheirValue) {
  for (int code = 0; code < 256; ++code) {
    const float value = e4m3_to_f32(static_cast<std::uint8_t>(code));
    EXPECT_EQ(std::signbit(value), code >= 0x80) << code;
    if ((code & 0x7f) == 0x7f)
      EXPECT_TRUE(std::isnan(value)) << code;
    else
      EXPECT_EQ(std::fabs(double{value}), magnitude_of(code & 0x7f)) << code;
  }
  EXPECT_EQ(e4m3_to_f32(0x7e), 448.0F);
}

TEST(E4m3, RoundsToTheNearestAroundEveryBoundary) {
  for (const float x : around_every_e4m3_boundary())
    ASSERT_EQ(f32_to_e4m3(x), nearest_e4m3(x)) << std::hexfloat << x;
  for (std::uint64_t bits = 0; bits <= 0xffffffffU; bits += 65521) {
    const auto x = std::bit_cast<float>(static_cast<std::uint32_t>(bits));
    ASSERT_EQ(f32_to_e4m3(x), nearest_e4m3(x)) << std::hexfloat << x;
  }
}

TEST(Bf16, RoundsToTheNearestAroundEveryCode) {
  for (const float x : around_every_bf16_boundary()) {
    const std::uint16_t got = f32_to_bf16(x);
    if (std::isnan(x))
      ASSERT_TRUE(std::isnan(bf16_to_f32(got))) << std::bit_cast<std::uint32_t>(x);
    else
      ASSERT_EQ(got, nearest_bf16(x)) << std::hexfloat << x;
  }
}

TEST(Fp8Scale, IsTheBlocksLargestOver448AndWithUe8m0ThePowerOfTwoAbove) {
  Rng rng = stream("scale");
  for (int i = 0; i < 20'000; ++i) {
    const float amax =
        std::fabs(normal(rng, 1, 1)[0]) * std::ldexp(1.0F, static_cast<int>(rng.between(-20, 40)));
    const float plain = fp8_scale(amax, false), power = fp8_scale(amax, true);
    ASSERT_EQ(plain, std::max(amax, 1e-4F) / 448.0F);
    int exponent = 0;
    ASSERT_EQ(std::frexp(power, &exponent), 0.5F) << amax;
    ASSERT_GE(power, plain);
    ASSERT_LT(power / 2, plain);
  }
  EXPECT_EQ(fp8_scale(448.0F, true), 1.0F);
  EXPECT_EQ(fp8_scale(0.0F, false), 1e-4F / 448.0F);
}

TEST(LatentScale, IsTheLargestOver448ButAtLeast1e4thThenThePowerOfTwoAbove) {
  EXPECT_EQ(latent_scale(0.0F), 0x1p-13F);
  EXPECT_EQ(latent_scale(0.04F), 0x1p-13F);
  EXPECT_EQ(latent_scale(448.0F), 1.0F);
  EXPECT_EQ(latent_scale(448.001F), 2.0F);
  EXPECT_EQ(latent_scale(224.0F * 0x1p-12F), 0x1p-13F);
  EXPECT_EQ(latent_scale(500.0F * 0x1p-12F), 0x1p-11F);
}

// With 448 in each block the scale is 1, so that act_quant's codes are the conversion alone.
TEST_P(EveryFormat, ActQuantRoundsAroundEveryE4m3Boundary) {
  std::vector<float> x;
  for (const float value : around_every_e4m3_boundary()) {
    if (std::fabs(value) > 448.0F) continue;
    if (x.size() % 128 == 0) x.push_back(448.0F);
    x.push_back(value);
  }
  Buffer codes = Buffer::of<std::uint8_t>(static_cast<std::int64_t>(x.size()));
  const int dim = static_cast<int>(x.size());
  Buffer scales = Buffer::of<float>(quant_blocks(dim));
  ops().act_quant({.rows = 1,
                   .dim = dim,
                   .x = x.data(),
                   .out = codes.as<std::uint8_t>(),
                   .scale = scales.as<float>()});
  for (const float scale : scales.view<float>()) ASSERT_EQ(scale, 1.0F);
  for (std::size_t i = 0; i < x.size(); ++i)
    ASSERT_EQ(codes.view<std::uint8_t>()[i], nearest_e4m3(x[i])) << std::hexfloat << x[i];
}

TEST_P(EveryFormat, CastBf16RoundsAroundEveryCode) {
  const std::vector<float> x = around_every_bf16_boundary();
  Buffer out = Buffer::of<std::uint16_t>(static_cast<std::int64_t>(x.size()));
  ops().cast_bf16({.rows = 1,
                   .dim = static_cast<int>(x.size()),
                   .x = x.data(),
                   .out = out.as<std::uint16_t>()});
  for (std::size_t i = 0; i < x.size(); ++i) {
    const std::uint16_t got = out.view<std::uint16_t>()[i];
    if (std::isnan(x[i]))
      ASSERT_TRUE(std::isnan(bf16_to_f32(got))) << std::bit_cast<std::uint32_t>(x[i]);
    else
      ASSERT_EQ(got, nearest_bf16(x[i])) << std::hexfloat << x[i];
  }
}

// bf16 weights are widened, f8 weights mean what their codes say: through a product with 1.
TEST_P(EveryFormat, GemmReadsEveryF8CodeAndBf16Code) {
  for (int code = 0; code < 256; ++code) {
    if ((code & 0x7f) == 0x7f) continue;
    std::vector<std::uint8_t> w(128, 0), a(128, 0);
    w[at(code % 128)] = static_cast<std::uint8_t>(code);
    a[at(code % 128)] = 0x38;  // 1.0
    const float one = 1;
    float out = kNan;
    ops().gemm({.rows = 1,
                .cols = 1,
                .inner = 128,
                .a_dtype = DType::f8,
                .w_dtype = DType::f8,
                .a = a.data(),
                .a_scale = &one,
                .w = w.data(),
                .w_scale = &one,
                .out = &out});
    ASSERT_EQ(out, e4m3_to_f32(static_cast<std::uint8_t>(code))) << code;
  }
  for (std::uint32_t code = 0; code < 0x10000U; code += 7) {
    const float value = bf16_to_f32(static_cast<std::uint16_t>(code));
    if (!std::isfinite(value) || std::fabs(value) < 0x1p-126F) continue;  // vector dots may flush
    std::vector<std::uint16_t> w(64, 0);
    w[at(code % 64)] = static_cast<std::uint16_t>(code);
    std::vector<float> a(64, 0);
    a[at(code % 64)] = 1;
    float out = kNan;
    ops().gemm({.rows = 1,
                .cols = 1,
                .inner = 64,
                .w_dtype = DType::bf16,
                .a = a.data(),
                .w = w.data(),
                .out = &out});
    ASSERT_EQ(out, value) << code;
  }
}

}  // namespace
}  // namespace seedbed::kernels::test
