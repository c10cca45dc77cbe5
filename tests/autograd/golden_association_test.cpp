// Retrieval against the reference vectors: outputs, weights and all gradients.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "autograd/operations.h"
#include "kernels/association/heads.h"
#include "tensor/functions/retrieval.h"
#include "tests/support/golden.h"

namespace basin::test {
namespace {

// What a group says about its mechanism.
struct Mechanism {
  Variable beta, alpha;  // per head
  RetrievalSettings settings;

  Mechanism(const GoldenGroup& g, std::int64_t heads, DType dtype) {
    AssociationOptions& o = settings.options;
    EXPECT_TRUE(parse(g.text("mechanism"), o.separation)) << g.text("mechanism");
    o.causal = g.number("causal", 0) != 0;
    o.update_steps = static_cast<std::int64_t>(g.number("update_steps", 1));
    o.window = static_cast<std::int64_t>(g.number("window_radius", -1));
    o.dilation = static_cast<std::int64_t>(g.number("dilation", 1));
    o.global_tokens = static_cast<std::int64_t>(g.number("global_tokens", 0));
    o.top_k = static_cast<std::int64_t>(g.number("top_k", 0));
    o.top_fraction = g.number("top_k_fraction", 0);
    o.degree = static_cast<std::int64_t>(g.number("degree", static_cast<double>(o.degree)));
    if (g.has_attribute("normalise")) {
      EXPECT_TRUE(parse(g.text("normalise"), o.normalise)) << g.text("normalise");
    }
    const auto per_head = [&](const char* array, const char* attribute) {
      return g.has(array) ? g.variable(array)
                          : Variable(Tensor::full({heads}, g.number(attribute), dtype), true);
    };
    beta = per_head("beta_per_head", "beta");
    if (o.separation == Separation::entmax) {
      alpha = per_head("alpha_per_head", "alpha");
    }
    if (g.has("key_lengths")) {
      settings.key_lengths = g.tensor("key_lengths");
    }
    if (g.has("mask")) {
      settings.mask = g.tensor("mask");
    }
  }

