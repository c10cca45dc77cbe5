// Retrieval against the reference vectors: outputs, weights and all gradients.
#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <vector>

#include "autograd/operations.h"
#include "kernels/association/heads.h"
#include "tests/support/golden.h"

namespace basin::test {
namespace {

// What a group says about its mechanism.
struct Mechanism {
  Variable beta;  // per head
  Tensor key_lengths;
  bool causal;
  std::int64_t update_steps;

  Mechanism(const GoldenGroup& golden, std::int64_t heads, DType dtype)
      : causal(golden.number("causal", 0) != 0),
        update_steps(static_cast<std::int64_t>(golden.number("update_steps", 1))) {
    beta = golden.has("beta_per_head")
               ? golden.variable("beta_per_head")
               : Variable(Tensor::full({heads}, golden.number("beta"), dtype), true);
    if (golden.has("key_lengths")) {
      key_lengths = golden.tensor("key_lengths");
    }
  }

  Variable retrieve(const Variable& q, const Variable& k, const Variable& v) const {
    return attention(q, k, v, beta, key_lengths, causal);
  }

  // The state after all steps but the last, each of which replaces it by the pattern it retrieves.
  Variable state(const Variable& q, const Variable& k) const {
    Variable state = q;
    for (std::int64_t step = 1; step < update_steps; ++step) {
      state = retrieve(state, k, k);
    }
    return state;
  }
};

class GoldenAttention : public GoldenTest {};

TEST_P(GoldenAttention, OutputAndGradients) {
  const GoldenGroup g = golden();
  const Variable q = g.variable("q");
  const Variable k = g.variable("k");
  const Variable v = g.variable("v");
  const Mechanism mechanism(g, q.size(1), dtype());
  const Variable out = mechanism.retrieve(mechanism.state(q, k), k, v);
  EXPECT_TRUE(g.agrees(out.value(), "out"));
  out.backward(g.tensor("dout"));
  EXPECT_TRUE(g.agrees(q.grad(), "dq"));
  EXPECT_TRUE(g.agrees(k.grad(), "dk"));
  EXPECT_TRUE(g.agrees(v.grad(), "dv"));
  EXPECT_EQ(g.has("dbeta"), g.has("beta_per_head"));
  if (g.has("dbeta")) {
    EXPECT_TRUE(g.agrees(mechanism.beta.grad(), "dbeta"));
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
  const Variable state = mechanism.state(q, k);
  const Variable eye(identities(k.shape(), dtype()));
  EXPECT_TRUE(g.agrees(mechanism.retrieve(state, k, eye).value(), "weights"));
}

// 0 where a query sees a key, -inf where it does not: (B, L, M).
Tensor hidden_scores(const Mechanism& mechanism, const Shape& q, const Shape& k, DType dtype) {
  const std::int64_t B = q[0];
  const std::int64_t L = q[2];
  const std::int64_t M = k[2];
  Tensor scores = Tensor::zeros({B, L, M}, dtype);
  const std::int64_t* lengths =
      mechanism.key_lengths.defined() ? mechanism.key_lengths.data<std::int64_t>() : nullptr;
  for (std::int64_t b = 0; b < B; ++b) {
    for (std::int64_t i = 0; i < L; ++i) {
      const std::int64_t seen = kernels::visible_keys(lengths, b, mechanism.causal, i, L, M);
      scores.select(0, b)
          .select(0, i)
          .slice(0, seen, M)
          .fill(-std::numeric_limits<double>::infinity());
    }
  }
  return scores;
}

// The same through matrix products and a softmax of all scores: the definition on paper.
TEST_P(GoldenAttention, WeightsAndOutputThroughScores) {
  const GoldenGroup g = golden();
  const Variable q = g.variable("q");
  const Variable k = g.variable("k");
  const Mechanism mechanism(g, q.size(1), dtype());
  const Variable hidden(hidden_scores(mechanism, q.shape(), k.shape(), dtype()).unsqueeze(1));
  const Variable beta = reshape(mechanism.beta, {-1, 1, 1});
  const Variable scores = mul(matmul(mechanism.state(q, k), transpose(k, 2, 3)), beta);
  const Variable weights = softmax(add(scores, hidden));
  EXPECT_TRUE(g.agrees(weights.value(), "weights"));
  EXPECT_TRUE(g.agrees(matmul(weights, g.variable("v")).value(), "out"));
}

INSTANTIATE_TEST_SUITE_P(Groups, GoldenAttention,
                         testing::Combine(testing::ValuesIn(golden_groups("/attention")),
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
                         testing::Combine(testing::ValuesIn(golden_groups("/kernel_attention")),
                                          testing::Values(DType::f64, DType::f32)),
                         golden_test_name);

// A group that got lost would take its tests with it.
TEST(GoldenFile, HoldsTheAssociationGroups) {
  EXPECT_EQ(golden_groups("/attention").size(), 9u);
  EXPECT_EQ(golden_groups("/kernel_attention").size(), 3u);
}

}  // namespace
}  // namespace basin::test
