// Random features: how they are drawn, what they estimate, and that nothing overflows.
#include "tensor/functions/random_features.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "tensor/error.h"
#include "tensor/functions/elementwise.h"
#include "tensor/functions/matmul.h"
#include "tensor/functions/reduce.h"
#include "tests/support/expect_error.h"

namespace basin::test {
namespace {

double worst(const Tensor& a, const Tensor& b) {
  return max(abs(sub(a, b)).reshape({-1}), 0).item();
}

TEST(RandomProjection, BlocksAreOrthogonalAndLengthsThoseOfIndependentRows) {
  Rng rng(3);
  const Tensor rows = random_projection(20, 8, true, rng, DType::f64);
  Rng again(3);
  const Tensor independent = random_projection(20, 8, false, again, DType::f64);
  const Tensor products = matmul(rows, rows.transpose(0, 1));
  const std::vector<double> inner = products.to_vector<double>();
  const std::vector<double> lengths = sum(square(independent), -1).to_vector<double>();
  for (std::size_t r = 0; r < 20; ++r) {
    for (std::size_t c = 0; c < 20; ++c) {
      if (r == c) {
        EXPECT_TRUE(std::abs(inner[r * 20 + c] - lengths[r]) <= 1e-12 * lengths[r]);
      } else if (r / 8 == c / 8) {
        EXPECT_TRUE(std::abs(inner[r * 20 + c]) <= 1e-12) << r << " " << c;
      }
    }
  }
  EXPECT_TRUE(refuses<Error>([&] { (void)random_projection(0, 8, true, rng, DType::f32); },
                             {"features 0"}));
}

// The mean of many estimates comes close to softmax, the faster with orthogonal features.
TEST(RandomFeatures, EstimateSoftmax) {
  Rng rng(1);
  const Shape shape = {1, 1, 12, 8};
  AssociationInputs in;
  in.q = rng.normal(shape, 0.35, DType::f64);
  in.k = rng.normal(shape, 0.35, DType::f64);
  in.v = rng.normal(shape, 1.0, DType::f64);
  in.beta = Tensor::full({1}, 0.5, DType::f64);
  const Tensor exact = attention(in).out;
  const auto error = [&](std::int64_t features) {
    const Tensor projection = random_projection(features, 8, true, rng, DType::f64);
    return worst(random_feature_attention(in, projection, FeatureMap::positive).out, exact);
  };
  // The error falls with the root of the number of features.
  EXPECT_TRUE(error(20000) <= 0.05) << error(20000);
  EXPECT_TRUE(error(4) >= 0.1) << error(4);
}

// Exponents of a thousand, of keys and of queries, alone and together.
TEST(RandomFeatures, OfLargeNumbersStayFinite) {
  Rng rng(1);
  const Shape shape = {1, 1, 9, 4};
  for (const bool causal : {false, true}) {
    AssociationInputs in;
    in.q = rng.normal(shape, 30.0, DType::f32);
    in.k = rng.normal(shape, 30.0, DType::f32);
    in.v = rng.normal(shape, 1.0, DType::f32);
    in.beta = Tensor::full({1}, 1.0, DType::f32);
    in.causal = causal;
    const Tensor projection = random_projection(16, 4, true, rng, DType::f32);
    const AttentionResult y = random_feature_attention(in, projection, FeatureMap::positive);
    const AttentionGradients g =
        random_feature_attention_backward(in, projection, FeatureMap::positive, y, in.v);
    for (const Tensor& x : {y.out, g.dq, g.dk, g.dv, g.dbeta}) {
      for (const double value : x.to_vector<double>()) {
        ASSERT_TRUE(std::isfinite(value));
      }
    }
  }
}

}  // namespace
}  // namespace basin::test
