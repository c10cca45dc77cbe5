#include "nn/language_model.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "autograd/operations.h"
#include "tensor/error.h"
#include "tests/support/expect_error.h"
#include "tests/support/same_bits.h"
#include "tests/support/small_models.h"

namespace basin::nn {
namespace {

using test::random_tokens;
using test::refuses;
using test::same_bits;
using test::small_backbone;

class EveryLanguageModel : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(LanguageModel, EveryLanguageModel,
                         testing::ValuesIn(test::all_backbones()), test::test_name);

TEST_P(EveryLanguageModel, TheLossIsTheMeanOverTheTargetsThatCount) {
  LanguageModel model(small_backbone(GetParam(), DType::f64), 1);
  model.train(false);  // a random mask would be another in every call
  const Tensor tokens = random_tokens(3, 8, 11, 2);
  Tensor targets = random_tokens(3, 8, 11, 3);
  targets.select(0, 1).fill(-100);
  targets.select(0, 2).slice(0, 0, 5).fill(-100);
  const std::vector<double> logits = model.forward(tokens).value().to_vector<double>();
  const std::vector<std::int64_t> wanted = targets.to_vector<std::int64_t>();
  double total = 0;
  double counted = 0;
  for (std::size_t row = 0; row < wanted.size(); ++row) {
    if (wanted[row] == -100) {
      continue;
    }
    double sum = 0;
    for (std::size_t c = 0; c < 11; ++c) {
      sum += std::exp(logits[row * 11 + c]);
    }
    total += std::log(sum) - logits[row * 11 + static_cast<std::size_t>(wanted[row])];
    counted += 1;
  }
  EXPECT_EQ(counted, 8 + 3);
  const Variable loss = model.loss(tokens, targets);
  EXPECT_EQ(loss.shape(), Shape{});
  // Sums of eleven terms of size 1 in double.
  EXPECT_TRUE(std::abs(loss.value().item() - total / counted) <= 1e-13);
}

// At the start the logits are small, so the loss is near that of a uniform guess.
TEST_P(EveryLanguageModel, StartsNearTheUniformGuess) {
  const LanguageModel model(small_backbone(GetParam()), 1);
  const double loss =
      model.loss(random_tokens(8, 12, 11, 2), random_tokens(8, 12, 11, 3)).value().item();
  EXPECT_TRUE(std::abs(loss - std::log(11.0)) <= 0.5) << loss;
}

TEST_P(EveryLanguageModel, EveryParameterReceivesAGradient) {
  const LanguageModel model(small_backbone(GetParam()), 1);
  model.loss(random_tokens(3, 12, 11, 2), random_tokens(3, 12, 11, 3)).backward();
  for (const Parameter& p : model.parameters()) {
    ASSERT_TRUE(p.variable.grad().defined()) << p.name;
    EXPECT_EQ(p.variable.grad().shape(), p.variable.shape()) << p.name;
    double squares = 0;
    for (const double g : p.variable.grad().to_vector<double>()) {
      squares += g * g;
    }
    // The key bias shifts all scores of a softmax alike, so its true gradient is zero.
    const bool cancels = p.name.find("mix.key.bias") != std::string::npos;
    EXPECT_TRUE(cancels || squares > 1e-12) << p.name << " " << squares;
  }
}

TEST_P(EveryLanguageModel, TheSeedMakesTheWeightsWithAndWithoutDropout) {
  BackboneOptions dropout = small_backbone(GetParam());
  dropout.dropout = 0.3;
  const LanguageModel first(small_backbone(GetParam()), 1);
  const LanguageModel again(small_backbone(GetParam()), 1);
  const LanguageModel with_dropout(dropout, 1);
  const LanguageModel other(small_backbone(GetParam()), 2);
  EXPECT_TRUE(same_bits(test::weights_of(first), test::weights_of(again)));
  EXPECT_TRUE(same_bits(test::weights_of(first), test::weights_of(with_dropout)));
  EXPECT_FALSE(same_bits(test::weights_of(first), test::weights_of(other)));
}

TEST_P(EveryLanguageModel, NoTwoWeightMatricesStartAlike) {
  BackboneOptions options = small_backbone(GetParam());
  options.mlp_ratio = 1;  // many matrices of the same shape
  const LanguageModel model(options, 1);
  const std::vector<Parameter> all = model.parameters();
  for (std::size_t a = 0; a < all.size(); ++a) {
    for (std::size_t b = a + 1; b < all.size(); ++b) {
      if (all[a].variable.value().rank() == 2) {
        EXPECT_FALSE(same_bits(all[a].variable.value(), all[b].variable.value()))
            << all[a].name << " and " << all[b].name;
      }
    }
  }
}

TEST_P(EveryLanguageModel, TheDropoutPositionCountsMasksAndRepeatsThem) {
  BackboneOptions options = small_backbone(GetParam());
  options.dropout = 0.3;
  LanguageModel model(options, 1);
  const Tensor tokens = random_tokens(2, 8, 11, 2);
  EXPECT_EQ(model.dropout_position(), 0u);
  const Tensor first = model.forward(tokens).value();
  // One mask after the embedding and two in each of two blocks,
  // and in each block the key of a random mask.
  EXPECT_EQ(model.dropout_position(), GetParam() == "random-masked-hopfield" ? 7u : 5u);
  (void)model.forward(tokens);
  model.set_dropout_position(0);
  EXPECT_TRUE(same_bits(model.forward(tokens).value(), first));
}

TEST(LanguageModel, NamesTheHeadBesideTheBackbone) {
  const LanguageModel model(small_backbone("attention"), 1);
  const std::vector<std::string> names = test::parameter_names(model);
  EXPECT_EQ(names.front(), "tokens.weight");
  EXPECT_EQ(names[names.size() - 2], "head.weight");
  EXPECT_EQ(names.back(), "head.bias");
  EXPECT_EQ(test::parameter(model, "head.weight").shape(), (Shape{11, 16}));
  EXPECT_EQ(model.options().kind, "attention");
  EXPECT_EQ(model.forward(random_tokens(2, 3, 11, 4)).shape(), (Shape{2, 3, 11}));
}

TEST(LanguageModel, RefusesTargetsThatCannotBe) {
  const LanguageModel model(small_backbone("attention"), 1);
  const Tensor tokens = random_tokens(2, 3, 11, 4);
  EXPECT_TRUE(refuses<Error>(
      [&] {
        model.loss(tokens, Tensor::full({2, 3}, -100, DType::i64));
      },
      {"ignore"}));
  EXPECT_TRUE(refuses<Error>(
      [&] {
        model.loss(tokens, Tensor::full({2, 3}, 11, DType::i64));
      },
      {"position 0"}));
  EXPECT_TRUE(refuses<Error>([&] { model.loss(tokens, random_tokens(2, 4, 11, 5)); },
                             {"(2, 3, 16)", "(2, 4)"}));
}

}  // namespace
}  // namespace basin::nn
