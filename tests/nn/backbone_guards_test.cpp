// What must hold to the bit for every backbone: samples do not reach each other, the future and the
// padding are invisible, and results depend neither on the number of threads nor on the run.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "nn/language_model.h"
#include "nn/optim/optimizer.h"
#include "tests/support/same_bits.h"
#include "tests/support/scoped_threads.h"
#include "tests/support/small_models.h"

namespace basin::nn {
namespace {

using test::random_tokens;
using test::same_bits;

constexpr std::int64_t kLength = 40;  // crosses the 32-query tile of the attention kernel
constexpr std::int64_t kVocabulary = 50;

// Large enough that parameters and activations are cut into several chunks for the threads.
BackboneOptions model_options(const std::string& kind) {
  BackboneOptions options;
  options.kind = kind;
  options.vocabulary = kVocabulary;
  options.width = 80;
  options.layers = 2;
  options.heads = 4;
  options.max_length = kLength;
  return options;
}

// Logits in evaluation mode.
Tensor logits(LanguageModel& model, const Tensor& tokens, const Tensor& lengths = {}) {
  const NoGrad no_grad;
  model.train(false);
  return model.forward(tokens, lengths).value();
}

Tensor with_tokens(const Tensor& tokens, std::int64_t sample, std::int64_t from,
                   std::int64_t value) {
  Tensor changed = tokens.clone();
  changed.select(0, sample).slice(0, from, kLength).fill(static_cast<double>(value));
  return changed;
}

// Each kind, and the Hopfield backbone with several update steps.
std::vector<std::string> guarded() {
  std::vector<std::string> names = test::all_backbones();
  names.push_back("hopfield-3-steps");
  return names;
}

class BackboneGuards : public testing::TestWithParam<std::string> {
 protected:
  static BackboneOptions options() {
    BackboneOptions result = model_options(GetParam());
    if (GetParam() == "hopfield-3-steps") {
      result.kind = "hopfield";
      result.update_steps = 3;
    }
    return result;
  }
  static bool is_association() { return backbone_kind(options().kind).is_association; }
};
INSTANTIATE_TEST_SUITE_P(Every, BackboneGuards, testing::ValuesIn(guarded()), test::test_name);

TEST_P(BackboneGuards, SamplesDoNotReachEachOther) {
  for (const DType dtype : {DType::f32, DType::f64}) {
    for (const bool causal : {true, false}) {
      if (!causal && !is_association()) {
        continue;
      }
      BackboneOptions o = options();
      o.dtype = dtype;
      o.causal = causal;
      LanguageModel model(o, 1);
      const Tensor tokens = random_tokens(3, kLength, kVocabulary, 2);
      const Tensor before = logits(model, tokens);
      const Tensor after = logits(model, with_tokens(tokens, 1, 0, 7));
      EXPECT_TRUE(same_bits(after.select(0, 0), before.select(0, 0)));
      EXPECT_TRUE(same_bits(after.select(0, 2), before.select(0, 2)));
      EXPECT_FALSE(same_bits(after.select(0, 1), before.select(0, 1)));
    }
  }
}

// The gradient of a sample's loss must not know the others either: with the loss on sample 0 alone,
// replacing sample 1 changes no parameter gradient.
TEST_P(BackboneGuards, SamplesDoNotReachEachOthersGradients) {
  const Tensor tokens = random_tokens(2, kLength, kVocabulary, 2);
  Tensor targets = random_tokens(2, kLength, kVocabulary, 3);
  targets.select(0, 1).fill(-100);
  const auto gradients = [&](const Tensor& input) {
    LanguageModel model(options(), 1);
    model.loss(input, targets).backward();
    return test::gradients_of(model);
  };
  const std::vector<Tensor> before = gradients(tokens);
  const std::vector<Tensor> after = gradients(with_tokens(tokens, 1, 0, 7));
  for (std::size_t n = 0; n < before.size(); ++n) {
    // By value: 0 and -0 may trade places.
    EXPECT_TRUE(test::largest_difference(before[n], after[n]) <= 0.0) << n;
  }
}

TEST_P(BackboneGuards, TheFutureIsInvisible) {
  for (const DType dtype : {DType::f32, DType::f64}) {
    BackboneOptions o = options();
    o.dtype = dtype;
    LanguageModel model(o, 1);
    // Token 0 is enormous: what leaks, leaks visibly.
    test::parameter(model, "tokens.weight").mutable_value().select(0, 0).fill(1e6);
    const Tensor tokens = random_tokens(2, kLength, kVocabulary - 1, 2);
    const Tensor before = logits(model, tokens);
    for (const std::int64_t cut :
         {std::int64_t{1}, std::int64_t{17}, std::int64_t{32}, std::int64_t{33}, kLength - 1}) {
      for (const std::int64_t future : {std::int64_t{0}, kVocabulary - 1}) {
        const Tensor after = logits(model, with_tokens(tokens, 1, cut, future));
        EXPECT_TRUE(
            same_bits(after.select(0, 1).slice(0, 0, cut), before.select(0, 1).slice(0, 0, cut)))
            << cut;
        EXPECT_FALSE(same_bits(after.select(0, 1).slice(0, cut, kLength),
                               before.select(0, 1).slice(0, cut, kLength)));
      }
    }
  }
}

TEST_P(BackboneGuards, ThePastIsVisible) {
  LanguageModel model(options(), 1);
  const Tensor tokens = random_tokens(1, kLength, kVocabulary, 2);
  Tensor changed = tokens.clone();
  changed.mutable_data<std::int64_t>()[0] = (changed.data<std::int64_t>()[0] + 1) % kVocabulary;
  const Tensor before = logits(model, tokens);
  const Tensor after = logits(model, changed);
  EXPECT_FALSE(same_bits(after.select(1, 1), before.select(1, 1)));
}

TEST_P(BackboneGuards, WithoutCausalityTheFutureIsVisible) {
  if (!is_association()) {
    return;  // refused at construction, see backbone_test.cpp
  }
  BackboneOptions o = options();
  o.causal = false;
  LanguageModel model(o, 1);
  const Tensor tokens = random_tokens(1, kLength, kVocabulary, 2);
  const Tensor before = logits(model, tokens);
  const Tensor after = logits(model, with_tokens(tokens, 0, kLength - 1, 3));
  EXPECT_FALSE(same_bits(after.select(1, 0), before.select(1, 0)));
}

TEST_P(BackboneGuards, PaddingChangesNothing) {
  for (const bool causal : {true, false}) {
    if (!causal && !is_association()) {
      continue;
    }
    BackboneOptions o = options();
    o.causal = causal;
    LanguageModel model(o, 1);
    test::parameter(model, "tokens.weight").mutable_value().select(0, 0).fill(1e6);
    const std::vector<std::int64_t> valid = {kLength, 33, 1};
    const Tensor lengths = Tensor::from<std::int64_t>({3}, valid);
    const Tensor tokens = random_tokens(3, kLength, kVocabulary, 2);
    const auto padded = [&](std::int64_t token) {
      Tensor changed = with_tokens(tokens, 1, valid[1], token);
      return with_tokens(changed, 2, valid[2], token);
    };
    const Tensor first = logits(model, padded(5), lengths);
    const Tensor second = logits(model, padded(0), lengths);
    for (std::int64_t b = 0; b < 3; ++b) {
      const std::int64_t end = valid[static_cast<std::size_t>(b)];
      EXPECT_TRUE(
          same_bits(first.select(0, b).slice(0, 0, end), second.select(0, b).slice(0, 0, end)))
          << b << " causal " << causal;
    }
    if (!causal) {
      // Without the lengths the padding is read: the mask is what keeps it out.
      const Tensor unmasked = logits(model, padded(0));
      EXPECT_FALSE(same_bits(unmasked.select(0, 1).slice(0, 0, valid[1]),
                             first.select(0, 1).slice(0, 0, valid[1])));
    }
  }
}

// Token 0 is a token like any other.
TEST_P(BackboneGuards, TokenZeroIsNotPadding) {
  LanguageModel model(options(), 1);
  const Tensor tokens = random_tokens(1, kLength, kVocabulary, 2);
  Tensor zero = tokens.clone();
  zero.mutable_data<std::int64_t>()[3] = 0;
  Tensor one = tokens.clone();
  one.mutable_data<std::int64_t>()[3] = 1;
  EXPECT_FALSE(same_bits(logits(model, zero).select(1, kLength - 1),
                         logits(model, one).select(1, kLength - 1)));
}

TEST_P(BackboneGuards, DropoutIsOnInTrainingAndOffInEvaluation) {
  BackboneOptions with = options();
  with.dropout = 0.2;
  LanguageModel model(with, 1);
  LanguageModel without(options(), 1);
  const Tensor tokens = random_tokens(2, kLength, kVocabulary, 2);
  const Tensor evaluated = logits(model, tokens);
  EXPECT_TRUE(same_bits(logits(model, tokens), evaluated));
  EXPECT_TRUE(same_bits(logits(without, tokens), evaluated));
  model.train(true);
  const Tensor first = model.forward(tokens).value();
  const Tensor second = model.forward(tokens).value();
  EXPECT_FALSE(same_bits(first, evaluated));
  EXPECT_FALSE(same_bits(first, second));
  EXPECT_TRUE(same_bits(logits(model, tokens), evaluated));
}

// Losses, gradient norms and weights of three training steps with dropout.
std::vector<Tensor> train(const BackboneOptions& options, int threads) {
  const test::ScopedThreads scoped(threads);
  LanguageModel model(options, 1);
  AdamW optimizer(model.parameters(), {});
  std::vector<double> figures;
  for (std::uint64_t step = 0; step < 3; ++step) {
    const Tensor tokens = random_tokens(5, kLength, kVocabulary, 10 + step);
    const Tensor targets = random_tokens(5, kLength, kVocabulary, 20 + step);
    model.clear_grad();
    const Variable loss = model.loss(tokens, targets);
    loss.backward();
    figures.push_back(loss.value().item());
    figures.push_back(optimizer.step(1e-3));
  }
  std::vector<Tensor> result = test::weights_of(model);
  for (const Tensor& gradient : test::gradients_of(model)) {
    result.push_back(gradient);
  }
  result.push_back(Tensor::from<double>({static_cast<std::int64_t>(figures.size())}, figures));
  return result;
}

TEST_P(BackboneGuards, TrainingGivesTheSameBitsWithAnyNumberOfThreadsAndInEveryRun) {
  BackboneOptions o = options();
  o.dropout = 0.1;
  const std::vector<Tensor> one = train(o, 1);
  EXPECT_TRUE(same_bits(train(o, 2), one)) << "2 threads";
  EXPECT_TRUE(same_bits(train(o, 3), one)) << "3 threads";
  EXPECT_TRUE(same_bits(train(o, 1), one)) << "once more";
}

}  // namespace
}  // namespace basin::nn
