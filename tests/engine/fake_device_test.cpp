// The fake device itself: what it is to find is planted here, and what is right passes.
#include "tests/engine/fake_device.h"

#include <gtest/gtest-spi.h>

#include <cmath>
#include <thread>

#include "tests/engine/fake_device_kit.h"

namespace seedbed::engine::kit {
namespace {

using namespace kernels;  // NOLINT(google-build-using-namespace): every params struct of the table

TEST_F(Fake, TheHostCannotReachItsMemory) {
  testing::GTEST_FLAG(death_test_style) = "threadsafe";
  auto* p = made<float>(device_, {1, 2, 3});
  EXPECT_DEATH({ EXPECT_EQ(*static_cast<volatile float*>(p), 1); }, "host touched|SEGV");
  EXPECT_DEATH({ *static_cast<volatile float*>(p) = 4; }, "host touched|SEGV");
  EXPECT_EQ(read(device_, p, 3), (std::vector<float>{1, 2, 3}));
}

TEST_F(Fake, NewMemoryIsAlignedAndHoldsNothingOfUse) {
  auto* p = device_.allocate(100);
  auto* q = device_.allocate(1);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(p) % 256, 0U);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(q) % 256, 0U);
  EXPECT_EQ(read(device_, p, 100), std::vector<std::byte>(100, std::byte{0xff}));
  EXPECT_EQ(device_.counts().allocations, 2);
  EXPECT_EQ(device_.counts().bytes, 101);
}

class FakeNorm : public Fake {
 protected:
  FakeNorm()
      : x_(made<float>(device_, {3, 4, 0, 0})),
        weight_(made<float>(device_, {1, 1, 1, 2})),
        out_(made<float>(device_, std::vector<float>(4))) {}
  RmsNormParams params() const {
    return {.rows = 1, .dim = 4, .x = x_, .weight = weight_, .eps = 0, .out = out_};
  }
  std::string told(const RmsNormParams& p) {
    return why([&] { device_.ops().rms_norm(p); });
  }
  float *x_, *weight_, *out_;
};

TEST_F(FakeNorm, AWrongPointerIsToldByOpAndParameter) {
  auto p = params();
  device_.ops().rms_norm(p);
  EXPECT_EQ(read(device_, out_, 2), (std::vector<float>{1.2F, 1.6F}));
  const std::vector<float> host(4);
  p.weight = host.data();
  expect_in("op 'rms_norm', parameter 'weight': memory of the host", told(p));
  p = params();
  p.x = nullptr;
  expect_in("parameter 'x': null", told(p));
  p = params();
  p.out = out_ + 1;
  expect_in("parameter 'out', wanted 16 bytes, allocation 3 ends after 12", told(p));
  p = params();
  p.rows = 2;
  expect_in("parameter 'x', wanted 32 bytes, allocation 1 ends after 16", told(p));
  p = params();
  p.weight = reinterpret_cast<const float*>(reinterpret_cast<const char*>(weight_) + 2);
  expect_in("parameter 'weight': not aligned", told(p));
  p = params();
  release(device_, weight_);
  expect_in("parameter 'weight': memory that is not allocated, or no longer", told(p));
  FakeDevice other({.reserve_bytes = 1 << 20, .quiet = true});
  other.bind();
  expect_in("memory of the host or of another device",
            why([&] { other.ops().rms_norm(params()); }));
}

