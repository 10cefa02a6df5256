// What each name of kernels/cuda/device.h does on the host, against plain loops, in each order of
// the threads.
#include "tests/simt/self/semantics.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <functional>
#include <numeric>
#include <vector>

#include "base/rng.h"
#include "kernels/dtype.h"
#include "tests/simt/runtime.h"

namespace seedbed::simt_self {
namespace {
using ::simt::Order;

void in_each_order(const std::function<void()>& body) {
  for (const Order order : {Order::fifo, Order::lifo, Order::random}) {
    ::simt::set_order(order, 3);
    body();
  }
  ::simt::set_order(Order::fifo);
}
std::vector<float> numbers(std::size_t count, const char* name) {
  Rng rng = rng_for(1, name, 0, "simt");
  std::vector<float> x(count);
  for (float& value : x) value = static_cast<float>(rng.below(2001)) / 1000 - 1;
  return x;
}
std::vector<int> integers(std::size_t count, std::uint64_t below) {
  Rng rng = rng_for(1, "integers", count, "simt");
  std::vector<int> x(count);
  for (int& value : x) value = static_cast<int>(rng.below(below));
  return x;
}

TEST(Mma, Bf16FragmentsMakeTheProductHoweverTheyWereLoaded) {
  const std::vector<float> a = numbers(256, "a"), b = numbers(128, "b"), c = numbers(128, "c");
  std::vector<std::uint16_t> ha, columns, rows(128);
  for (const float x : a) ha.push_back(kernels::f32_to_bf16(x));
  for (const float x : b) columns.push_back(kernels::f32_to_bf16(x));  // [8, 16]
  for (std::size_t n = 0; n < 8; ++n)
    for (std::size_t k = 0; k < 16; ++k) rows[k * 8 + n] = columns[n * 16 + k];
  for (const Load load : {Load::by_layout, Load::by_ldmatrix, Load::by_ldmatrix_trans})
    in_each_order([&] {
      std::vector<float> got = c;
      multiply_bf16(load, ha.data(), (load == Load::by_ldmatrix_trans ? rows : columns).data(),
                    got.data());
      for (std::size_t i = 0; i < 16; ++i)
        for (std::size_t n = 0; n < 8; ++n) {
          double want = c[i * 8 + n];
          for (std::size_t k = 0; k < 16; ++k)
            want += double{kernels::bf16_to_f32(ha[i * 16 + k])} *
                    double{kernels::bf16_to_f32(columns[n * 16 + k])};
          ASSERT_NEAR(double{got[i * 8 + n]}, want, 2e-6) << i << ", " << n;
        }
    });
}

TEST(Mma, E4m3FragmentsMakeTheProduct) {
  const std::vector<float> a = numbers(512, "a8"), b = numbers(256, "b8");
  std::vector<std::uint8_t> qa, qb;
  for (const float x : a) qa.push_back(kernels::f32_to_e4m3(x));
  for (const float x : b) qb.push_back(kernels::f32_to_e4m3(x));
  std::vector<float> got(128, 0.5F);
  multiply_e4m3(qa.data(), qb.data(), got.data());
  for (std::size_t i = 0; i < 16; ++i)
    for (std::size_t n = 0; n < 8; ++n) {
      double want = 0.5;
      for (std::size_t k = 0; k < 32; ++k)
        want += double{kernels::e4m3_to_f32(qa[i * 32 + k])} *
                double{kernels::e4m3_to_f32(qb[n * 32 + k])};
      ASSERT_NEAR(double{got[i * 8 + n]}, want, 5e-6) << i << ", " << n;
    }
}

TEST(Lanes, ShufflesReadTheLaneThatTheyName) {
  const std::vector<int> in = integers(64, 1000);
  in_each_order([&] {
    std::vector<int> out(64 * kShuffles);
    shuffles(in.data(), out.data());
    for (int t = 0; t < 64; ++t) {
      const int lane = t % 32, warp = t - lane;
      const int source[kShuffles] = {5,
                                     (t + 3) % 32,
                                     lane / 8 * 8 + 2,
                                     lane ^ 21,
                                     lane < 3 ? lane : lane - 3,
                                     lane % 16 < 3 ? lane : lane - 3,
                                     lane + 9 > 31 ? lane : lane + 9,
                                     lane % 4 == 3 ? lane : lane + 1,
                                     lane ^ 7};
      for (int kind = 0; kind < kShuffles; ++kind)
        ASSERT_EQ(out[static_cast<std::size_t>(kind * 64 + t)],
                  in[static_cast<std::size_t>(warp + source[kind])])
            << "kind " << kind << ", thread " << t;
    }
  });
}

TEST(Lanes, VotesAndReductionsAreThoseOfTheirMask) {
  const std::vector<int> in = integers(64, 64);
  in_each_order([&] {
    std::vector<unsigned> out(64 * kVotes);
    votes(in.data(), out.data());
    const auto of = [&](int t) { return in[static_cast<std::size_t>(t)]; };
    unsigned odd_in_block = 0, forty_in_block = 0;
    for (int t = 0; t < 64; ++t) {
      odd_in_block += static_cast<unsigned>(of(t) & 1);
      forty_in_block |= of(t) == 40 ? 1U : 0U;
    }
    for (int t = 0; t < 64; ++t) {
      const int warp = t / 32 * 32, half = t / 16 * 16;
      unsigned want[kVotes] = {0, 0, 0, 1, 0, 0, ~0U, 0, odd_in_block, forty_in_block * 2 + 1};
      int least = 1000, sum = 0;
      for (int i = warp; i < warp + 32; ++i) {
        const unsigned bit = 1U << (i - warp);
        want[0] |= (of(i) & 1) != 0 ? bit : 0;
        want[1] |= i >= half && i < half + 16 && (of(i) & 2) != 0 ? bit : 0;
        want[2] |= of(i) == 40 ? 1U : 0U;
        want[3] &= of(i) != 40 ? 1U : 0U;
        want[4] |= of(i) % 5 == of(t) % 5 ? bit : 0;
        sum += i >= half && i < half + 16 ? of(i) : 0;
        least = std::min(least, -of(i));
        want[7] = std::max(want[7], static_cast<unsigned>(of(i)));
      }
      want[5] = static_cast<unsigned>(sum);
      want[6] = static_cast<unsigned>(least);
      for (int kind = 0; kind < kVotes; ++kind)
        ASSERT_EQ(out[static_cast<std::size_t>(kind * 64 + t)], want[kind])
            << "kind " << kind << ", thread " << t;
    }
  });
}

TEST(Block, SumsAndMaximaHaveTheSameBitsInEveryThreadAndOrder) {
  const std::vector<float> in = numbers(256, "sums");
  std::vector<float> first;
  in_each_order([&] {
    std::vector<float> out(1024);
    sums(in.data(), out.data());
    if (first.empty()) first = out;
    EXPECT_EQ(out, first);
  });
  const auto at = [&](int i) { return first[static_cast<std::size_t>(i)]; };
  EXPECT_EQ(at(512), at(767));
  EXPECT_NEAR(double{at(512)}, std::accumulate(in.begin(), in.end(), 0.0), 1e-4);
  EXPECT_EQ(at(768), *std::max_element(in.begin(), in.end()));
  EXPECT_NEAR(double{at(40)}, std::accumulate(in.begin() + 32, in.begin() + 64, 0.0), 1e-5);
  EXPECT_EQ(at(256 + 40), *std::max_element(in.begin() + 32, in.begin() + 64));
}

TEST(Block, CopiesArriveInOrderAndInvalidOnesAreZero) {
  const std::vector<float> in = numbers(512, "pipeline");
  in_each_order([&] {
    std::vector<float> out(512);
    pipeline(in.data(), out.data());
    for (std::size_t i = 0; i < 512; ++i) {
      const std::size_t from = i % 64 > 63 - 60 ? i / 64 * 64 + 63 - i % 64 : 0;
      ASSERT_EQ(out[i], i % 64 < 4 ? 0.0F : in[from]) << i;
    }
  });
}

TEST(Block, NamedBarriersHandBuffersOver) {
  const std::vector<float> in = numbers(256, "hand over");
  in_each_order([&] {
    std::vector<float> out(256);
    hand_over(in.data(), out.data());
    for (std::size_t i = 0; i < 256; ++i) ASSERT_EQ(out[i], in[i / 32 * 32 + 31 - i % 32]) << i;
  });
}

TEST(Block, AtomicsCountEachOnce) {
  const std::vector<int> in = integers(1000, 16);
  std::vector<int> want(16, 0);
  for (const int x : in) ++want[static_cast<std::size_t>(x)];
  in_each_order([&] {
    std::vector<int> out(16, 0);
    histogram(in.data(), 1000, out.data());
    EXPECT_EQ(out, want);
  });
}

TEST(Grid, EveryThreadOfEveryBlockRunsOnce) {
  in_each_order([] {
    std::vector<int> out(6 * 30, -1), want(out.size());
    std::iota(want.begin(), want.end(), 0);
    indices(out.data());
    EXPECT_EQ(out, want);
  });
}

TEST(Grid, ShapesThatNoDeviceTakesAreRefused) {
  EXPECT_TRUE(launches(1, 1, 0));
  EXPECT_TRUE(launches(3, 1024, 227 * 1024));
  EXPECT_TRUE(launches(0, 32, 0)) << "a grid without blocks is no launch";
  EXPECT_FALSE(launches(1, 1025, 0));
  EXPECT_FALSE(launches(1, 0, 0));
  EXPECT_FALSE(launches(1, 32, 227 * 1024 + 1));
  const auto before = ::simt::counts();
  EXPECT_TRUE(launches(5, 32, 0));
  EXPECT_EQ(::simt::counts().blocks, before.blocks + 5);
}

TEST(Formats, AreTheOnesOfDtype) {
  std::vector<float> in = {0.0F, -0.0F, 448.0F, 464.0F, 465.0F, 1e30F, -1e-9F, 0x1p-9F, 0x1p-10F};
  for (const float x : numbers(2000, "formats")) {
    in.push_back(x);
    in.push_back(x * 600);
    in.push_back(x * 0.02F);
  }
  std::vector<std::uint8_t> codes(in.size());
  std::vector<std::uint16_t> halves(in.size());
  conversions(in.data(), static_cast<int>(in.size()), codes.data(), halves.data());
  for (std::size_t i = 0; i < in.size(); ++i) {
    ASSERT_EQ(codes[i], kernels::f32_to_e4m3(in[i])) << in[i];
    ASSERT_EQ(halves[i], kernels::f32_to_bf16(in[i])) << in[i];
  }
  std::vector<std::uint32_t> quads(64);
  for (std::uint32_t i = 0; i < 64; ++i)
    quads[i] = (4 * i) | (4 * i + 1) << 8 | (4 * i + 2) << 16 | (4 * i + 3) << 24;
  std::vector<float> out(256);
  codes_to_floats(quads.data(), 64, out.data());
  for (std::size_t i = 0; i < 256; ++i) {
    const float want = kernels::e4m3_to_f32(static_cast<std::uint8_t>(i));
    ASSERT_TRUE(std::isnan(want) ? std::isnan(out[i]) : out[i] == want) << i;
  }
}

TEST(Bits, AreThoseOfTheirDefinition) {
  std::vector<unsigned> in = {0, 1, 0x80000000U, 0xffffffffU, 0x12345678U, 0x00800000U};
  std::vector<unsigned> out(6 * in.size());
  bits(in.data(), static_cast<int>(in.size()), out.data());
  for (std::size_t i = 0; i < in.size(); ++i) {
    const unsigned x = in[i];
    EXPECT_EQ(out[6 * i], static_cast<unsigned>(std::popcount(x)));
    EXPECT_EQ(out[6 * i + 1], static_cast<unsigned>(std::countl_zero(x)));
    EXPECT_EQ(out[6 * i + 2], x == 0 ? 0 : static_cast<unsigned>(std::countr_zero(x)) + 1);
    unsigned turned = 0;
    for (int bit = 0; bit < 32; ++bit) turned |= (x >> bit & 1U) << (31 - bit);
    EXPECT_EQ(out[6 * i + 3], turned);
    const std::uint64_t both = x | (std::uint64_t{~x} << 32);
    unsigned odd_bytes = 0;  // bytes 1, 3, 5, 7
    for (int byte = 0; byte < 4; ++byte)
      odd_bytes |= static_cast<unsigned>((both >> (16 * byte + 8)) & 0xffU) << (8 * byte);
    EXPECT_EQ(out[6 * i + 4], odd_bytes);
    EXPECT_EQ(out[6 * i + 5], static_cast<unsigned>((std::uint64_t{x} * 0x9e3779b9U) >> 32));
  }
}

}  // namespace
}  // namespace seedbed::simt_self
