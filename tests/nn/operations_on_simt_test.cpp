// Operations run by the executor, by the kernels that are written for a GPU, give what they give on
// the CPU, forward and backward.
#include <set>
#include <string>

#include "tests/support/device_agreement.h"

namespace basin {
namespace {

// Those whose own kernels exist for a GPU; the others refuse to run there.
const std::set<std::string> kOnDevices = {"attention", "linear_attention", "matmul", "rnn", "lstm",
                                          "gru"};

TEST(OperationsOnSimt, AgreeWithTheCpu) {
  std::set<std::string> seen;
  for (const OpEntry& entry : op_database()) {
    if (kOnDevices.contains(entry.name)) {
      test::operation_agrees(entry, Device::simt);
      seen.insert(entry.name);
    }
  }
  EXPECT_EQ(seen, kOnDevices);
}

}  // namespace
}  // namespace basin
