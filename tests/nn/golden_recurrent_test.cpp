// Two-layer recurrent networks and binary cross-entropy against the reference vectors: outputs and
// all gradients.
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "autograd/operations.h"
#include "nn/layers/rnn.h"
#include "tensor/io/hdf5.h"

namespace basin::nn {
namespace {

const Hdf5Reader& golden() {
  static const Hdf5Reader file(BASIN_SOURCE_DIR "/tests/golden/reference.h5");
  return file;
}

// |a - b| <= tolerance (1 + |b|) everywhere.
void expect_near(const Tensor& a, const Tensor& b, double tolerance, const std::string& what) {
  ASSERT_TRUE(a.defined()) << what;
  ASSERT_EQ(to_string(a.shape()), to_string(b.shape())) << what;
  const std::vector<double> x = a.to_vector<double>();
  const std::vector<double> y = b.to_vector<double>();
  double worst = 0;
  for (std::size_t n = 0; n < x.size(); ++n) {
    const double error = std::abs(x[n] - y[n]) / (1 + std::abs(y[n]));
    if (!(error <= worst)) worst = error;
  }
  EXPECT_TRUE(worst <= tolerance) << what << ": " << worst;
}

struct Case {
  std::string group;
  DType dtype;
  double tolerance;
};

std::unique_ptr<RecurrentStack> make(const Case& c, Rng& rng) {
  using kernels::Nonlinearity;
  const std::int64_t in = golden().read("/recurrent/" + c.group + "/x").size(2);
  const std::int64_t width = golden().read("/recurrent/" + c.group + "/out").size(2);
  if (c.group == "lstm") return std::make_unique<Lstm>(in, width, 2, rng, c.dtype);
  if (c.group == "gru") return std::make_unique<Gru>(in, width, 2, rng, c.dtype);
  const auto f = c.group == "rnn_relu" ? Nonlinearity::relu : Nonlinearity::tanh;
  return std::make_unique<Rnn>(in, width, 2, f, rng, c.dtype);
}

class GoldenRecurrent : public testing::TestWithParam<Case> {};

TEST_P(GoldenRecurrent, OutputAndGradients) {
  const Case& c = GetParam();
  const auto read = [&](const std::string& name) {
    return golden().read("/recurrent/" + c.group + "/" + name).to(c.dtype);
  };
  ASSERT_EQ(golden().integer("/recurrent/" + c.group, "layers"), 2);
  Rng rng(1);
  const std::unique_ptr<RecurrentStack> network = make(c, rng);
  for (Parameter& parameter : network->parameters()) {
    parameter.variable.mutable_value().copy_from(read(parameter.name));
  }
  const Variable x(read("x"), true);
  const Variable out = network->forward(x);
  out.backward(read("dout"));
  expect_near(out.value(), read("out"), c.tolerance, "out");
  // h_last holds the last state of each layer; that of the last layer ends the output.
  expect_near(out.value().select(1, out.size(1) - 1), read("h_last").select(0, 1), c.tolerance,
              "h_last");
  expect_near(x.grad(), read("dx"), c.tolerance, "dx");
  EXPECT_EQ(network->parameters().size(), 8u);
  for (const Parameter& parameter : network->parameters()) {
    expect_near(parameter.variable.grad(), read("d_" + parameter.name), c.tolerance,
                parameter.name);
  }
}

// f32: 11 steps through two layers; gradients of weights add up 33 products of values below 10.
INSTANTIATE_TEST_SUITE_P(
    Golden, GoldenRecurrent,
    testing::Values(Case{"rnn_tanh", DType::f64, 1e-9}, Case{"rnn_relu", DType::f64, 1e-9},
                    Case{"lstm", DType::f64, 1e-9}, Case{"gru", DType::f64, 1e-9},
                    Case{"rnn_tanh", DType::f32, 2e-5}, Case{"rnn_relu", DType::f32, 2e-5},
                    Case{"lstm", DType::f32, 2e-5}, Case{"gru", DType::f32, 2e-5}),
    [](const auto& each) { return each.param.group + "_" + name_of(each.param.dtype); });

TEST(Golden, BinaryCrossEntropy) {
  const std::string group = "/layers/bce_with_logits";
  const Variable logits(golden().read(group + "/logits"), true);
  const Variable loss = binary_cross_entropy(logits, golden().read(group + "/target"));
  loss.backward();
  expect_near(loss.value(), golden().read(group + "/loss"), 1e-9, "loss");
  expect_near(logits.grad(), golden().read(group + "/dlogits"), 1e-9, "dlogits");
}

}  // namespace
}  // namespace basin::nn
