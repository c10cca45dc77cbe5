// Every operation of the op database: gradients, precision, reproducibility, memory, refusals.
#include "autograd/opdb.h"

#include <gtest/gtest.h>

#include <memory>
#include <set>
#include <string>

#include "tensor/error.h"
#include "tests/support/allocators.h"
#include "tests/support/expect_error.h"
#include "tests/support/same_bits.h"
#include "tests/support/scoped_threads.h"

namespace basin {
namespace {

using test::same_bits;

constexpr std::uint64_t kSeed = 7;

// The value of a sample and the gradients of its inputs for a random cotangent.
std::vector<Tensor> value_and_gradients(const OpSample& sample, DType dtype) {
  std::vector<Variable> inputs;
  for (const Tensor& input : sample.inputs) {
    const bool floating = input.dtype() == DType::f64;
    inputs.emplace_back(floating ? input.to(dtype) : input, floating);
  }
  const Variable y = sample.call(inputs);
  std::vector<Tensor> result = {y.value()};
  if (y.requires_grad()) {
    y.backward(Rng(kSeed).normal(y.shape(), 1.0, y.dtype()));
  }
  for (const Variable& input : inputs) {
    result.push_back(input.grad());
  }
  return result;
}

class EveryOperation : public testing::TestWithParam<std::size_t> {
 protected:
  const OpEntry& entry() const { return op_database()[GetParam()]; }
  std::vector<OpSample> samples() const {
    Rng rng(kSeed);
    return entry().samples(rng);
  }
};

TEST_P(EveryOperation, HasSamplesAndErrors) {
  EXPECT_FALSE(samples().empty());
  EXPECT_FALSE(entry().errors().empty());
}

TEST_P(EveryOperation, GradientAgreesWithFiniteDifferences) {
  for (const OpSample& sample : samples()) {
    const GradcheckResult result = gradcheck(sample.call, sample.inputs);
    EXPECT_TRUE(result.ok) << sample.name << ": " << result.message;
  }
}

TEST_P(EveryOperation, SinglePrecisionIsCloseToDouble) {
  for (const OpSample& sample : samples()) {
    const std::vector<Tensor> exact = value_and_gradients(sample, DType::f64);
    const std::vector<Tensor> rounded = value_and_gradients(sample, DType::f32);
    for (std::size_t n = 0; n < exact.size(); ++n) {
      ASSERT_EQ(exact[n].defined(), rounded[n].defined()) << sample.name;
      if (!exact[n].defined()) continue;
      const std::vector<double> a = rounded[n].to_vector<double>();
      const std::vector<double> b = exact[n].to_vector<double>();
      for (std::size_t i = 0; i < a.size(); ++i) {
        // The inputs themselves are rounded to 6e-8; the sharpest samples (softmax of scores around
        // 100) multiply that by the size of the scores.
        EXPECT_TRUE(std::abs(a[i] - b[i]) <= 5e-5 * (1 + std::abs(b[i])))
            << sample.name << " tensor " << n << " element " << i << ": " << a[i] << " " << b[i];
      }
    }
  }
}

TEST_P(EveryOperation, GivesTheSameBitsForAnyNumberOfThreadsAndOnFreshMemory) {
  for (const DType dtype : {DType::f64, DType::f32}) {
    for (const OpSample& sample : samples()) {
      const std::vector<Tensor> first = value_and_gradients(sample, dtype);
      EXPECT_TRUE(same_bits(first, value_and_gradients(sample, dtype))) << sample.name;
      for (const int count : {1, 2, 3}) {
        const test::ScopedThreads scoped(count);
        EXPECT_TRUE(same_bits(first, value_and_gradients(sample, dtype)))
            << sample.name << " with " << count << " threads";
      }
      // Reading memory before writing it would bring NaN into the result; writing beyond the end
      // damages a guard strip.
      const auto nan = std::make_shared<test::NanFillingAllocator>();
      {
        const test::ScopedThreads scoped(1);
        const ScopedAllocator use(nan);
        EXPECT_TRUE(same_bits(first, value_and_gradients(sample, dtype))) << sample.name;
      }
      EXPECT_EQ(nan->damaged(), 0u) << sample.name;
      EXPECT_EQ(nan->stats().active, 0u) << sample.name;
    }
  }
}

TEST_P(EveryOperation, AFailedAllocationIsReportedAndLeaksNothing) {
  const OpSample sample = samples().front();
  for (std::size_t n = 1;; ++n) {
    const auto failing = std::make_shared<test::FailingAllocator>(n);
    bool failed = false;
    {
      const ScopedAllocator use(failing);
      try {
        (void)value_and_gradients(sample, DType::f64);
      } catch (const OutOfMemory&) {
        failed = true;
      }
    }
    EXPECT_EQ(failing->stats().active, 0u) << "request " << n;
    EXPECT_EQ(failing->damaged(), 0u);
    if (!failed) {
      EXPECT_GT(n, 1u);  // at least one request was made to fail
      break;
    }
    ASSERT_LT(n, 1000u);
  }
}

TEST_P(EveryOperation, RefusesWhatItCannotDo) {
  for (const OpError& error : entry().errors()) {
    EXPECT_TRUE(test::refuses<Error>(error.call, {error.message_part})) << error.name;
  }
}

INSTANTIATE_TEST_SUITE_P(OpDatabase, EveryOperation,
                         testing::Range<std::size_t>(0, op_database().size()),
                         [](const auto& each) { return op_database()[each.param].name; });

TEST(OpDatabase, HasEveryTableLineAndNoNameTwice) {
  std::set<std::string> names;
  for (const OpEntry& entry : op_database()) {
    EXPECT_TRUE(names.insert(entry.name).second) << entry.name;
  }
  for (int op = 0; op < static_cast<int>(kernels::UnaryOp::count); ++op) {
    EXPECT_EQ(names.count(kernels::info(static_cast<kernels::UnaryOp>(op)).name), 1u);
  }
  for (const char* name :
       {"matmul", "linear", "attention", "linear_attention", "rnn", "lstm", "gru", "layer_norm",
        "cross_entropy", "embedding", "dropout", "softmax"}) {
    EXPECT_EQ(names.count(name), 1u) << name;
  }
}

}  // namespace
}  // namespace basin
