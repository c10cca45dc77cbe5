// Drawing tokens and going on from a prompt.
#include "tasks/generation.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "tensor/error.h"
#include "tests/support/expect_error.h"
#include "tests/support/small_models.h"

namespace basin::tasks {
namespace {

using test::refuses;
using test::small_backbone;
using Tokens = std::vector<std::int64_t>;

Tensor logits(const std::vector<double>& values) {
  return Tensor::from<double>({static_cast<std::int64_t>(values.size())}, values);
}

TEST(SampleToken, DrawsInProportion) {
  // Weights 1, 2 and 1 of 4, likeliest first.
  const Tensor l = logits({0.0, std::log(2.0), 0.0});
  EXPECT_EQ(sample_token(l, 1.0, 0, 0.0), 1);
  EXPECT_EQ(sample_token(l, 1.0, 0, 0.49), 1);
  EXPECT_EQ(sample_token(l, 1.0, 0, 0.51), 0);
  EXPECT_EQ(sample_token(l, 1.0, 0, 0.74), 0);
  EXPECT_EQ(sample_token(l, 1.0, 0, 0.76), 2);
  EXPECT_EQ(sample_token(l, 1.0, 0, 0.9999), 2);
  // A temperature of 1/2 squares the weights: 1, 4, 1 of 6.
  EXPECT_EQ(sample_token(l, 0.5, 0, 0.66), 1);
  EXPECT_EQ(sample_token(l, 0.5, 0, 0.67), 0);
  EXPECT_EQ(sample_token(l, 0.0, 0, 0.99), 1);
  EXPECT_EQ(sample_token(l, 9.0, 1, 0.99), 1);
  EXPECT_EQ(sample_token(l, 1.0, 2, 0.99), 0) << "the third is out";
  EXPECT_EQ(sample_token(l, 1.0, 99, 0.99), 2);
  EXPECT_TRUE(refuses<Error>([] { (void)sample_token(logits({0, NAN}), 1, 0, 0.5); }, {"NaN"}));
}

class Generation : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Every, Generation, testing::ValuesIn(test::all_backbones()),
                         test::test_name);

// The likeliest token each time, from the logits of the whole sequence.
TEST_P(Generation, FollowsTheModel) {
  nn::LanguageModel model(small_backbone(GetParam(), DType::f64), 1);
  GenerationOptions options;
  options.count = 6;
  options.temperature = 0;
  const Tokens prompt = {3, 1, 4};
  const Tokens found = generate(model, prompt, options);
  model.train(false);
  Tokens all = prompt;
  for (const std::int64_t token : found) {
    const Tensor whole =
        model.forward(Tensor::from<std::int64_t>({1, static_cast<std::int64_t>(all.size())}, all))
            .value();
    EXPECT_EQ(token, sample_token(whole.select(1, whole.size(1) - 1).reshape({-1}), 0, 0, 0));
    all.push_back(token);
  }
  EXPECT_EQ(found.size(), 6u);
}

TEST_P(Generation, GoesOnBeyondTheLengthOfTheModelAndRepeatsItself) {
  nn::LanguageModel model(small_backbone(GetParam()), 1);
  GenerationOptions options;
  options.count = 40;  // the model knows 12 positions
  const Tokens first = generate(model, {3}, options);
  EXPECT_EQ(first.size(), 40u);
  EXPECT_EQ(generate(model, {3}, options), first);
  options.seed = 1;
  EXPECT_NE(generate(model, {3}, options), first);
  // A prompt longer than the model.
  EXPECT_EQ(generate(model, Tokens(30, 2), options).size(), 40u);
}

TEST(Generation, StopsWhenTold) {
  nn::LanguageModel model(small_backbone("attention"), 1);
  GenerationOptions options;
  int calls = 0;
  EXPECT_EQ(generate(model, {1}, options, [&](std::int64_t) { return ++calls < 3; }).size(), 3u);
}

TEST(Generation, RefusesWhatCannotBe) {
  nn::LanguageModel model(small_backbone("attention"), 1);
  const auto refused = [&](const Tokens& prompt, const GenerationOptions& options,
                           const std::string& why) {
    return refuses<Error>([&] { (void)generate(model, prompt, options); }, {why});
  };
  EXPECT_TRUE(refused({}, {}, "the prompt is empty"));
  EXPECT_TRUE(refused({11}, {}, "token 11"));
  GenerationOptions cold;
  cold.temperature = -1;
  EXPECT_TRUE(refused({1}, cold, "temperature -1"));
  nn::BackboneOptions blind = small_backbone("attention");
  blind.causal = false;
  nn::LanguageModel sees_all(blind, 1);
  EXPECT_TRUE(refuses<Error>([&] { (void)generate(sees_all, {1}, {}); }, {"causal = no"}));
}

}  // namespace
}  // namespace basin::tasks
