// Every kernel of the table that exists for CUDA, run by the executor in several orders of threads,
// against its reference in double.
#include <gtest/gtest.h>

#include <cstring>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "kernels/simt/context.h"
#include "kernels/table/case_arrays.h"
#include "kernels/table/kernel_table.h"
#include "tests/simt/support.h"
#include "tests/support/guarded_memory.h"

namespace basin::kernels {
namespace {

/// The arrays of a case in memory that only the executor may touch.
class GuardedCase {
 public:
  GuardedCase(const KernelCase& problem, CaseArrays& arrays) : arrays_(arrays) {
    test::GuardedMemory& memory = test::GuardedMemory::instance();
    const simt::OpenMemory open;
    for (std::size_t n = 0; n < problem.buffers.size(); ++n) {
      const std::span<std::byte> whole = arrays.with_borders(n);
      blocks_.push_back(memory.take(whole.size()));
      std::memcpy(blocks_.back(), whole.data(), whole.size());
      data_.push_back(static_cast<std::byte*>(blocks_.back()) + CaseArrays::border());
    }
  }
  ~GuardedCase() {
    const simt::OpenMemory open;
    for (std::size_t n = 0; n < blocks_.size(); ++n) {
      const std::span<std::byte> whole = arrays_.with_borders(n);
      std::memcpy(whole.data(), blocks_[n], whole.size());
      test::GuardedMemory::instance().give(blocks_[n], whole.size());
    }
  }
  GuardedCase(const GuardedCase&) = delete;
  GuardedCase& operator=(const GuardedCase&) = delete;
  void* const* data() const { return data_.data(); }

 private:
  CaseArrays& arrays_;
  std::vector<void*> blocks_, data_;
};

CaseArrays run_once(const KernelCase& problem, DType dtype, int variant, const SimtContext& context,
                    const CpuContext& cpu) {
  CaseArrays arrays(problem, dtype, cpu);
  EXPECT_TRUE(arrays.status().ok()) << arrays.status().message;
  {
    const GuardedCase guarded(problem, arrays);
    const Status status = problem.run_simt(guarded.data(), dtype, variant, context);
    EXPECT_TRUE(status.ok()) << status.message;
  }
  EXPECT_EQ(arrays.damaged(), "") << "wrote beyond the borders of this buffer";
  return arrays;
}

/// `checked`: what other variants gave. One that gives the bits of another is taken for the same
/// kernel, which need not show once more that it minds no order.
void check(const KernelEntry& entry, const KernelCase& problem, DType dtype, int variant,
           const std::vector<SimtContext>& orders, const CaseReference& expected,
           const CpuContext& cpu, std::vector<CaseArrays>& checked) {
  SCOPED_TRACE("variant " + std::to_string(variant));
  LaunchCounts counts;
  SimtContext context = orders.front();
  context.counts = &counts;
  context.shared_limit = kSharedBytesOfAmpere;  // all kernels are for 8.0, too
  CaseArrays first = run_once(problem, dtype, variant, context, cpu);
  // Variant 0 of gemm is a library, for which the executor takes the CPU's kernel.
  if (entry.name != "gemm" || variant != 0) {
    EXPECT_GT(counts.threads, 0);
  }
  for (const CaseArrays& other : checked) {
    if (first.same_outputs(other)) {
      return;
    }
  }
  const double tolerance = allowed_error(entry, problem, dtype);
  const auto worst = expected.difference(first);
  EXPECT_TRUE(worst.error <= tolerance)
      << worst.buffer << "[" << worst.position << "] is " << worst.found << ", expected "
      << worst.expected << ": error " << worst.error << " above " << tolerance;
  for (std::size_t n = 1; n < orders.size(); ++n) {
    context = orders[n];
    context.pool = context.schedule == Schedule::random ? cpu.pool : nullptr;
    EXPECT_TRUE(first.same_outputs(run_once(problem, dtype, variant, context, cpu)))
        << order_name(context);
  }
  checked.push_back(std::move(first));
}

class EveryCudaKernel : public testing::TestWithParam<std::string> {};

TEST_P(EveryCudaKernel, AgreesWithItsReferenceInAnyOrderOfThreads) {
  ThreadPool pool(2);
  const CpuContext cpu{&pool};
  for (const KernelEntry& entry : kernel_table()) {
    if (entry.name != GetParam()) {
      continue;
    }
    std::vector<int> variants = {0};
    for (const KernelVariant& variant : entry.device_variants) {
      variants.push_back(variant.number);
    }
    for (const KernelCase& problem : entry.cases(cpu)) {
      if (!problem.run_simt) {
        continue;  // too large for the executor; the first of an entry always runs
      }
      for (const DType dtype : problem.dtypes) {
        SCOPED_TRACE("case " + problem.name + " " + name_of(dtype));
        const CaseReference expected(problem, CaseArrays(problem, dtype, cpu));
        std::vector<CaseArrays> checked;
        for (const int variant : variants) {
          check(entry, problem, dtype, variant,
                some_orders(problem.name, dtype != problem.dtypes.front()), expected, cpu, checked);
        }
      }
    }
  }
}

std::vector<std::string> names() {
  std::vector<std::string> all;
  ThreadPool pool(1);
  for (const KernelEntry& entry : kernel_table()) {
    if (entry.cases(CpuContext{&pool}).front().run_simt) {
      all.push_back(entry.name);
    }
  }
  return all;
}

INSTANTIATE_TEST_SUITE_P(Table, EveryCudaKernel, testing::ValuesIn(names()),
                         [](const testing::TestParamInfo<std::string>& test) {
                           return test.param;
                         });

// A kernel that lost its run_simt would pass unnoticed above.
TEST(CudaKernels, AreAllThere) {
  const std::vector<std::string> all = names();
  const std::set<std::string> expected = {
      "adamw",
      "add_layer_norm_backward",
      "add_layer_norm_forward",
      "affine",
      "attention_backward",
      "attention_forward",
      "binary_backward",
      "binary_forward",
      "clip_scale",
      "copy",
      "cross_entropy_backward",
      "cross_entropy_forward",
      "derive_key",
      "dropout",
      "embedding_backward",
      "embedding_forward",
      "fill",
      "gemm",
      "gru_backward",
      "gru_forward",
      "layer_norm_backward",
      "layer_norm_forward",
      "linear_attention_backward",
      "linear_attention_forward",
      "linear_cross_entropy",
      "linear_gelu_backward",
      "linear_gelu_forward",
      "lstm_backward",
      "lstm_forward",
      "random_feature_attention_backward",
      "random_feature_attention_forward",
      "random_fill",
      "reduce_argmax",
      "reduce_max",
      "reduce_sum",
      "retrieval_backward",
      "retrieval_forward",
      "retrieval_split_backward",
      "retrieval_split_forward",
      "retrieval_tensor_backward",
      "retrieval_tensor_forward",
      "retrieval_tf32_backward",
      "retrieval_tf32_forward",
      "rnn_backward",
      "rnn_forward",
      "rotary",
      "round_factors",
      "sgd",
      "softmax_backward",
      "softmax_forward",
      "split_attention_backward",
      "split_attention_forward",
      "sum_of_squares",
      "tensor_attention_backward",
      "tensor_attention_forward",
      "tensor_linear_attention_backward",
      "tensor_linear_attention_forward",
      "tf32_attention_backward",
      "tf32_attention_forward",
      "unary_backward",
      "unary_forward",
  };
  EXPECT_EQ(std::set<std::string>(all.begin(), all.end()), expected);
}

}  // namespace
}  // namespace basin::kernels
