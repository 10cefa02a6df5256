// Every planted bug is found, with the line it stands in; every correct twin runs clean in each
// order. What is found depends on the build: any (threads that do not meet), race check
// (SIMT_RACE), AddressSanitizer with UndefinedBehaviorSanitizer.
#include "tests/simt/self/planted.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <string>
#include <vector>

#include "tests/simt/runtime.h"

namespace seedbed::simt_self {
namespace {
using ::simt::Order;

// "planted.cu:<line>" of the line that carries the mark.
std::string line_of(const std::string& mark) {
  std::ifstream in(SEEDBED_SOURCE_DIR "/tests/simt/self/planted.cu");
  std::string line;
  for (int number = 1; std::getline(in, line); ++number) {
    const auto at = line.find("// " + mark);
    if (at != std::string::npos && at + 3 + mark.size() == line.size())
      return "planted.cu:" + std::to_string(number);
  }
  return "no line carries " + mark;
}

struct Buffers {
  // Vectors of their own, so that what lies behind them is not ours; aligned for 16 bytes.
  std::vector<float> in, out;
  Buffers() : in(64), out(64, 0.0F) {
    for (std::size_t i = 0; i < in.size(); ++i) in[i] = static_cast<float>(i) + 0.5F;
  }
};

std::string failure_of(const Planted& planted, bool bug) {
  Buffers b;
  try {
    planted.run(bug, b.in.data(), b.out.data());
  } catch (const ::simt::Failure& failure) {
    return failure.what();
  }
  return "";
}
const Order kOrders[] = {Order::fifo, Order::lifo, Order::random};

// All correct twins: also what no planted bug of this build covers.
const Planted* const kAll[] = {
    &kTailBarrier,
    &kWarpFence,
    &kShuffleAsFence,
    &kCounter,
    &kNamedBarrier,
    &kWrittenWhileRead,
    &kCopyNotWaitedFor,
    &kNeverWritten,
    &kOutOfStatic,
    &kOutOfDynamic,
    &kOutOfBlock,
    &kTwoBarriers,
    &kBarrierAgainstShuffle,
    &kAbsentLane,
    &kNotInOwnMask,
    &kTwoOps,
    &kPartialMma,
    &kLeftLane,
    &kLeftThread,
    &kBarrierOf48,
    &kTrap,
    &kTooMuchShared,
    &kMisalignedCopy,
    &kOutOfGlobal,
    &kOutOfLocal,
    &kMisalignedVector,
    &kDeepRecursion,
};
TEST(Planted, CorrectTwinsAreCleanAndGiveTheSameBitsInEveryOrder) {
  for (const Planted* planted : kAll) {
    std::vector<float> first;
    for (const Order order : kOrders) {
      Buffers b;
      ::simt::set_order(order);
      ASSERT_NO_THROW(planted->run(false, b.in.data(), b.out.data())) << planted->name;
      if (first.empty()) first = b.out;
      EXPECT_EQ(b.out, first) << planted->name;
      for (const float x : b.out) EXPECT_TRUE(std::isfinite(x)) << planted->name;
    }
  }
  ::simt::set_order(Order::fifo);
}

class Meets : public testing::TestWithParam<const Planted*> {};
TEST_P(Meets, IsFoundWithItsLineInEveryOrderAndTheRuntimeGoesOn) {
  for (const Order order : kOrders) {
    ::simt::set_order(order);
    const std::string what = failure_of(*GetParam(), true);
    EXPECT_NE(what.find(line_of(std::string("PLANT: ") + GetParam()->name)), std::string::npos)
        << what;
    EXPECT_EQ(failure_of(*GetParam(), false), "");
  }
  ::simt::set_order(Order::fifo);
}
std::string name_of(const testing::TestParamInfo<const Planted*>& info) {
  return info.param->name;
}
INSTANTIATE_TEST_SUITE_P(Threads,
                         Meets,
                         testing::Values(&kTwoBarriers,
                                         &kBarrierAgainstShuffle,
                                         &kAbsentLane,
                                         &kNotInOwnMask,
                                         &kTwoOps,
                                         &kPartialMma,
                                         &kLeftLane,
                                         &kLeftThread,
                                         &kBarrierOf48,
                                         &kTrap,
                                         &kTooMuchShared,
                                         &kMisalignedCopy),
                         name_of);

TEST(Planted, ADeadlockSaysWhoWaitsWhere) {
  const std::string what = failure_of(kBarrierAgainstShuffle, true);
  EXPECT_NE(what.find("deadlock"), std::string::npos) << what;
  EXPECT_NE(what.find("threads 0-15 32-47 waits in __syncthreads at "), std::string::npos) << what;
  EXPECT_NE(what.find("threads 16-31 48-63 waits in __shfl_xor_sync, mask ffffffff at "),
            std::string::npos)
      << what;
}

TEST(Planted, EarlyReturnsPassWhereTheyAreAllowed) {
  ::simt::set_strict(false);
  EXPECT_EQ(failure_of(kLeftThread, true), "");
  EXPECT_EQ(failure_of(kLeftLane, true), "");
  ::simt::set_strict(true);
}

#if defined(SIMT_RACE)
class Checked : public testing::TestWithParam<const Planted*> {};
TEST_P(Checked, IsFoundWithItsLineInEveryOrder) {
  for (const Order order : kOrders) {
    ::simt::set_order(order);
    Buffers b;
    std::string what;
    try {
      GetParam()->run(true, b.in.data(), b.out.data());
    } catch (const ::simt::Failure& failure) {
      what = failure.what();
    }
    EXPECT_NE(what.find(line_of(std::string("PLANT: ") + GetParam()->name)), std::string::npos)
        << what;
    EXPECT_EQ(failure_of(*GetParam(), false), "");
  }
  ::simt::set_order(Order::fifo);
}
INSTANTIATE_TEST_SUITE_P(Memory,
                         Checked,
                         testing::Values(&kTailBarrier,
                                         &kWarpFence,
                                         &kShuffleAsFence,
                                         &kCounter,
                                         &kNamedBarrier,
                                         &kWrittenWhileRead,
                                         &kCopyNotWaitedFor,
                                         &kNeverWritten,
                                         &kOutOfStatic,
                                         &kOutOfDynamic,
                                         &kOutOfBlock),
                         name_of);
#elif defined(__SANITIZE_ADDRESS__)
class Sanitized : public testing::TestWithParam<const Planted*> {};
TEST_P(Sanitized, IsFoundWithItsLine) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(failure_of(*GetParam(), true), line_of(std::string("PLANT: ") + GetParam()->name));
}
INSTANTIATE_TEST_SUITE_P(Memory,
                         Sanitized,
                         testing::Values(&kOutOfStatic,
                                         &kOutOfDynamic,
                                         &kOutOfGlobal,
                                         &kOutOfLocal,
                                         &kMisalignedVector,
                                         &kDeepRecursion),
                         name_of);
#else
// Without any check of accesses: what a wrong result or the end of the block shows.
TEST(Planted, AMissingTailBarrierShowsInTheOrderOfTheLast) {
  Buffers right, wrong;
  kTailBarrier.run(false, right.in.data(), right.out.data());
  ::simt::set_order(Order::lifo);
  kTailBarrier.run(true, wrong.in.data(), wrong.out.data());
  ::simt::set_order(Order::fifo);
  EXPECT_NE(wrong.out, right.out);
}
TEST(Planted, WhatIsReadTooEarlyOrWasNeverWrittenIsNaN) {
  for (const Planted* planted : {&kCopyNotWaitedFor, &kNeverWritten}) {
    Buffers b;
    planted->run(true, b.in.data(), b.out.data());
    int nans = 0;
    for (const float x : b.out) nans += std::isnan(x) ? 1 : 0;
    EXPECT_GT(nans, 0) << planted->name;
  }
}
TEST(Planted, AWriteBesideSharedMemoryIsSeenWhenTheBlockEnds) {
  const std::string in_static = failure_of(kOutOfStatic, true);
  EXPECT_NE(in_static.find(line_of("DECLARED: out_of_static")), std::string::npos) << in_static;
  const std::string in_dynamic = failure_of(kOutOfDynamic, true);
  EXPECT_NE(in_dynamic.find("256 bytes of dynamic shared memory"), std::string::npos) << in_dynamic;
}
#endif

}  // namespace
}  // namespace seedbed::simt_self
