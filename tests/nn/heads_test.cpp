// Heads on a backbone: the classifier with its poolings, tied weights, label smoothing,
// recomputation.
#include <gtest/gtest.h>

#include <cmath>

#include "nn/classifier.h"
#include "nn/language_model.h"
#include "tensor/error.h"
#include "tensor/rng.h"

namespace basin::nn {
namespace {

BackboneOptions small(const std::string& kind) {
  BackboneOptions o;
  o.kind = kind;
  o.vocabulary = 11;
  o.width = 8;
  o.heads = 2;
  o.max_length = 6;
  o.dtype = DType::f64;
  return o;
}

Tensor tokens(std::vector<std::int64_t> values, std::int64_t length) {
  return Tensor::from<std::int64_t>({static_cast<std::int64_t>(values.size()) / length, length},
                                    values);
}

TEST(SequenceClassifier, PaddedTokensHaveNoInfluenceForAnyPoolingAndBackbone) {
  for (const BackboneKind& kind : backbone_kinds()) {
    for (const bool causal : {true, false}) {
      if (!causal && !kind.is_association) continue;
      for (const Pooling pooling : {Pooling::mean, Pooling::last, Pooling::first}) {
        BackboneOptions options = small(kind.name);
        options.causal = causal;
        SequenceClassifier model(options, 3, pooling, 7);
        model.train(false);  // a random mask would be another in every call
        const Tensor lengths = Tensor::from<std::int64_t>({2}, std::vector<std::int64_t>{3, 6});
        const Tensor a = tokens({1, 2, 3, 0, 0, 0, 4, 5, 6, 7, 8, 9}, 6);
        const Tensor b = tokens({1, 2, 3, 9, 8, 7, 4, 5, 6, 7, 8, 9}, 6);
        EXPECT_EQ(model.forward(a, lengths).value().to_vector<double>(),
                  model.forward(b, lengths).value().to_vector<double>())
            << kind.name << " " << name_of(pooling);
      }
    }
  }
}

TEST(SequenceClassifier, EveryPoolingGivesAnotherAnswer) {
  const Tensor x = tokens({1, 2, 3, 4, 5, 6}, 6);
  std::vector<std::vector<double>> answers;
  for (const Pooling pooling : {Pooling::mean, Pooling::last, Pooling::first}) {
    answers.push_back(
        SequenceClassifier(small("gru"), 3, pooling, 7).forward(x).value().to_vector<double>());
  }
  EXPECT_NE(answers[0], answers[1]);
  EXPECT_NE(answers[1], answers[2]);
  EXPECT_NE(answers[0], answers[2]);
}

TEST(SequenceClassifier, RefusesOneClass) {
  EXPECT_THROW(SequenceClassifier(small("rnn"), 1, Pooling::mean, 0), Error);
}

TEST(LanguageModel, TiedWeightsShareTheTableAndItsGradient) {
  HeadOptions head;
  head.tie_weights = true;
  LanguageModel tied(small("attention"), 3, head);
  LanguageModel untied(small("attention"), 3);
  EXPECT_EQ(untied.parameter_count() - tied.parameter_count(), 11 * 8);
  const Tensor x = tokens({1, 2, 3}, 3);
  tied.loss(x, tokens({2, 3, 4}, 3)).backward();
  for (const Parameter& parameter : tied.parameters()) {
    if (parameter.name == "tokens.weight") {
      // Token 10 is neither read nor a target: its row gets a gradient through the head alone.
      const Tensor row = parameter.variable.grad().select(0, 10);
      double size = 0;
      for (const double value : row.to_vector<double>()) size += std::abs(value);
      EXPECT_GT(size, 0.0);
    }
    EXPECT_NE(parameter.name, "head.weight");
  }
}

TEST(LanguageModel, LabelSmoothingChangesTheLossOnly) {
  HeadOptions head;
  head.label_smoothing = 0.2;
  LanguageModel smooth(small("lstm"), 3, head);
  LanguageModel plain(small("lstm"), 3);
  const Tensor x = tokens({1, 2, 3}, 3);
  EXPECT_EQ(smooth.forward(x).value().to_vector<double>(),
            plain.forward(x).value().to_vector<double>());
  EXPECT_NE(smooth.loss(x, x).value().item(), plain.loss(x, x).value().item());
  head.label_smoothing = 1.0;
  EXPECT_THROW(LanguageModel(small("lstm"), 3, head), Error);
}

TEST(Backbone, RecomputedBlocksGiveTheSameBits) {
  for (const BackboneKind& kind : backbone_kinds()) {
    std::vector<std::vector<double>> gradients[2];
    for (const bool again : {false, true}) {
      BackboneOptions options = small(kind.name);
      options.recompute = again;
      options.dropout = 0.3;
      LanguageModel model(options, 5);
      model.loss(tokens({1, 2, 3, 4, 5, 6}, 3), tokens({2, 3, 4, 5, 6, 7}, 3)).backward();
      for (const Parameter& parameter : model.parameters()) {
        gradients[again ? 1 : 0].push_back(parameter.variable.grad().to_vector<double>());
      }
    }
    EXPECT_EQ(gradients[0], gradients[1]) << kind.name;
  }
}

TEST(Backbone, RotaryPositionsMakeScoresDependOnDistance) {
  // Without any positions a non-causal model cannot tell orders apart; rotary positions can, and a
  // shift of everything changes nothing about the distances.
  BackboneOptions options = small("attention");
  options.causal = false;
  options.layers = 1;
  const auto last = [&](PositionKind kind, std::vector<std::int64_t> ids) {
    options.positions = kind;
    const LanguageModel model(options, 9);
    const auto length = static_cast<std::int64_t>(ids.size());
    return model.forward(tokens(ids, length))
        .value()
        .select(0, 0)
        .select(0, length - 1)
        .to_vector<double>();
  };
  const auto near = [](const std::vector<double>& a, const std::vector<double>& b) {
    double worst = 0;
    for (std::size_t n = 0; n < a.size(); ++n) worst = std::max(worst, std::abs(a[n] - b[n]));
    return worst < 1e-12;
  };
  EXPECT_TRUE(near(last(PositionKind::none, {1, 2, 3}), last(PositionKind::none, {2, 1, 3})));
  EXPECT_FALSE(near(last(PositionKind::rotary, {1, 2, 3}), last(PositionKind::rotary, {2, 1, 3})));
  options.kind = "rnn";
  options.causal = true;
  EXPECT_THROW(last(PositionKind::rotary, {1, 2}), Error);
}

}  // namespace
}  // namespace basin::nn