TEST_F(Fake, PointersInListsAreLookedAtToo) {
  const std::vector<float> host(64, 1.0F);
  auto* a = made(device_, host);
  auto* out = made<float>(device_, std::vector<float>(8));
  const auto run = [&](const std::vector<std::int32_t>& offsets, const void* w0, const void* w1) {
    auto* o = made(device_, offsets);
    auto* list = made<const void*>(device_, {w0, w1});
    device_.ops().grouped_gemm(
        {.groups = 2, .cols = 4, .inner = 16, .offsets = o, .a = a, .w = list, .out = out});
  };
  run({0, 1, 2}, a, a);
  EXPECT_EQ(read(device_, out, 8), std::vector<float>(8, 16.0F));
  run({0, 2, 2}, a, nullptr);
  expect_in("op 'grouped_gemm', parameter 'w[...]': memory of the host", why([&] {
              run({0, 1, 2}, a, host.data());
            }));
  expect_in("parameter 'w[...]': null", why([&] { run({0, 1, 2}, nullptr, a); }));
  expect_in("parameter 'w[...]', wanted 256 bytes, allocation 1 ends after 252", why([&] {
              run({0, 1, 2}, a, a + 1);
            }));
  expect_in("parameter 'offsets': not ascending", why([&] { run({0, 2, 1}, a, a); }));
  expect_in("parameter 'a', wanted 320 bytes", why([&] { run({0, 1, 5}, a, a); }));
}

TEST_F(Fake, CopiesAreLookedAtLikeOps) {
  auto* p = device_.allocate(64);
  auto* q = device_.allocate(64);
  std::byte host[128] = {};
  expect_in("upload, parameter 'to', wanted 65", why([&] { device_.upload(p, host, 65); }));
  expect_in("upload, parameter 'to': memory of the host",
            why([&] { device_.upload(host, host + 64, 64); }));
  expect_in("from memory of the device", why([&] { device_.upload(p, q, 64); }));
  expect_in("download, parameter 'from'", why([&] { device_.download(host, p + 1, 64); }));
  expect_in("to memory of the device", why([&] { device_.download(p, q, 64); }));
  expect_in("copy, parameter 'from': memory of the host", why([&] { device_.copy(p, host, 64); }));
  expect_in("copy: the two overlap", why([&] { device_.copy(p, p + 8, 16); }));
  device_.upload(p, host, 64);
  device_.copy(q + 60, p, 4);
  EXPECT_EQ(read(device_, q + 59, 2), (std::vector<std::byte>{std::byte{0xff}, std::byte{0}}));
}

TEST(FakeDeviceMemory, AnOpThatWritesBesideItsBufferIsFound) {
  Ops ops = cpu_ops();
  ops.silu_mul = [](const SiluMulParams& p) { p.out[p.count] = 0; };
  FakeDevice device({.ops = &ops, .reserve_bytes = 1 << 20, .quiet = true});
  device.bind();
  for (const std::size_t count : {3U, 64U}) {  // inside of the rounded size, and behind it
    auto* x = made(device, std::vector<float>(count));
    device.wait();
    device.ops().silu_mul(
        {.count = static_cast<std::int64_t>(count), .gate = x, .up = x, .out = x});
    expect_in("somebody wrote beside it, at byte " + std::to_string(count * 4),
              why([&] { device.wait(); }));
    expect_in("somebody wrote beside it", why([&] { release(device, x); }));
  }
}

TEST(FakeDeviceMemory, ThereIsALimitAndWhatIsReleasedCountsNoMore) {
  FakeDevice device({.limit_bytes = 1000, .reserve_bytes = 1 << 20});
  device.bind();
  EXPECT_EQ(device.free_bytes(), 1000);
  auto* p = device.allocate(600);
  ASSERT_NE(p, nullptr);
  EXPECT_EQ(device.allocate(401), nullptr);
  auto* q = device.allocate(400);
  ASSERT_NE(q, nullptr);
  EXPECT_EQ(device.free_bytes(), 0);
  EXPECT_EQ(device.allocate(1), nullptr);
  device.set_limit(2000);
  device.release(p);
  EXPECT_EQ(device.free_bytes(), 1600);
  EXPECT_EQ(device.counts().bytes, 400);
  device.release(q);
}

