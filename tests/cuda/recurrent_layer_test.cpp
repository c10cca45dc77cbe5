// Recurrent layers by cuDNN: the library has what is asked of it, and on a GPU they agree with our
// own recurrences.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "autograd/operations.h"
#include "autograd/product_precision.h"
#include "kernels/cuda/libraries.h"
#include "kernels/recurrent/recurrent_layer.h"
#include "tensor/device_graph.h"
#include "tensor/functions/recurrent_layer.h"
#include "tests/cuda/gpu.h"
#include "tests/support/same_bits.h"
#include "tests/support/small_models.h"

namespace basin {
namespace {

using kernels::RecurrentCell;
using test::largest_difference;
using test::random_tensor;

// Needs no GPU: all functions are found by their names.
TEST(RecurrentLayerOfCudnn, FindsItsFunctions) {
  if (!kernels::cudnn().loaded()) {
    EXPECT_EQ(kernels::recurrent_layer_library().code, kernels::Status::Code::not_built);
    GTEST_SKIP() << kernels::cudnn().problem();
  }
  const kernels::Status status = kernels::recurrent_layer_library();
  EXPECT_TRUE(status.ok()) << status.message;
}

class RecurrentLayerOnGpu : public test::OnGpu, public testing::WithParamInterface<RecurrentCell> {
 protected:
  void SetUp() override {
    test::OnGpu::SetUp();
    if (const kernels::Status status = kernels::recurrent_layer_library();
        !IsSkipped() && !status.ok()) {
      GTEST_SKIP() << "needs cuDNN: " << status.message;
    }
  }
};

// x, weight_ih, weight_hh, bias_ih, bias_hh.
std::vector<Tensor> inputs_of(RecurrentCell cell, DType dtype, std::int64_t in = 12,
                              std::int64_t width = 20, std::int64_t L = 33) {
  const std::int64_t rows = kernels::gates_of(cell) * width;
  std::vector<Tensor> inputs = {
      random_tensor({3, L, in}, 1, DType::f64), random_tensor({rows, in}, 2, DType::f64),
      random_tensor({rows, width}, 3, DType::f64), random_tensor({rows}, 4, DType::f64),
      random_tensor({rows}, 5, DType::f64)};
  for (std::size_t n = 0; n < inputs.size(); ++n) {
    // Small weights: the relu network must not explode.
    std::vector<double> numbers = inputs[n].to_vector<double>();
    for (double& number : numbers) {
      number *= n == 0 ? 1.0 : 0.2;
    }
    inputs[n] = Tensor::from<double>(inputs[n].shape(), numbers).to(DType::f32).to(dtype);
  }
  return inputs;
}

Variable own(RecurrentCell cell, const std::vector<Variable>& in) {
  switch (cell) {
    case RecurrentCell::lstm: return lstm(linear(in[0], in[1], add(in[3], in[4])), in[2]);
    case RecurrentCell::gru: return gru(linear(in[0], in[1], in[3]), in[2], in[4]);
    default:
      return rnn(
          linear(in[0], in[1], add(in[3], in[4])), in[2],
          cell == RecurrentCell::tanh ? kernels::Nonlinearity::tanh : kernels::Nonlinearity::relu);
  }
}

Variable of_cudnn(RecurrentCell cell, const std::vector<Variable>& in) {
  return recurrent_layer(in[0], in[1], in[2], in[3], in[4], cell);
}

// The states, then all gradients, on the CPU in f64.
template <class F>
std::vector<Tensor> outcome(const std::vector<Tensor>& inputs, Device device, F&& forward) {
  std::vector<Variable> leaves;
  for (const Tensor& input : inputs) {
    leaves.emplace_back(input.to(device), true);
  }
  const Variable h = forward(leaves);
  h.backward(random_tensor(h.shape(), 6, DType::f64).to(h.dtype()).to(device));
  std::vector<Tensor> results = {h.value()};
  for (const Variable& leaf : leaves) {
    results.push_back(leaf.grad());
  }
  for (Tensor& result : results) {
    result = result.to(Device::cpu).to(DType::f64);
  }
  return results;
}

void expect_close(const std::vector<Tensor>& found, const std::vector<Tensor>& expected,
                  double tolerance) {
  ASSERT_EQ(found.size(), expected.size());
  for (std::size_t n = 0; n < found.size(); ++n) {
    double largest = 1;
    for (const double number : expected[n].to_vector<double>()) {
      largest = std::max(largest, std::abs(number));
    }
    EXPECT_LE(largest_difference(found[n], expected[n]), tolerance * largest) << n;
  }
}

TEST_P(RecurrentLayerOnGpu, AgreesWithOurOwnInF64) {
  const RecurrentCell cell = GetParam();
  const std::vector<Tensor> inputs = inputs_of(cell, DType::f64);
  const auto expected = outcome(inputs, Device::cpu, [&](const auto& in) { return own(cell, in); });
  expect_close(outcome(inputs, Device::cuda, [&](const auto& in) { return of_cudnn(cell, in); }),
               expected, 1e-11);
}

TEST_P(RecurrentLayerOnGpu, AgreesWithF64InF32AndLessInTf32) {
  const RecurrentCell cell = GetParam();
  const auto expected = outcome(inputs_of(cell, DType::f64), Device::cpu,
                                [&](const auto& in) { return own(cell, in); });
  const std::vector<Tensor> inputs = inputs_of(cell, DType::f32);
  expect_close(outcome(inputs, Device::cuda, [&](const auto& in) { return of_cudnn(cell, in); }),
               expected, 1e-4);
  expect_close(outcome(inputs, Device::cuda, [&](const auto& in) { return own(cell, in); }),
               expected, 1e-4);
  // Factors lose 2^-11 of themselves in each of 33 steps.
  expect_close(outcome(inputs, Device::cuda,
                       [&](const auto& in) {
                         const ProductPrecision scope(Precision::tf32);
                         return of_cudnn(cell, in);
                       }),
               expected, 3e-2);
}

TEST_P(RecurrentLayerOnGpu, HasTheSameBitsAgainAndGoesBackTwice) {
  const RecurrentCell cell = GetParam();
  const std::vector<Tensor> inputs = inputs_of(cell, DType::f32);
  const auto once = [&] {
    return outcome(inputs, Device::cuda, [&](const auto& in) { return of_cudnn(cell, in); });
  };
  EXPECT_TRUE(test::same_bits(once(), once()));
  RecurrentParameters parameters{inputs[1].to(Device::cuda), inputs[2].to(Device::cuda),
                                 inputs[3].to(Device::cuda), inputs[4].to(Device::cuda)};
  const Tensor x = inputs[0].to(Device::cuda);
  const RecurrentLayerResult forward = recurrent_layer(x, parameters, cell, Precision::f32);
  const auto back = [&] {
    const RecurrentLayerGradients g =
        recurrent_layer_backward(x, forward, forward.h, cell, Precision::f32);
    return std::vector{g.dx.to(Device::cpu), g.dweight_ih.to(Device::cpu),
                       g.dweight_hh.to(Device::cpu), g.dbias_ih.to(Device::cpu),
                       g.dbias_hh.to(Device::cpu)};
  };
  EXPECT_TRUE(test::same_bits(back(), back()));
}

// What is prepared at the first call is prepared outside of the capture.
TEST_P(RecurrentLayerOnGpu, RunsInAGraph) {
  const RecurrentCell cell = GetParam();
  const std::vector<Tensor> inputs = inputs_of(cell, DType::f32, 8, 16, 9);
  std::vector<Tensor> there;
  for (const Tensor& input : inputs) {
    there.push_back(input.to(Device::cuda));
  }
  const RecurrentParameters parameters{there[1], there[2], there[3], there[4]};
  Tensor h;
  Tensor dx;
  DeviceGraph graph(Device::cuda);
  const auto work = [&] {
    h = Tensor();
    dx = Tensor();
    const RecurrentLayerResult forward =
        recurrent_layer(there[0], parameters, cell, Precision::f32);
    h = forward.h;
    dx = recurrent_layer_backward(there[0], forward, forward.h, cell, Precision::f32).dx;
  };
  graph.rehearse(work);
  const std::vector<Tensor> expected = {h.to(Device::cpu), dx.to(Device::cpu)};
  graph.capture(work);
  graph.replay();
  EXPECT_TRUE(test::same_bits({h.to(Device::cpu), dx.to(Device::cpu)}, expected));
}

INSTANTIATE_TEST_SUITE_P(Every, RecurrentLayerOnGpu,
                         testing::Values(RecurrentCell::tanh, RecurrentCell::relu,
                                         RecurrentCell::lstm, RecurrentCell::gru));

}  // namespace
}  // namespace basin
