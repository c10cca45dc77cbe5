// Every kernel of the table, in every variant, against its reference in double.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "kernels/common/thread_pool.h"
#include "kernels/table/case_arrays.h"
#include "kernels/table/kernel_table.h"

namespace basin::kernels {
namespace {

std::vector<int> variants_of(const KernelEntry& entry) {
  std::vector<int> numbers = {0};
  for (const KernelVariant& variant : entry.variants) {
    numbers.push_back(variant.number);
  }
  return numbers;
}

struct TableParameter {
  std::string kernel;
  DType dtype;
};

std::vector<TableParameter> all_parameters() {
  std::vector<TableParameter> all;
  ThreadPool pool(1);
  for (const KernelEntry& entry : kernel_table()) {
    const std::vector<KernelCase> cases = entry.cases(CpuContext{&pool});
    for (const DType dtype : {DType::f64, DType::f32, DType::bf16}) {
      if (std::any_of(cases.begin(), cases.end(), [&](const KernelCase& problem) {
            return problem.run && exists_in(problem, dtype);
          })) {
        all.push_back({entry.name, dtype});
      }
    }
  }
  return all;
}

class EveryKernel : public testing::TestWithParam<TableParameter> {
 protected:
  const KernelEntry& entry() const {
    for (const KernelEntry& candidate : kernel_table()) {
      if (candidate.name == GetParam().kernel) {
        return candidate;
      }
    }
    throw std::logic_error("no kernel " + GetParam().kernel);
  }
};

// One run on fresh arrays.
CaseArrays run_once(const KernelCase& problem, DType dtype, int variant,
                    const CpuContext& context) {
  CaseArrays arrays(problem, dtype, context);
  EXPECT_TRUE(arrays.status().ok()) << arrays.status().message;
  if (arrays.status().ok()) {
    const Status status = problem.run(arrays.data(), dtype, variant, context);
    EXPECT_TRUE(status.ok()) << status.message;
  }
  EXPECT_EQ(arrays.damaged(), "") << "wrote beyond the borders of this buffer";
  return arrays;
}

TEST_P(EveryKernel, AgreesWithItsReferenceForAnyNumberOfThreads) {
  const DType dtype = GetParam().dtype;
  ThreadPool one_thread(1);
  ThreadPool two_threads(2);
  const CpuContext one{&one_thread};
  const CpuContext two{&two_threads};
  // The sizes of workspaces depend on the number of threads.
  const std::vector<KernelCase> cases_one = entry().cases(one);
  const std::vector<KernelCase> cases_two = entry().cases(two);
  ASSERT_EQ(cases_one.size(), cases_two.size());

  for (std::size_t c = 0; c < cases_one.size(); ++c) {
    if (!cases_one[c].run || !exists_in(cases_one[c], dtype)) {
      continue;
    }
    SCOPED_TRACE("case " + cases_one[c].name);
    const double tolerance = allowed_error(entry(), cases_one[c], dtype);
    const CaseReference expected(cases_one[c], CaseArrays(cases_one[c], dtype, one));
    for (const int variant : variants_of(entry())) {
      SCOPED_TRACE("variant " + std::to_string(variant));
      const CaseArrays first = run_once(cases_one[c], dtype, variant, one);
      const auto worst = expected.difference(first);
      EXPECT_TRUE(worst.error <= tolerance)
          << worst.buffer << "[" << worst.position << "] is " << worst.found << ", expected "
          << worst.expected << ": error " << worst.error << " above " << tolerance;
      EXPECT_TRUE(first.same_outputs(run_once(cases_two[c], dtype, variant, two)))
          << "other bits when run again, with two threads";
    }
  }
}

// What is timed is the kernel that is tested: the standard problem for timing, made small.
TEST_P(EveryKernel, AgreesWithItsReferenceOnAProblemForTiming) {
  constexpr double kWork = 2e5;
  const DType dtype = GetParam().dtype;
  ThreadPool pool(2);
  const CpuContext context{&pool};
  const auto& parameters = entry().sized.parameters;
  const Sizes sizes = affordable(entry(), standard_sizes(parameters), kWork, context);
  const KernelCase problem = sized_case(entry(), sizes, context);
  SCOPED_TRACE(problem.name);
  const CaseReference expected(problem, CaseArrays(problem, dtype, context));
  const auto worst = expected.difference(run_once(problem, dtype, 0, context));
  EXPECT_TRUE(worst.error <= allowed_error(entry(), problem, dtype, kSizedTolerance))
      << worst.buffer << "[" << worst.position << "] is " << worst.found << ", expected "
      << worst.expected;
}

INSTANTIATE_TEST_SUITE_P(Table, EveryKernel, testing::ValuesIn(all_parameters()),
                         [](const testing::TestParamInfo<TableParameter>& test) {
                           return test.param.kernel + "_" + name_of(test.param.dtype);
                         });

// A family whose registration the linker dropped would pass unnoticed above.
TEST(KernelTable, HoldsEveryFamily) {
  std::set<std::string> names;
  for (const KernelEntry& entry : kernel_table()) {
    EXPECT_TRUE(names.insert(entry.name).second) << entry.name << " is registered twice";
  }
  for (const char* name : {"adamw",
                           "add_layer_norm_backward",
                           "add_layer_norm_forward",
                           "affine",
                           "attention_backward",
                           "attention_forward",
                           "binary_backward",
                           "binary_forward",
                           "classical_memory_energy",
                           "classical_memory_recall",
                           "classical_memory_store",
                           "copy",
                           "cross_entropy_backward",
                           "cross_entropy_forward",
                           "dense_memory_energy",
                           "dense_memory_recall",
                           "derive_key",
                           "dropout",
                           "embedding_backward",
                           "embedding_forward",
                           "fill",
                           "gemm",
                           "label_evidence_backward",
                           "label_evidence_forward",
                           "layer_norm_backward",
                           "layer_norm_forward",
                           "linear_attention_backward",
                           "linear_attention_forward",
                           "linear_gelu_backward",
                           "linear_gelu_forward",
                           "random_fill",
                           "reduce_argmax",
                           "reduce_max",
                           "reduce_sum",
                           "rnn_backward",
                           "rnn_forward",
                           "row_momentum",
                           "softmax_backward",
                           "softmax_forward",
                           "sum_of_squares",
                           "unary_backward",
                           "unary_forward"}) {
    EXPECT_EQ(names.count(name), 1u) << name;
  }
}

TEST(KernelTable, IsCompleteAndSorted) {
  ThreadPool pool(1);
  const CpuContext context{&pool};
  std::string previous;
  for (const KernelEntry& entry : kernel_table()) {
    SCOPED_TRACE(entry.name);
    EXPECT_LT(previous, entry.name);
    previous = entry.name;
    EXPECT_FALSE(entry.summary.empty());
    EXPECT_EQ(entry.variants.empty(), !entry.cases(context).front().run);
    for (const KernelVariant& variant : entry.variants) {
      EXPECT_GT(variant.number, 0);
      EXPECT_FALSE(variant.adds.empty());
    }
    std::set<std::string> names;
    const std::vector<KernelCase> cases = entry.cases(context);
    EXPECT_FALSE(cases.empty());
    ASSERT_FALSE(entry.sized.parameters.empty()) << "a RegisterSizes is missing";
    EXPECT_GT(
        sized_case(entry, standard_sizes(entry.sized.parameters), context).cost.elements_moved, 0);
    for (const KernelCase& problem : cases) {
      EXPECT_FALSE(problem.dtypes.empty()) << problem.name;
      // Fewer bits than f32 need the rule for them.
      EXPECT_TRUE(!exists_in(problem, DType::bf16) || problem.naive) << problem.name;
      EXPECT_TRUE(names.insert(problem.name).second) << "two cases " << problem.name;
      EXPECT_GT(problem.cost.elements_moved, 0) << problem.name;
    }
  }
}

// The checks above are worth what the arrays they use notice.
TEST(CaseArrays, NoticeWhatAKernelShouldNotDo) {
  ThreadPool pool(1);
  const CpuContext context{&pool};
  using Role = CaseBuffer::Role;
  KernelCase problem;
  problem.name = "two arrays";
  problem.buffers = {{"x", Role::input, {3}}, {"y", Role::output, {3}}};
  CaseArrays expected = CaseArrays(problem, DType::f64, context).widened();
  for (std::int64_t i = 0; i < 3; ++i) {
    set_element(expected.data()[1], DType::f64, i, element(expected.data()[0], DType::f64, i));
  }
  const auto copied = [&](std::int64_t first, std::int64_t last) {
    CaseArrays arrays(problem, DType::f64, context);
    for (std::int64_t i = first; i < last; ++i) {
      set_element(arrays.data()[1], DType::f64, i, element(arrays.data()[0], DType::f64, i));
    }
    return arrays;
  };

  const CaseArrays good = copied(0, 3);
  EXPECT_EQ(good.difference(expected).error, 0.0);
  EXPECT_EQ(good.damaged(), "");
  EXPECT_TRUE(good.same_outputs(copied(0, 3)));

  // An element that was not written stays NaN.
  const CaseArrays short_run = copied(0, 2);
  EXPECT_FALSE(short_run.difference(expected).error <= 1e300);
  EXPECT_EQ(short_run.difference(expected).position, 2);
  EXPECT_FALSE(short_run.same_outputs(good));

  // In units of what a rounded copy is off by.
  CaseArrays naive = CaseArrays(problem, DType::f64, context).widened();
  for (std::int64_t i = 0; i < 3; ++i) {
    set_element(naive.data()[1], DType::f64, i,
                element(expected.data()[1], DType::f64, i) + (i == 1 ? 0.25 : 0.125));
  }
  CaseArrays off = copied(0, 3);
  set_element(off.data()[1], DType::f64, 2, element(off.data()[1], DType::f64, 2) - 0.5);
  EXPECT_NEAR(off.difference(expected, naive).error, 2.0, 1e-12);
  EXPECT_EQ(good.difference(expected, naive).error, 0.0);
  EXPECT_FALSE(short_run.difference(expected, naive).error <= 1e300);

  // Elements copied from guard to guard are noticed although all guards are NaN.
  EXPECT_EQ(copied(0, 4).damaged(), "y");
  EXPECT_EQ(copied(-1, 3).damaged(), "y");
}

// What is read or written beyond the end shows in every dtype.
TEST(CaseArrays, HaveBordersThatAreNoNumbers) {
  ThreadPool pool(1);
  const CpuContext context{&pool};
  KernelCase problem;
  problem.name = "borders";
  problem.buffers = {{"x", CaseBuffer::Role::input, {3}}, {"y", CaseBuffer::Role::output, {3}}};
  problem.buffers[1].at_least_f32 = true;
  for (const DType dtype : {DType::f32, DType::f64, DType::bf16}) {
    SCOPED_TRACE(name_of(dtype));
    CaseArrays arrays(problem, dtype, context);
    EXPECT_EQ(arrays.dtype_of_buffer(0), dtype);
    EXPECT_EQ(arrays.dtype_of_buffer(1), dtype == DType::bf16 ? DType::f32 : dtype);
    for (const std::int64_t at : {-4, -3, -2, -1, 4, 5, 6, 7}) {
      EXPECT_TRUE(std::isnan(element(arrays.data()[0], dtype, at))) << at;
    }
    EXPECT_TRUE(std::isnan(element(arrays.data()[1], arrays.dtype_of_buffer(1), 0)));
    for (std::int64_t at = 0; at < 3; ++at) {
      const double drawn = element(arrays.data()[0], dtype, at);
      EXPECT_TRUE(std::abs(drawn) <= 1.0) << at;
      EXPECT_EQ(element(arrays.widened().data()[0], DType::f64, at), drawn);
    }
    set_element(arrays.data()[0], dtype, 3, 1.0);
    EXPECT_EQ(arrays.damaged(), "x");
  }
}

}  // namespace
}  // namespace basin::kernels