TEST(FakeDeviceMemory, AddressesAreUsedAgainAndNeverTwiceAtOnce) {
  FakeDevice device({.reserve_bytes = 1 << 16});
  device.bind();
  std::vector<std::byte*> live;
  for (int i = 0; i < 2000; ++i) {
    auto* p = device.allocate(1 + i * 131 % 3000);
    if (p != nullptr) live.push_back(p);
    ASSERT_TRUE(p != nullptr || live.size() > 5) << i;
    if (p == nullptr || live.size() > 12) {
      const auto at = static_cast<std::size_t>(i * 7) % live.size();
      device.release(live[at]);
      live.erase(live.begin() + static_cast<std::ptrdiff_t>(at));
    }
    device.wait();
  }
  for (auto* p : live) device.release(p);
  EXPECT_EQ(device.counts().bytes, 0);
}

TEST(FakeDeviceMemory, WhatIsNeverReleasedIsTold) {
  EXPECT_NONFATAL_FAILURE(
      {
        FakeDevice device({.reserve_bytes = 1 << 20});
        device.bind();
        device.allocate(17);
      },
      "1 allocations were never released, one of 17 bytes");
}

TEST(FakeDeviceMemory, ABrokenRuleFailsTheTestToo) {
  EXPECT_NONFATAL_FAILURE(
      {
        FakeDevice device({.reserve_bytes = 1 << 20});
        device.bind();
        EXPECT_THROW(device.upload(nullptr, "x", 1), BrokenRule);
      },
      "upload, parameter 'to': null");
}

TEST_F(FakeNorm, ARecordingRunsAgainOverNewContents) {
  ASSERT_TRUE(device_.can_record());
  auto* kept = made<float>(device_, std::vector<float>(4));
  float scale = 0;  // a value of the host, taken when the op is recorded
  device_.record_begin();
  auto p = params();
  device_.ops().rms_norm(p);
  device_.ops().fold_weights({.count = 4, .w = out_, .fold = scale + 2});
  device_.copy(kept, out_, 16);
  const auto recording = device_.record_end();
  ASSERT_NE(recording, nullptr);
  EXPECT_EQ(device_.counts().ops, 0) << "nothing is run while recording";
  scale = 100;
  p.weight = nullptr;
  device_.play(*recording);
  EXPECT_EQ(read(device_, kept, 2), (std::vector<float>{2.4F, 3.2F}));
  const float x[] = {0, 0, 4, 3};
  device_.upload(x_, x, 16);
  device_.play(*recording);
  EXPECT_EQ(read(device_, kept, 4), (std::vector<float>{0, 0, 3.2F, 4.8F}));
  EXPECT_EQ(device_.counts().recordings, 1);
  EXPECT_EQ(device_.counts().plays, 2);
  EXPECT_EQ(device_.counts().played, 4);
  EXPECT_EQ(device_.counts().copies, 2);
  // Memory that is gone is found when it is played, as on a GPU.
  release(device_, weight_);
  expect_in("op 'rms_norm', parameter 'weight'", why([&] { device_.play(*recording); }));
}

TEST_F(FakeNorm, WhileRecordingNothingElseMayBeCalled) {
  device_.record_begin();
  float host[4];
  expect_in("not while recording", why([&] { device_.upload(x_, host, 16); }));
  expect_in("not while recording", why([&] { device_.download(host, x_, 16); }));
  expect_in("not while recording", why([&] { device_.wait(); }));
  expect_in("not while recording", why([&] { device_.allocate(16); }));
  expect_in("not while recording", why([&] { device_.record_begin(); }));
  const auto recording = device_.record_end();
  device_.play(*recording);
  expect_in("without record_begin", why([&] { device_.record_end(); }));
  FakeDevice other({.reserve_bytes = 1 << 20, .quiet = true});
  other.bind();
  expect_in("a recording of another device", why([&] { other.play(*recording); }));
}

