// Every operation under allocators that find mistakes: memory that is read before it is written,
// written beyond its end, or lost when a request fails.
#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "autograd/opdb.h"
#include "tensor/error.h"
#include "tests/support/allocators.h"
#include "tests/support/op_runs.h"
#include "tests/support/same_bits.h"

namespace basin::test {
namespace {

class OpMemory : public OpTest {};

TEST_P(OpMemory, ReadsNothingItDidNotWrite) {
  for (const OpSample& sample : samples()) {
    for (const std::vector<Tensor>& inputs : {sample.inputs, in_f32(sample.inputs)}) {
      const std::vector<Tensor> expected = run_sample(sample, inputs).all();
      const auto allocator = std::make_shared<NanFillingAllocator>();
      {
        const ScopedAllocator scope(allocator);
        EXPECT_TRUE(same_bits(run_sample(sample, inputs).all(), expected)) << sample.name;
      }
      EXPECT_EQ(allocator->damaged(), 0u) << sample.name << " wrote beyond the end of a tensor";
      EXPECT_EQ(allocator->stats().active, 0u) << sample.name << " kept memory";
    }
  }
}

TEST_P(OpMemory, LosesNothingWhenAnAllocationFails) {
  for (const OpSample& sample : samples()) {
    const std::vector<Tensor> expected = run_sample(sample, sample.inputs).all();
    const Tensor cotangent = cotangent_for(expected.back());
    const std::size_t before = cpu_allocator()->stats().active;
    bool failed = true;
    for (std::size_t n = 1; failed; ++n) {
      ASSERT_LT(n, 1000u) << sample.name << " never comes to an end";
      const auto allocator = std::make_shared<FailingAllocator>(n);
      {
        std::vector<Tensor> all;
        try {
          const ScopedAllocator scope(allocator);
          all = run_sample(sample, sample.inputs, cotangent).all();
          failed = false;
        } catch (const OutOfMemory&) {
        }
        EXPECT_EQ(failed, allocator->requests() >= n) << sample.name << " hid failure " << n;
        EXPECT_TRUE(failed || same_bits(all, expected)) << sample.name;
      }
      EXPECT_EQ(allocator->stats().active, 0u) << sample.name << " kept memory at failure " << n;
      EXPECT_EQ(allocator->damaged(), 0u) << sample.name;
      EXPECT_EQ(cpu_allocator()->stats().active, before) << sample.name;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Database, OpMemory, testing::Range(std::size_t{0}, op_database().size()),
                         op_test_name);

}  // namespace
}  // namespace basin::test
