// A server of boxes for each test; without root it is skipped.
#pragma once
#include <gtest/gtest.h>
#include <unistd.h>

#include "sandbox/boxes.h"

namespace seedbed::sandbox {

class WithBoxes : public ::testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root";
    auto started = Boxes::start();
    ASSERT_TRUE(started.ok()) << started.error().message;
    boxes_ = *started;
  }

  std::shared_ptr<Boxes> boxes_;
};

}  // namespace seedbed::sandbox