// Whoever reads between the steps of a chain finds nothing there.
TEST(FakeDeviceChains, SpoilWhatLiesBetween) {
  FakeDevice device({.reserve_bytes = 1 << 20, .chains = true, .quiet = true});
  device.bind();
  ASSERT_NE(device.chains(), nullptr);
  auto* gate = made<float>(device, {1, -2, 3, 4});
  auto* up = made<float>(device, {1, 1, 2, 2});
  auto* codes = made(device, std::vector<std::uint8_t>(4));
  auto* scale = made<float>(device, {0});
  const SiluMulParams silu{.count = 4, .gate = gate, .up = up, .out = gate};
  const ActQuantParams quant{.rows = 1, .dim = 4, .x = gate, .out = codes, .scale = scale};
  device.record_begin();
  device.chains()->silu_mul_quant(silu, quant);
  const auto recording = device.record_end();
  EXPECT_EQ(read(device, gate, 1)[0], 1);
  device.play(*recording);
  EXPECT_TRUE(std::isnan(read(device, gate, 1)[0]));
  const auto got = read(device, codes, 4);
  const float by = read(device, scale, 1)[0];
  EXPECT_NEAR(e4m3_to_f32(got[3]) * by, 2 * 4 / (1 + std::exp(-4.0)), 0.3);
  EXPECT_EQ(device.counts().chains, 1);
  expect_in("two steps that do not meet", why([&] {
              device.chains()->silu_mul_quant(silu, {.rows = 1, .dim = 4, .x = up, .out = codes});
            }));
  expect_in("op 'act_quant', parameter 'scale': null", why([&] {
              device.chains()->silu_mul_quant(silu, {.rows = 1, .dim = 4, .x = gate, .out = codes});
            }));
  EXPECT_EQ(FakeDevice({.reserve_bytes = 1 << 20}).chains(), nullptr);
}

TEST(FakeDeviceRecording, MayNotBeOffered) {
  FakeDevice device({.reserve_bytes = 1 << 20, .records = false});
  device.bind();
  EXPECT_FALSE(device.can_record());
  device.record_begin();
  EXPECT_EQ(device.record_end(), nullptr);
}

TEST_F(FakeNorm, AFailureEndsItsUse) {
  device_.fail_after(3);
  device_.ops().rms_norm(params());
  device_.ops().rms_norm(params());
  EXPECT_EQ(read(device_, out_, 1)[0], 1.2F);
  EXPECT_THROW(device_.ops().rms_norm(params()), DeviceError);
  EXPECT_THROW(device_.ops().rms_norm(params()), DeviceError);
  EXPECT_THROW(read(device_, out_, 1), DeviceError);
  EXPECT_THROW(made<float>(device_, {1}), DeviceError);
  EXPECT_THROW(device_.wait(), DeviceError);
  EXPECT_THROW(device_.record_begin(), DeviceError);
  release(device_, x_);
  EXPECT_EQ(device_.counts().ops, 2);
}

TEST_F(FakeNorm, AFailureMayBeToldLater) {
  device_.record_begin();
  device_.ops().rms_norm(params());
  device_.ops().rms_norm(params());
  const auto recording = device_.record_end();
  device_.fail_after(2, FakeDevice::Failure::late);
  device_.play(*recording);
  device_.ops().rms_norm(params());
  const float x[4] = {};
  device_.upload(x_, x, 16);
  EXPECT_EQ(device_.counts().ops, 1);
  EXPECT_THROW(read(device_, out_, 1), DeviceError);
  EXPECT_THROW(device_.ops().rms_norm(params()), DeviceError);
}

TEST_F(FakeNorm, AThreadBindsBeforeItCalls) {
  std::string op, copy, after;
  std::thread([&] {
    op = told(params());
    copy = why([&] { device_.wait(); });
    device_.bind();
    after = told(params());
  }).join();
  expect_in("without bind()", op);
  expect_in("wait: this thread has not called bind() last", copy);
  EXPECT_EQ(after, "nothing was found");
  {
    FakeDevice other({.reserve_bytes = 1 << 20});
    other.bind();
    expect_in("has not called bind() last", why([&] { device_.wait(); }));
  }
  expect_in("without bind()", told(params()));
}

}  // namespace
}  // namespace seedbed::engine::kit
