// Whole models whose products are made in tf32 and bf16, with parameters in f32.
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "nn/classifier.h"
#include "nn/language_model.h"
#include "nn/optim/optimizer.h"
#include "tests/support/expect_error.h"
#include "tests/support/precision_rule.h"
#include "tests/support/same_bits.h"
#include "tests/support/scoped_threads.h"
#include "tests/support/small_models.h"

namespace basin::test {
namespace {

class PrecisionOfBackbone : public testing::TestWithParam<std::string> {
 protected:
  std::vector<Tensor> outcome_in(Precision precision) const {
    return precision_outcome(precision_options(GetParam(), precision));
  }
};

TEST_P(PrecisionOfBackbone, ComputesOtherNumbersInEveryPrecision) {
  const std::vector<Tensor> in_f32 = outcome_in(Precision::f32);
  const std::vector<Tensor> in_tf32 = outcome_in(Precision::tf32);
  const std::vector<Tensor> in_bf16 = outcome_in(Precision::bf16);
  for (const std::size_t n : {std::size_t{0}, std::size_t{1}}) {  // logits, gradient of the tokens
    EXPECT_FALSE(same_bits(in_tf32[n], in_f32[n])) << n;
    EXPECT_FALSE(same_bits(in_bf16[n], in_f32[n])) << n;
    EXPECT_FALSE(same_bits(in_bf16[n], in_tf32[n])) << n;
  }
}

TEST_P(PrecisionOfBackbone, ComputesTheSameBitsForAnyNumberOfThreads) {
  for (const Precision precision : {Precision::tf32, Precision::bf16}) {
    const auto with = [&](int threads) {
      const ScopedThreads scope(threads);
      return outcome_in(precision);
    };
    EXPECT_TRUE(same_bits(with(3), with(1))) << name_of(precision);
  }
}

// What a sequence gives does not depend on those beside it.
TEST_P(PrecisionOfBackbone, TreatsSequencesOneByOne) {
  for (const Precision precision : {Precision::tf32, Precision::bf16}) {
    nn::LanguageModel model(precision_options(GetParam(), precision), 1);
    model.train(false);
    const NoGrad no_grad;
    const Tensor together = model.forward(precision_tokens()).value();
    // A random mask is drawn for each item by its number.
    const std::int64_t items = GetParam() == "random-masked-hopfield" ? 1 : kPrecisionBatch;
    for (std::int64_t b = 0; b < items; ++b) {
      const Tensor alone =
          model.forward(precision_tokens().slice(0, b, b + 1).contiguous()).value();
      // f32 sums in another order may tip the rounding of a factor: half a unit in its last place,
      // of numbers near 1.
      EXPECT_LE(largest_difference(alone, together.slice(0, b, b + 1)),
                precision == Precision::tf32 ? 2e-3 : 1e-2)
          << name_of(precision) << " " << b;
    }
  }
}

TEST_P(PrecisionOfBackbone, IsAtMostThreeTimesAsWrongAsANaiveComputation) {
  precision_rule_holds(GetParam(), Device::cpu);
}

TEST_P(PrecisionOfBackbone, IsThatOnTheExecutorToo) {
  precision_rule_holds(GetParam(), Device::simt);
}

INSTANTIATE_TEST_SUITE_P(Every, PrecisionOfBackbone, testing::ValuesIn(all_backbones()), test_name);

// Steps far below the resolution of bf16 add up, because the weights that take them are f32.
TEST(MasterWeights, TakeStepsThatBf16CouldNot) {
  nn::LanguageModel model(precision_options("attention", Precision::bf16), 1);
  nn::OptimizerOptions sgd;
  sgd.kind = nn::OptimizerKind::sgd;
  sgd.momentum = 0;
  sgd.weight_decay = 0;
  const auto optimizer = nn::make_optimizer(model.parameters(), sgd);
  const std::vector<Tensor> before = weights_of(model);
  double first = 0;
  double last = 0;
  constexpr int kSteps = 200;
  for (int step = 0; step < kSteps; ++step) {
    model.clear_grad();
    const Variable loss = model.loss(precision_tokens(), precision_targets());
    loss.backward();
    (void)optimizer->step(1e-4);
    (step == 0 ? first : last) = loss.value().item();
  }
  EXPECT_LT(last, first);
  std::int64_t moved = 0;
  std::int64_t invisible = 0;  // moved by less than half of what bf16 tells apart, in all steps
  const std::vector<Tensor> after = weights_of(model);
  for (std::size_t n = 0; n < before.size(); ++n) {
    EXPECT_EQ(after[n].dtype(), DType::f32);
    const std::vector<double> x = before[n].to_vector<double>();
    const std::vector<double> y = after[n].to_vector<double>();
    for (std::size_t i = 0; i < x.size(); ++i) {
      moved += x[i] != y[i] ? 1 : 0;
      invisible += x[i] != y[i] && std::abs(x[i] - y[i]) < std::abs(x[i]) / 512 ? 1 : 0;
    }
  }
  EXPECT_GT(invisible, moved / 2);
}

TEST(PrecisionOfAClassifier, ReachesItsHead) {
  const auto logits = [](Precision precision) {
    const nn::SequenceClassifier model(precision_options("attention", precision), 3, Pooling::mean,
                                       1);
    const NoGrad no_grad;
    return model.forward(precision_tokens()).value();
  };
  EXPECT_FALSE(same_bits(logits(Precision::bf16), logits(Precision::f32)));
  // The head alone: its product is in bf16 if a head of bf16 weights gives the same.
  nn::SequenceClassifier model(precision_options("rnn", Precision::bf16), 3, Pooling::last, 1);
  const NoGrad no_grad;
  const Tensor before = model.forward(precision_tokens()).value();
  Tensor weight = parameter(model, "head.weight").mutable_value();
  weight.copy_from(weight.to(DType::bf16).to(DType::f32));
  EXPECT_TRUE(same_bits(model.forward(precision_tokens()).value(), before));
}

TEST(PrecisionOfALanguageModel, ReachesItsHeadInEveryUse) {
  nn::LanguageModel model(precision_options("attention", Precision::bf16), 1);
  model.train(false);
  const NoGrad no_grad;
  const auto uses = [&] {
    nn::BackboneState state = model.begin();
    const Predictions predictions = model.predict(precision_tokens(), precision_targets());
    return std::vector{model.forward(precision_tokens()).value(),
                       model.loss(precision_tokens(), precision_targets()).value(),
                       predictions.loss, model.step(precision_tokens().slice(1, 0, 1), state)};
  };
  const std::vector<Tensor> before = uses();
  Tensor weight = parameter(model, "head.weight").mutable_value();
  weight.copy_from(weight.to(DType::bf16).to(DType::f32));
  EXPECT_TRUE(same_bits(uses(), before));
}

TEST(PrecisionOfALanguageModel, IsForModelsInF32) {
  for (const Precision precision : {Precision::tf32, Precision::bf16}) {
    EXPECT_TRUE(refuses<Error>(
        [&] { nn::LanguageModel model(precision_options("rnn", precision, DType::f64), 1); },
        {"[Backbone]", "products in", "are made of f32", "f64"}));
  }
}

TEST(PrecisionOfALanguageModel, IsTheSameWithRecomputation) {
  nn::BackboneOptions options = precision_options("hopfield", Precision::bf16);
  const std::vector<Tensor> expected = precision_outcome(options);
  options.recompute = true;
  EXPECT_TRUE(same_bits(precision_outcome(options), expected));
}

}  // namespace
}  // namespace basin::test
