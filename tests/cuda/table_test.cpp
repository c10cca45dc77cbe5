// Every kernel of the table that exists for CUDA, run on a GPU: against its reference in double,
// twice with the same bits, between guarded borders.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "kernels/cuda/case_on_gpu.h"
#include "kernels/table/case_arrays.h"
#include "kernels/table/kernel_table.h"
#include "tests/cuda/gpu.h"

namespace basin::kernels {
namespace {

// The arrays after a run, for comparison.
CaseArrays run_once(const KernelCase& problem, DType dtype, int variant, const CpuContext& cpu) {
  CaseArrays arrays(problem, dtype, cpu);
  EXPECT_TRUE(arrays.status().ok()) << arrays.status().message;
  const CaseOnGpu gpu(problem, arrays, cuda_context());
  EXPECT_TRUE(gpu.status().ok()) << gpu.status().message;
  if (gpu.status().ok()) {
    const Status status = problem.run_cuda(gpu.data(), dtype, variant, cuda_context());
    EXPECT_TRUE(status.ok()) << status.message;
    const Status ran = gpu.download(arrays);
    EXPECT_TRUE(ran.ok()) << ran.message;
  }
  EXPECT_EQ(arrays.damaged(), "") << "wrote beyond the borders of this buffer";
  return arrays;
}

void check(const KernelEntry& entry, const KernelCase& problem, DType dtype, int variant) {
  SCOPED_TRACE("case " + problem.name + " " + name_of(dtype) + ", variant " +
               std::to_string(variant));
  const double tolerance = allowed_error(entry, problem, dtype);
  const CaseReference expected(problem, CaseArrays(problem, dtype, cpu_context()));
  const CaseArrays first = run_once(problem, dtype, variant, cpu_context());
  const auto worst = expected.difference(first);
  EXPECT_TRUE(worst.error <= tolerance)
      << worst.buffer << "[" << worst.position << "] is " << worst.found << ", expected "
      << worst.expected << ": error " << worst.error << " above " << tolerance;
  EXPECT_TRUE(first.same_outputs(run_once(problem, dtype, variant, cpu_context())))
      << "other bits in a second run";
}

class EveryKernelOnGpu : public test::OnGpu, public testing::WithParamInterface<std::string> {};

TEST_P(EveryKernelOnGpu, AgreesWithItsReference) {
  for (const KernelEntry& entry : kernel_table()) {
    if (entry.name != GetParam()) {
      continue;
    }
    std::vector<int> variants = {0};
    for (const KernelVariant& variant : entry.device_variants) {
      variants.push_back(variant.number);
    }
    for (const KernelCase& problem : entry.cases(cpu_context())) {
      for (const int variant : variants) {
        for (const DType dtype : problem.dtypes) {
          check(entry, problem, dtype, variant);
        }
      }
    }
  }
}

std::vector<std::string> names() {
  std::vector<std::string> all;
  for (const KernelEntry& entry : kernel_table()) {
    if (entry.cases(cpu_context()).front().run_cuda) {
      all.push_back(entry.name);
    }
  }
  return all;
}

INSTANTIATE_TEST_SUITE_P(Table, EveryKernelOnGpu, testing::ValuesIn(names()),
                         [](const testing::TestParamInfo<std::string>& test) {
                           return test.param;
                         });

}  // namespace
}  // namespace basin::kernels
