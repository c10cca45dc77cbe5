// Graphs of CUDA: work that is captured once and started as a whole, and training steps made of it.
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "tensor/device_graph.h"
#include "tensor/functions/elementwise.h"
#include "tensor/functions/matmul.h"
#include "tensor/readback.h"
#include "tests/cuda/gpu.h"
#include "tests/support/expect_error.h"
#include "tests/support/step_graph.h"

namespace basin {
namespace {

using test::refuses;

class GraphOnGpu : public test::OnGpu {};

Tensor on_gpu(const std::vector<double>& values) {
  return Tensor::from<double>({static_cast<std::int64_t>(values.size())}, values).to(Device::cuda);
}

TEST_F(GraphOnGpu, ComputesWhenItIsReplayedFromWhatIsThereThen) {
  Tensor x = on_gpu({1, 2, 3, 4});
  Tensor y;
  DeviceGraph graph(Device::cuda);
  const auto work = [&] {
    y = Tensor();
    const Tensor square = x.view({2, 2});
    y = affine(matmul(square, square), 2.0, 1.0);
  };
  graph.rehearse(work);
  EXPECT_EQ(y.to_vector<double>(), (std::vector<double>{15, 21, 31, 45}));
  graph.capture(work);
  EXPECT_GE(graph.launches(), 2);
  x.copy_from(on_gpu({1, 0, 0, 2}));
  const std::int64_t before = launches(Device::cuda);
  graph.replay();
  EXPECT_EQ(launches(Device::cuda) - before, 1);
  EXPECT_EQ(y.to_vector<double>(), (std::vector<double>{3, 1, 1, 9}));
  x.copy_from(on_gpu({0, 1, 1, 0}));
  graph.replay();
  EXPECT_EQ(y.to_vector<double>(), (std::vector<double>{3, 1, 1, 3}));
}

TEST_F(GraphOnGpu, RefusesWhatAGraphCannotDoAndGoesOn) {
  const Tensor x = on_gpu({1, 2});
  const Tensor here = Tensor::zeros({3}, DType::f64);
  const std::vector<std::pair<std::function<void()>, std::string>> cases = {
      {[&] { (void)x.to_vector<double>(); }, "reading 16 bytes from cuda"},
      {[&] { Readback().start({x}); }, "reading numbers back"},
      {[&] { (void)here.to(Device::cuda); }, "copying 24 bytes to cuda"},
      {[] { synchronize(Device::cuda); }, "waiting for cuda"},
      {[] { (void)Tensor::empty({1 << 22}, DType::f64, Device::cuda); },
       "taking 33554432 bytes of cuda memory"}};
  allocator_of(Device::cuda)->release_cache();
  for (const auto& [forbidden, message] : cases) {
    DeviceGraph graph(Device::cuda);
    graph.rehearse([&] { (void)add(x, x); });
    const auto work = [&, act = forbidden] {
      (void)add(x, x);
      act();
    };
    EXPECT_TRUE(refuses<Error>([&] { graph.capture(work); }, {message}));
    EXPECT_FALSE(graph.captured());
    EXPECT_EQ(add(x, x).to_vector<double>(), (std::vector<double>{2, 4}));
  }
}

// The numbers are those of the moment when they were asked for, whatever is queued behind.
TEST_F(GraphOnGpu, NumbersComeBackWhileItGoesOn) {
  Tensor x = Tensor::full({1 << 22}, 1.0, DType::f32, Device::cuda);
  Readback readback[2];
  for (int n = 0; n < 20; ++n) {
    x = affine(x, 1.0, 1.0);
    readback[n % 2].start({x.slice(0, 5, 6), Tensor::full({}, n, DType::f64, Device::cuda)});
    x = affine(x, 1.0, 0.0);
    if (n > 0) {
      const std::vector<Tensor> before = readback[(n - 1) % 2].values();
      EXPECT_EQ(before[0].item(), n + 1);
      EXPECT_EQ(before[1].item(), n - 1);
    }
  }
}

class StepGraphOnGpu : public test::OnGpu, public testing::WithParamInterface<test::GraphCase> {};

TEST_P(StepGraphOnGpu, ChangesNothing) { test::graph_changes_nothing(GetParam(), Device::cuda); }

INSTANTIATE_TEST_SUITE_P(Every, StepGraphOnGpu, testing::ValuesIn(test::graph_cases()),
                         test::graph_case_name);

}  // namespace
}  // namespace basin