  Variable retrieve(const Variable& q, const Variable& k, const Variable& v) const {
    return associate(q, k, v, beta, alpha, settings);
  }
};

class GoldenAttention : public GoldenTest {};
// Softmax over a prefix of the keys.
class GoldenSoftmax : public GoldenTest {};

TEST_P(GoldenAttention, OutputAndGradients) {
  const GoldenGroup g = golden();
  const Variable q = g.variable("q");
  const Variable k = g.variable("k");
  const Variable v = g.variable("v");
  const Mechanism mechanism(g, q.size(1), dtype());
  const Variable out = mechanism.retrieve(q, k, v);
  EXPECT_TRUE(g.agrees(out.value(), "out"));
  out.backward(g.tensor("dout"));
  EXPECT_TRUE(g.agrees(q.grad(), "dq"));
  EXPECT_TRUE(g.agrees(k.grad(), "dk"));
  EXPECT_TRUE(g.agrees(v.grad(), "dv"));
  EXPECT_EQ(g.has("dbeta"), g.has("beta_per_head"));
  if (g.has("dbeta")) {
    EXPECT_TRUE(g.agrees(mechanism.beta.grad(), "dbeta"));
  }
  EXPECT_EQ(g.has("dalpha"), g.has("alpha_per_head"));
  if (g.has("dalpha")) {
    EXPECT_TRUE(g.agrees(mechanism.alpha.grad(), "dalpha"));
  }
}

// What has a fast way of its own also comes out of the general kernel.
TEST_P(GoldenSoftmax, OutputAndGradientsByTheGeneralKernel) {
  const GoldenGroup g = golden();
  const Variable q = g.variable("q");
  const Variable k = g.variable("k");
  const Variable v = g.variable("v");
  const Mechanism m(g, q.size(1), dtype());
  const Variable out = retrieval(q, k, v, m.beta, m.alpha, m.settings);
  EXPECT_TRUE(g.agrees(out.value(), "out"));
  out.backward(g.tensor("dout"));
  EXPECT_TRUE(g.agrees(q.grad(), "dq"));
  EXPECT_TRUE(g.agrees(k.grad(), "dk"));
  EXPECT_TRUE(g.agrees(v.grad(), "dv"));
  if (g.has("dbeta")) {
    EXPECT_TRUE(g.agrees(m.beta.grad(), "dbeta"));
  }
}

// The values that read out the weights themselves: (B, H, M, M), the identity in each head.
Tensor identities(const Shape& keys, DType dtype) {
  const std::int64_t M = keys[2];
  Tensor one = Tensor::zeros({M, M}, dtype);
  for (std::int64_t j = 0; j < M; ++j) {
    one.select(0, j).select(0, j).fill(1.0);
  }
  return one.expand({keys[0], keys[1], M, M}).contiguous();
}

TEST_P(GoldenAttention, Weights) {
  const GoldenGroup g = golden();
  const Variable q = g.variable("q");
  const Variable k = g.variable("k");
  const Mechanism mechanism(g, q.size(1), dtype());
  const Variable eye(identities(k.shape(), dtype()));
  EXPECT_TRUE(g.agrees(mechanism.retrieve(q, k, eye).value(), "weights"));
}

// 0 where a query sees a key, -inf where it does not: (B, L, M).
Tensor hidden_scores(const Mechanism& mechanism, const Shape& q, const Shape& k, DType dtype) {
  const std::int64_t B = q[0];
  const std::int64_t L = q[2];
  const std::int64_t M = k[2];
  Tensor scores = Tensor::zeros({B, L, M}, dtype);
  const std::int64_t* lengths = mechanism.settings.key_lengths.defined()
                                    ? mechanism.settings.key_lengths.data<std::int64_t>()
                                    : nullptr;
  for (std::int64_t b = 0; b < B; ++b) {
    for (std::int64_t i = 0; i < L; ++i) {
      const std::int64_t seen =
          kernels::visible_keys(lengths, b, mechanism.settings.options.causal, i, L, M);
      scores.select(0, b)
          .select(0, i)
          .slice(0, seen, M)
          .fill(-std::numeric_limits<double>::infinity());
    }
  }
  return scores;
}

// The same through matrix products and a softmax of all scores: the definition on paper.
TEST_P(GoldenSoftmax, WeightsAndOutputThroughScores) {
  const GoldenGroup g = golden();
  const Variable q = g.variable("q");
  const Variable k = g.variable("k");
  const Mechanism mechanism(g, q.size(1), dtype());
  // The state after all steps but the last, each of which replaces it by the pattern it retrieves.
  RetrievalSettings one_step = mechanism.settings;
  one_step.options.update_steps = 1;
  Variable state = q;
  for (std::int64_t step = 1; step < mechanism.settings.options.update_steps; ++step) {
    state = associate(state, k, k, mechanism.beta, {}, one_step);
  }
  const Variable hidden(hidden_scores(mechanism, q.shape(), k.shape(), dtype()).unsqueeze(1));
  const Variable beta = reshape(mechanism.beta, {-1, 1, 1});
  const Variable scores = mul(matmul(state, transpose(k, 2, 3)), beta);
  const Variable weights = softmax(add(scores, hidden));
  EXPECT_TRUE(g.agrees(weights.value(), "weights"));
  EXPECT_TRUE(g.agrees(matmul(weights, g.variable("v")).value(), "out"));
}

INSTANTIATE_TEST_SUITE_P(Groups, GoldenAttention,
                         testing::Combine(testing::ValuesIn(golden_groups("/attention")),
                                          testing::Values(DType::f64, DType::f32)),
                         golden_test_name);

// The groups below a name whose own names begin like this.
std::vector<std::string> groups_like(const std::string& above, const std::string& beginning) {
  std::vector<std::string> names;
  for (const std::string& name : golden_groups(above)) {
    if (name.starts_with(above + "/" + beginning)) {
      names.push_back(name);
    }
  }
  return names;
}

INSTANTIATE_TEST_SUITE_P(Groups, GoldenSoftmax,
                         testing::Combine(testing::ValuesIn(groups_like("/attention", "softmax")),
                                          testing::Values(DType::f64, DType::f32)),
                         golden_test_name);

class GoldenLinearAttention : public GoldenTest {};

TEST_P(GoldenLinearAttention, OutputAndGradients) {
  const GoldenGroup g = golden();
  EXPECT_EQ(g.number("eps"), 1e-6) << "what the kernels are called with";
  const Variable q = g.variable("q");
  const Variable k = g.variable("k");
  const Variable v = g.variable("v");
  const Tensor lengths = g.has("key_lengths") ? g.tensor("key_lengths") : Tensor();
  const Variable out = linear_attention(q, k, v, lengths, g.number("causal") != 0);
  EXPECT_TRUE(g.agrees(out.value(), "out"));
  out.backward(g.tensor("dout"));
  EXPECT_TRUE(g.agrees(q.grad(), "dq"));
  EXPECT_TRUE(g.agrees(k.grad(), "dk"));
  EXPECT_TRUE(g.agrees(v.grad(), "dv"));
}

INSTANTIATE_TEST_SUITE_P(Groups, GoldenLinearAttention,
                         testing::Combine(testing::ValuesIn(groups_like("/kernel_attention",
                                                                        "elu1")),
                                          testing::Values(DType::f64, DType::f32)),
                         golden_test_name);

class GoldenRandomFeatures : public GoldenTest {};

TEST_P(GoldenRandomFeatures, OutputAndGradients) {
  const GoldenGroup g = golden();
  EXPECT_EQ(g.number("eps"), 0.0);
  const Variable q = g.variable("q");
  const Variable k = g.variable("k");
  const Variable v = g.variable("v");
  const Variable beta(Tensor::full({q.size(1)}, g.number("beta"), dtype()), true);
  const Tensor lengths = g.has("key_lengths") ? g.tensor("key_lengths") : Tensor();
  const Variable out =
      random_feature_attention(q, k, v, beta, g.tensor("projection"), FeatureMap::positive, lengths,
                               g.number("causal") != 0);
  EXPECT_TRUE(g.agrees(out.value(), "out"));
  out.backward(g.tensor("dout"));
  EXPECT_TRUE(g.agrees(q.grad(), "dq"));
  EXPECT_TRUE(g.agrees(k.grad(), "dk"));
  EXPECT_TRUE(g.agrees(v.grad(), "dv"));
}

INSTANTIATE_TEST_SUITE_P(Groups, GoldenRandomFeatures,
                         testing::Combine(testing::ValuesIn(groups_like("/kernel_attention",
                                                                        "prf")),
                                          testing::Values(DType::f64, DType::f32)),
                         golden_test_name);

// States that the update moves, and their energies: T steps of all queries of a group.
class GoldenEnergy : public GoldenTest {};

TEST_P(GoldenEnergy, OfEveryStateOfATrajectory) {
  const GoldenGroup g = golden();
  const Tensor patterns = g.tensor("patterns").unsqueeze(0).unsqueeze(0);
  const Tensor states = g.tensor("trajectory");
  const Tensor energies = g.tensor("energy");
  RetrievalInputs in;
  in.k = in.v = patterns;
  in.beta = Tensor::full({1}, g.number("beta"), dtype());
  const double alpha = g.number("alpha");
  in.options.separation = alpha == 1.0   ? Separation::softmax
                          : alpha == 2.0 ? Separation::sparsemax
                                         : Separation::entmax;
  in.alpha =
      in.options.separation == Separation::entmax ? Tensor::full({1}, alpha, dtype()) : Tensor();
  // The constant of the softmax is 0 for the others.
  ASSERT_EQ(states.size(0), energies.size(0) + 1);
  std::vector<double> found;
  for (std::int64_t t = 0; t < energies.size(0); ++t) {
    in.q = states.select(0, t).unsqueeze(0).unsqueeze(0);
    const Tensor energy = retrieval_energy(in).reshape({states.size(1)});
    for (const double value : energy.to_vector<double>()) {
      found.push_back(value);
    }
    const Tensor next = retrieval(in).out.reshape(states.select(0, t + 1).shape());
    const std::vector<double> moved = next.to_vector<double>();
    const std::vector<double> expected = states.select(0, t + 1).to_vector<double>();
    for (std::size_t n = 0; n < moved.size(); ++n) {
      ASSERT_TRUE(std::abs(moved[n] - expected[n]) <=
                  (dtype() == DType::f64 ? 1e-9 : 2e-5) * (1 + std::abs(expected[n])))
          << "step " << t << " element " << n;
    }
  }
  EXPECT_TRUE(g.agrees(Tensor::from(energies.shape(), found), "energy"));
}

INSTANTIATE_TEST_SUITE_P(Groups, GoldenEnergy,
                         testing::Combine(testing::ValuesIn(groups_like("/memory", "energy_")),
                                          testing::Values(DType::f64, DType::f32)),
                         golden_test_name);

// A group that got lost would take its tests with it.
TEST(GoldenFile, HoldsTheAssociationGroups) {
  EXPECT_EQ(golden_groups("/attention").size(), 55u);
  EXPECT_EQ(golden_groups("/kernel_attention").size(), 6u);
  EXPECT_EQ(golden_groups("/memory").size(), 11u);
}

}  // namespace
}  // namespace basin::test
