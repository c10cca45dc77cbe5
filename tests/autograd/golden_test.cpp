// Operations against the reference vectors: see tests/golden/README.md.
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <string>

#include "autograd/operations.h"
#include "tensor/io/hdf5.h"

namespace basin {
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

// f32 as the reference vectors ask for it.
double tolerance_of(DType dtype) { return dtype == DType::f64 ? 1e-9 : 2e-5; }

// A group read in one precision.
struct Group {
  std::string path;
  DType dtype;

  bool has(const std::string& name) const { return golden().has(path + "/" + name); }
  Tensor read(const std::string& name) const { return golden().read(path + "/" + name).to(dtype); }
  void expect(const Tensor& tensor, const std::string& name) const {
    expect_near(tensor, read(name), tolerance_of(dtype), path + "/" + name);
  }
  Tensor key_lengths() const {
    return has("key_lengths") ? golden().read(path + "/key_lengths") : Tensor();
  }
  bool flag(const std::string& name) const {
    return golden().has_attribute(path, name) && golden().integer(path, name) != 0;
  }
};

struct Case {
  std::string group;
  DType dtype;
};

std::string name_of_case(const testing::TestParamInfo<Case>& each) {
  std::string name = each.param.group + "_" + name_of(each.param.dtype);
  std::replace_if(
      name.begin(), name.end(), [](char c) { return std::isalnum(c) == 0; }, '_');
  return name;
}

std::vector<Case> cases(const std::string& parent, const std::string& prefix) {
  std::vector<Case> all;
  for (const std::string& name : golden().members(parent)) {
    if (name.rfind(prefix, 0) == 0) {
      all.push_back({name, DType::f64});
      all.push_back({name, DType::f32});
    }
  }
  return all;
}

class GoldenAttention : public testing::TestWithParam<Case> {};

TEST_P(GoldenAttention, OutputAndGradients) {
  const Group g{"/attention/" + GetParam().group, GetParam().dtype};
  const Variable q(g.read("q"), true);
  const Variable k(g.read("k"), true);
  const Variable v(g.read("v"), true);
  const std::int64_t heads = q.size(1);
  const Variable beta(g.has("beta_per_head")
                          ? g.read("beta_per_head")
                          : Tensor::full({heads}, golden().number(g.path, "beta"), g.dtype),
                      true);
  const Tensor lengths = g.key_lengths();
  const bool causal = g.flag("causal");
  const std::int64_t steps =
      golden().has_attribute(g.path, "update_steps") ? golden().integer(g.path, "update_steps") : 1;
  Variable state = q;
  for (std::int64_t t = 1; t < steps; ++t) {
    state = attention(state, k, k, beta, lengths, causal);
  }
  const Variable out = attention(state, k, v, beta, lengths, causal);
  g.expect(out.value(), "out");
  out.backward(g.read("dout"));
  g.expect(q.grad(), "dq");
  g.expect(k.grad(), "dk");
  g.expect(v.grad(), "dv");
  if (g.has("dbeta")) {
    g.expect(beta.grad(), "dbeta");
  }
  // The weights are the read-out of the unit vectors.
  const std::int64_t M = k.size(2);
  Tensor unit = Tensor::zeros({M, M}, g.dtype);
  for (std::int64_t j = 0; j < M; ++j) unit.select(0, j).select(0, j).fill(1.0);
  const Variable units(unit.expand({q.size(0), heads, M, M}).contiguous());
  g.expect(attention(state, k, units, beta, lengths, causal).value(), "weights");
}

INSTANTIATE_TEST_SUITE_P(Golden, GoldenAttention, testing::ValuesIn(cases("/attention", "softmax")),
                         name_of_case);

class GoldenLinearAttention : public testing::TestWithParam<Case> {};

TEST_P(GoldenLinearAttention, OutputAndGradients) {
  const Group g{"/kernel_attention/" + GetParam().group, GetParam().dtype};
  ASSERT_EQ(golden().number(g.path, "eps"), 1e-6);
  const Variable q(g.read("q"), true);
  const Variable k(g.read("k"), true);
  const Variable v(g.read("v"), true);
  const Variable out = linear_attention(q, k, v, g.key_lengths(), g.flag("causal"));
  g.expect(out.value(), "out");
  out.backward(g.read("dout"));
  g.expect(q.grad(), "dq");
  g.expect(k.grad(), "dk");
  g.expect(v.grad(), "dv");
}

INSTANTIATE_TEST_SUITE_P(Golden, GoldenLinearAttention,
                         testing::ValuesIn(cases("/kernel_attention", "elu1")), name_of_case);

class GoldenLayers : public testing::TestWithParam<DType> {};

TEST_P(GoldenLayers, Elementwise) {
  using kernels::UnaryOp;
  const std::vector<std::pair<std::string, UnaryOp>> table = {
      {"gelu_erf", UnaryOp::gelu}, {"gelu_tanh", UnaryOp::gelu_tanh},
      {"elu", UnaryOp::elu},       {"sigmoid", UnaryOp::sigmoid},
      {"silu", UnaryOp::silu},     {"softplus", UnaryOp::softplus},
      {"tanh", UnaryOp::tanh}};
  for (const auto& [name, op] : table) {
    const Group g{"/layers/" + name, GetParam()};
    const Variable x(g.read("x"), true);
    const Variable y = unary(op, x);
    g.expect(y.value(), "out");
    y.backward(g.read("dout"));
    g.expect(x.grad(), "dx");
  }
}

TEST_P(GoldenLayers, LayerNorm) {
  const Group g{"/layers/layer_norm", GetParam()};
  const Variable x(g.read("x"), true);
  const Variable weight(g.read("weight"), true);
  const Variable bias(g.read("bias"), true);
  const Variable y = layer_norm(x, weight, bias, golden().number(g.path, "eps"));
  g.expect(y.value(), "out");
  y.backward(g.read("dout"));
  g.expect(x.grad(), "dx");
  g.expect(weight.grad(), "dweight");
  g.expect(bias.grad(), "dbias");
}

TEST_P(GoldenLayers, CrossEntropy) {
  for (const char* name : {"cross_entropy_smooth0.0", "cross_entropy_smooth0.1"}) {
    const Group g{std::string("/layers/") + name, GetParam()};
    const Variable logits(g.read("logits"), true);
    const Variable loss = cross_entropy(logits, golden().read(g.path + "/target"),
                                        golden().integer(g.path, "ignore_index"),
                                        golden().number(g.path, "label_smoothing"));
    g.expect(loss.value(), "loss");
    loss.backward();
    g.expect(logits.grad(), "dlogits");
  }
}

INSTANTIATE_TEST_SUITE_P(Golden, GoldenLayers, testing::Values(DType::f64, DType::f32),
                         [](const auto& each) { return name_of(each.param); });

TEST(Golden, TheFileHasTheCasesTheseTestsRunOver) {
  EXPECT_EQ(cases("/attention", "softmax").size(), 2 * 9u);
  EXPECT_EQ(cases("/kernel_attention", "elu1").size(), 2 * 3u);
}

}  // namespace
}  // namespace basin
