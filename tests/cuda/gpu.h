// Tests that need a GPU are skipped, with the reason, where there is none.
#pragma once

#include <gtest/gtest.h>

#include "tensor/device.h"

namespace basin::test {

class OnGpu : public testing::Test {
 protected:
  void SetUp() override {
    if (const std::string problem = why_unavailable(Device::cuda); !problem.empty()) {
      GTEST_SKIP() << "needs a GPU: " << problem;
    }
  }
};

}  // namespace basin::test
