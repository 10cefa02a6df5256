// A device that fails in the middle of a run: the run ends with what happened, what was stored
// stays, and a later run goes on to the same end.
#include <gtest/gtest.h>

#include <atomic>

#include "engine_store.h"

namespace seedbed {
namespace {

std::atomic<int> passes_left{0};
void failing_head(const kernels::LmHeadParams& p) {
  if (--passes_left < 0) throw kernels::DeviceError(719, "unspecified launch failure", "gpu", 1);
  kernels::cpu_ops().lm_head(p);
}

TEST(Lost, DeviceErrorSaysWhatTheDriverSaid) {
  const kernels::DeviceError error(719, "unspecified launch failure", "gemm.cu", 12);
  EXPECT_EQ(error.code(), 719);
  EXPECT_STREQ(error.what(), "gemm.cu:12: CUDA error 719: unspecified launch failure");
}

using EngineRun = test::EngineStore;

TEST_F(EngineRun, ALostDeviceEndsTheRunAndNotWhatIsStored) {
  static const test::EngineKit kit({test::dsml_call("find_person", "name", "Bo AHal"),
                                    test::dsml_call("submit_result", "fee", "1037", false)});
  static const kernels::Ops ops = [] {
    kernels::Ops out = kernels::cpu_ops();
    out.lm_head = failing_head;
    return out;
  }();
  auto o = test::engine_options(kit, true, 2);
  o.samples = 3;
  run(o);
  const std::string whole = runs_digest(*store);
  const std::size_t all = episodes().size();
  store = fresh("b.db");
  passes_left = 150;
  o.engine.on = kernels::host_device(&ops);
  const auto made = agent::run_policy(*store, o, test::clinic_hosts());
  ASSERT_FALSE(made.ok());
  EXPECT_EQ(made.error().where, Where::config) << "exit code 3";
  EXPECT_NE(made.error().message.find("CUDA error 719"), std::string::npos) << made.error().message;
  const std::size_t before = episodes().size();
  EXPECT_GT(before, 0U);
  EXPECT_LT(before, all);
  o.engine.on = nullptr;
  EXPECT_EQ(static_cast<std::size_t>(run(o).skipped), before);
  EXPECT_EQ(episodes().size(), all);
  EXPECT_EQ(runs_digest(*store), whole);
}

}  // namespace
}  // namespace seedbed
