// Threads that share one op's loops: every piece exactly once, whatever the system runs when.
#include "kernels/pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

namespace seedbed::kernels {
namespace {

TEST(Pool, EveryPieceIsDoneOnceAndBeforeRunReturns) {
  for (const int threads : {1, 2, 5}) {
    Pool pool(threads);
    for (int round = 0; round < 3000; ++round) {
      const std::int64_t count = 1 + round % 37, grain = 1 + round % 5;
      std::vector<int> hits(static_cast<std::size_t>(count),
                            0);  // plain: a race would be seen by the sanitizer
      parallel_for(&pool, count, grain, [&](std::int64_t begin, std::int64_t end) {
        for (; begin < end; ++begin) ++hits[static_cast<std::size_t>(begin)];
      });
      for (const int n : hits) ASSERT_EQ(n, 1) << "round " << round;
    }
  }
}

TEST(Pool, WakesAfterALongSleep) {
  Pool pool(3);
  for (int i = 0; i < 5; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    std::atomic<int> sum{0};
    parallel_for(&pool, 100, 1, [&](std::int64_t begin, std::int64_t end) {
      sum += static_cast<int>(end - begin);
    });
    EXPECT_EQ(sum.load(), 100);
  }
}

TEST(Pool, NothingToDoIsDoneAtOnce) {
  Pool pool(2);
  parallel_for(&pool, 0, 1, [](std::int64_t, std::int64_t) { FAIL(); });
}

TEST(Scratch, EachThreadHasItsOwn) {
  void* mine = scratch(0, 1000);
  void* theirs = nullptr;
  std::thread([&] { theirs = scratch(0, 1000); }).join();
  EXPECT_NE(mine, nullptr);
  EXPECT_NE(theirs, nullptr);
  EXPECT_EQ(scratch(0, 500), mine);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(mine) % 64, 0U);
}

}  // namespace
}  // namespace seedbed::kernels
