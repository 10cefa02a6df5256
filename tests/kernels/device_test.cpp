// What is left out where the machine or the build lacks something, each once and by name.
#include "tests/kernels/device.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "tests/kernels/support.h"

namespace seedbed::kernels::test {
namespace {

bool has_backend(const std::string& name) {
  const auto all = all_backends();
  return std::any_of(all.begin(), all.end(), [&](const Backend& b) { return b.name == name; });
}

TEST(CudaBackend, IsBuiltAndFindsItsDevice) {
  if (const std::string why = why_no_device(); !why.empty())
    GTEST_SKIP() << why << ": no case of the suite is run on a device";
  EXPECT_TRUE(has_backend("cuda"));
}

TEST(SimtBackend, IsBuilt) {
  if (!has_backend("simt"))
    GTEST_SKIP() << "no CUDA headers on this machine (or not x86-64): the CUDA kernels are not "
                    "tested on the host";
}

}  // namespace
}  // namespace seedbed::kernels::test
