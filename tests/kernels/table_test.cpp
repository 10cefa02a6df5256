// The tables themselves, the pool, and the suite's own tools.
#include <cmath>
#include <limits>
#include <mutex>

#include "kernels/math.h"
#include "tests/kernels/support.h"

namespace seedbed::kernels::test {
namespace {

class EveryTable : public EachBackend {};
SEEDBED_BACKENDS(EveryTable);

TEST_P(EveryTable, TableHasNoHole) {
  const Ops& table = ops();
  EXPECT_STREQ(table.name, GetParam().name);
  // Everything behind the name is a function pointer.
  constexpr std::size_t entries = (sizeof(Ops) - offsetof(Ops, embed)) / sizeof(void (*)());
  static_assert(entries == 26, "an op was added: give it a contract test, then count it here");
  void (*functions[entries])() = {};
  std::memcpy(functions, reinterpret_cast<const char*>(&table) + offsetof(Ops, embed),
              sizeof functions);
  for (std::size_t i = 0; i < entries; ++i) EXPECT_NE(functions[i], nullptr) << "entry " << i;
}

TEST(Dispatch, TheChosenSetIsSupported) {
  EXPECT_TRUE(isa_supported(Isa::scalar));
  EXPECT_TRUE(isa_supported(chosen_isa()));
  EXPECT_STREQ(cpu_ops().name, ("cpu." + std::string(isa_name(chosen_isa()))).c_str());
}

TEST(Threads, EveryIndexIsTakenOnceInPiecesOfAtMostTheGrain) {
  for (const std::int64_t count : {0, 1, 7, 64, 1000})
    for (const std::int64_t grain : {1, 3, 64, 2000}) {
      std::vector<int> taken(at(count), 0);
      std::int64_t longest = 0;
      std::mutex mutex;
      parallel_for(pool_of(3), count, grain, [&](std::int64_t begin, std::int64_t end) {
        const std::lock_guard lock(mutex);
        longest = std::max(longest, end - begin);
        for (std::int64_t i = begin; i < end; ++i) ++taken[at(i)];
      });
      EXPECT_EQ(taken, std::vector<int>(at(count), 1)) << count << " by " << grain;
      EXPECT_LE(longest, grain);
    }
}

TEST(Threads, ManyShortRoundsLoseNothing) {
  std::vector<std::int64_t> sums(64, 0);
  for (int round = 0; round < 5'000; ++round)
    parallel_for(pool_of(3), 64, 1,
                 [&](std::int64_t begin, std::int64_t) { sums[at(begin)] += round; });
  EXPECT_EQ(sums, std::vector<std::int64_t>(64, 5'000LL * 4'999 / 2));
}

TEST(Threads, ScratchIsAlignedAndItsOwnInEachSlot) {
  auto* a = static_cast<std::byte*>(scratch(0, 100));
  auto* b = static_cast<std::byte*>(scratch(1, 5000));
  std::memset(a, 1, 100);
  std::memset(b, 2, 5000);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(a) % 64, 0U);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(b) % 64, 0U);
  EXPECT_EQ(a[99], std::byte{1});
  EXPECT_EQ(scratch(0, 64), a) << "what suffices is kept";
}

TEST(Math, ExpIsWithinAFewUlpsOfTheLibrary) {
  double worst = 0;
  for (double x = -700; x <= 700; x += 0.01037)
    worst = std::max(worst, std::fabs(exp_exact(x) / std::exp(x) - 1));
  EXPECT_LT(worst, 1e-15);
  EXPECT_EQ(exp_exact(0.0), 1.0);
  EXPECT_GT(exp_exact(1e300), 1e307);
  EXPECT_LT(exp_exact(-1e300), 1e-307);
  EXPECT_TRUE(std::isnan(exp_exact(std::numeric_limits<double>::quiet_NaN())));
}

TEST(Math, SigmoidAndSiluEqualTheirDefinitionsToTheLastBitOrTheNext) {
  Rng rng = stream("math");
  for (const float x : normal(rng, 100'000, 8)) {
    const double sigmoid = 1 / (1 + std::exp(-double{x}));
    EXPECT_NEAR(sigmoid_exact(x) / sigmoid, 1, 6.1e-8) << x;
    EXPECT_NEAR(silu_mul_exact(x, 3.0F) / (double{x} * sigmoid * 3), 1, 6.1e-8) << x;
  }
  EXPECT_EQ(sigmoid_exact(std::numeric_limits<float>::infinity()), 1.0F);
  EXPECT_EQ(sigmoid_exact(-std::numeric_limits<float>::infinity()), 0.0F);
}

TEST(Comparator, FindsWhatItIsFor) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float inf = std::numeric_limits<float>::infinity();
  const Tolerance loose{.abs = 0.1, .cos = 1};
  const std::vector<float> want = {1, 2, nan, -inf, 5};
  EXPECT_TRUE(close(want, want, Tolerance{}));
  EXPECT_FALSE(close(std::vector<float>{1, 2, 0, -inf, 5}, want, loose));
  EXPECT_FALSE(close(std::vector<float>{1, nan, nan, -inf, 5}, want, loose));
  EXPECT_FALSE(close(std::vector<float>{1, 2, nan, inf, 5}, want, loose));
  EXPECT_FALSE(close(std::vector<float>{1, 2, nan, -3e38F, 5}, want, loose));
  EXPECT_FALSE(close(std::vector<float>{1, 2, nan, -inf, 5.2F}, want, loose));
  EXPECT_FALSE(close(std::vector<float>{1, 2, nan, -inf}, want, loose));
  EXPECT_TRUE(close(std::vector<float>{1, 2, nan, -inf, 5.05F}, want, loose));
  EXPECT_FALSE(
      close(std::vector<float>{1, 2, nan, -inf, 5.05F}, want, Tolerance{.abs = 0.1, .cos = 1e-6}));
}

TEST(Comparator, ABufferKnowsWhatWasWrittenBesideIt) {
  Buffer a = Buffer::of<float>(4), b = a;
  EXPECT_TRUE(exact(a, b));
  a.as<float>()[4] = 0;
  EXPECT_FALSE(exact(a, b));
  EXPECT_FALSE(close(a, b, Tolerance{.abs = 1e9, .cos = 9}));
}

}  // namespace
}  // namespace seedbed::kernels::test
