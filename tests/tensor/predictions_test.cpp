// Loss and likeliest class without all logits at once.
#include "tensor/functions/predictions.h"

#include <gtest/gtest.h>

#include <string>

#include "tensor/error.h"
#include "tensor/functions/cross_entropy.h"
#include "tensor/functions/matmul.h"
#include "tensor/functions/reduce.h"
#include "tensor/rng.h"

namespace basin {
namespace {

Tensor targets_below(std::int64_t classes, const Shape& shape) {
  Tensor targets = Tensor::empty(shape, DType::i64);
  auto* to = targets.mutable_data<std::int64_t>();
  for (std::int64_t n = 0; n < targets.numel(); ++n) {
    to[n] = n % 7 == 3 ? -100 : n * 31 % classes;
  }
  return targets;
}

// The classes are so many that the 120 rows are taken in two blocks.
TEST(Predictions, AreThoseOfAllLogits) {
  for (const std::int64_t classes : {std::int64_t{5}, std::int64_t{180000}}) {
    Rng rng(3);
    const Tensor x = rng.normal({4, 30, 3}, 1.0, DType::f32);
    const Tensor weight = rng.normal({classes, 3}, 1.0, DType::f32);
    const Tensor bias = rng.normal({classes}, 1.0, DType::f32);
    const Tensor targets = targets_below(classes, {4, 30});
    const Predictions found = predictions(x, weight, bias, targets, -100);
    ASSERT_EQ(found.loss.shape(), Shape({4, 30}));
    for (const std::int64_t row : {0, 3, 95, 96, 119}) {
      const std::int64_t b = row / 30;
      const std::int64_t t = row % 30;
      const Tensor logits = linear(x.select(0, b).slice(0, t, t + 1), weight, bias);
      EXPECT_EQ(found.token.select(0, b).slice(0, t, t + 1).to_vector<std::int64_t>(),
                argmax(logits, -1).to_vector<std::int64_t>());
      const Tensor target = targets.select(0, b).slice(0, t, t + 1);
      const float loss = found.loss.select(0, b).slice(0, t, t + 1).to_vector<float>()[0];
      const bool counts = target.to_vector<std::int64_t>()[0] != -100;
      EXPECT_EQ(loss, counts
                          ? static_cast<float>(cross_entropy(logits, target, -100, 0.0).loss.item())
                          : 0.0f)
          << "row " << row;
    }
  }
}

TEST(Predictions, RefuseWhatDoesNotFit) {
  const Tensor x = Tensor::zeros({2, 3}, DType::f32);
  const Tensor weight = Tensor::zeros({5, 3}, DType::f32);
  EXPECT_THROW(predictions(x, weight, {}, Tensor::zeros({3}, DType::i64), -100), Error);
  EXPECT_THROW(predictions(x, weight, {}, Tensor::full({2}, 5, DType::i64), -100), Error);
  EXPECT_THROW(
      predictions(x, Tensor::zeros({5, 4}, DType::f32), {}, Tensor::zeros({2}, DType::i64), -100),
      Error);
}

}  // namespace
}  // namespace basin
