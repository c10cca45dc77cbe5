// Launches that are written down and done later: with the arguments of then and the memory of now.
#include "kernels/simt/recording.h"

#include <string>
#include <vector>

#include "kernels/gemm/gemm.h"
#include "tests/simt/support.h"

namespace basin::kernels {
namespace {

void add_kernel(float* to, const float* from, float more) {
  to[threadIdx.x] += from[threadIdx.x] + more;
}

void out_of_step_kernel(int first) {
  if (static_cast<int>(threadIdx.x) >= first) {
    __syncthreads();
  }
}

Status add(std::vector<float>& to, const std::vector<float>& from, float more,
           const SimtContext& context) {
  return launch({"add", {1, 1, 1}, {static_cast<unsigned>(to.size()), 1, 1}}, context, add_kernel,
                to.data(), from.data(), more);
}

TEST(Recording, KeepsArgumentsAndReadsMemory) {
  std::vector<float> x = {1, 2, 3};
  std::vector<float> y = {0, 0, 0};
  SimtContext context;
  LaunchCounts counts;
  context.counts = &counts;
  simt::Recording recording;
  EXPECT_EQ(simt::recording(), nullptr);
  {
    const simt::Recorder recorder(recording);
    float more = 10;
    ASSERT_TRUE(add(y, x, more, context).ok());
    more = 1000;  // what a launch was given is what it has
    ASSERT_TRUE(add(y, x, more, context).ok());
    recording.add_copy(x.data(), y.data(), 2 * sizeof(float));
  }
  EXPECT_EQ(simt::recording(), nullptr);
  EXPECT_EQ(y, (std::vector<float>{0, 0, 0}));
  EXPECT_EQ(counts.launches, 0);
  EXPECT_EQ(recording.launches(), 2);
  EXPECT_EQ(recording.copies(), 1);
  EXPECT_EQ(recording.name(0), std::string("add"));
  const std::int64_t before = simt::launches();
  ASSERT_TRUE(recording.replay(context).ok());
  EXPECT_EQ(simt::launches() - before, 2);
  EXPECT_EQ(counts.launches, 2);
  EXPECT_EQ(y, (std::vector<float>{1012, 1014, 1016}));
  EXPECT_EQ(x, (std::vector<float>{1012, 1014, 3}));
  y = {0, 0, 0};
  x = {0, 0, 1};
  ASSERT_TRUE(recording.replay(context).ok());
  EXPECT_EQ(y, (std::vector<float>{1010, 1010, 1012}));
}

TEST(Recording, HoldsProductsOfTheLibrary) {
  std::vector<double> a = {1, 2, 3, 4};
  std::vector<double> c = {0, 0, 0, 0};
  Gemm p{};
  p.a = p.b = a.data();
  p.c = c.data();
  p.m = p.n = p.k = p.lda = p.ldb = p.ldc = 2;
  p.dtype = DType::f64;
  const SimtContext context;
  std::vector<std::byte> workspace(static_cast<std::size_t>(gemm_workspace(p, context)));
  p.workspace = workspace.data();
  simt::Recording recording;
  {
    const simt::Recorder recorder(recording);
    ASSERT_TRUE(gemm(p, context).ok());
    p.lda = 1;  // found when it is asked for, not when it is done
    EXPECT_EQ(gemm(p, context).code, Status::Code::invalid_argument);
  }
  EXPECT_EQ(c, (std::vector<double>{0, 0, 0, 0}));
  EXPECT_EQ(recording.launches(), 1);
  ASSERT_TRUE(recording.replay(context).ok());
  EXPECT_EQ(c, (std::vector<double>{7, 10, 15, 22}));
}

TEST(Recording, StopsAtAKernelThatBreaksARule) {
  std::vector<float> x = {1};
  std::vector<float> y = {0};
  const SimtContext context;
  simt::Recording recording;
  {
    const simt::Recorder recorder(recording);
    ASSERT_TRUE(add(y, x, 0, context).ok());
    ASSERT_TRUE(launch({"out_of_step", {1, 1, 1}, {2, 1, 1}}, context, out_of_step_kernel, 1).ok());
    ASSERT_TRUE(add(y, x, 0, context).ok());
    // What could never be launched is found at once.
    EXPECT_EQ(launch({"wide", {1, 1, 1}, {2000, 1, 1}}, context, out_of_step_kernel, 1).code,
              Status::Code::kernel_fault);
  }
  const Status status = recording.replay(context);
  EXPECT_EQ(status.code, Status::Code::kernel_fault);
  EXPECT_NE(std::string(status.message).find("'out_of_step'"), std::string::npos);
  EXPECT_EQ(y[0], 1);
}

}  // namespace
}  // namespace basin::kernels
