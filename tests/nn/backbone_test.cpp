// The backbones by name, their options and their parameters.
#include "nn/backbone.h"

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "tensor/error.h"
#include "tests/support/expect_error.h"
#include "tests/support/module_gradcheck.h"
#include "tests/support/same_bits.h"
#include "tests/support/small_models.h"

namespace basin::nn {
namespace {

using test::all_backbones;
using test::largest_difference;
using test::random_tokens;
using test::refuses;
using test::same_bits;
using test::small_backbone;

bool is_recurrent(const std::string& kind) {
  return kind == "rnn" || kind == "lstm" || kind == "gru";
}

// A backbone with generators of its own.
struct Made {
  explicit Made(const BackboneOptions& options, std::uint64_t seed = 1)
      : rng(seed), dropout_rng(seed + 1), backbone(options, rng, dropout_rng) {}
  Rng rng, dropout_rng;
  Backbone backbone;
};

Tensor states(const BackboneOptions& options) {
  const Made made(options);
  return made.backbone.forward(random_tokens(2, 9, 11, 5)).value();
}

TEST(BackboneKinds, AreKnownByName) {
  EXPECT_EQ(all_backbones(), (std::vector<std::string>{
                                 "rnn", "lstm", "gru", "attention", "hopfield", "linear-attention",
                                 "random-feature-attention", "sparse-hopfield", "entmax-hopfield",
                                 "polynomial-hopfield", "topk-hopfield", "window-hopfield",
                                 "random-masked-hopfield"}));
  for (const BackboneKind& kind : backbone_kinds()) {
    EXPECT_EQ(&backbone_kind(kind.name), &kind);
    EXPECT_FALSE(kind.description.empty());
    EXPECT_EQ(kind.is_association, !is_recurrent(kind.name));
  }
}

TEST(BackboneKinds, AnUnknownNameIsAnsweredWithTheNamesThereAre) {
  const std::vector<std::string> parts = {"'transformer'", "rnn", "attention", "hopfield",
                                          "linear-attention"};
  EXPECT_TRUE(refuses<Error>([] { backbone_kind("transformer"); }, parts));
  EXPECT_TRUE(refuses<Error>([] { Made(small_backbone("transformer")); }, parts));
  EXPECT_TRUE(refuses<Error>([] { association_options(small_backbone("transformer")); }, parts));
}

class EveryBackbone : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Backbone, EveryBackbone, testing::ValuesIn(all_backbones()),
                         test::test_name);

TEST_P(EveryBackbone, Gradients) {
  BackboneOptions options = small_backbone(GetParam(), DType::f64);
  options.vocabulary = 5;
  options.width = 4;
  options.max_length = 4;
  Made made(options);
  made.backbone.train(false);  // a random mask would be another in every call
  const Tensor tokens = random_tokens(2, 4, 5, 2);
  const Tensor lengths = Tensor::from<std::int64_t>({2}, std::vector<std::int64_t>{4, 2});
  EXPECT_TRUE(test::gradients_agree(
      made.backbone,
      [&](const std::vector<Variable>&) { return made.backbone.forward(tokens, lengths); }, {}));
}

TEST_P(EveryBackbone, GivesStatesOfItsWidthForAnyLengthUpToTheLongest) {
  const Made made(small_backbone(GetParam()));
  for (const std::int64_t length : {std::int64_t{1}, std::int64_t{7}, std::int64_t{12}}) {
    const Variable y = made.backbone.forward(random_tokens(3, length, 11, 4));
    EXPECT_EQ(y.shape(), (Shape{3, length, 16}));
    EXPECT_EQ(y.dtype(), DType::f32);
    EXPECT_TRUE(largest_difference(y.value(), y.value()) <= 0.0) << "not all finite";
  }
  EXPECT_TRUE(refuses<Error>([&] { made.backbone.forward(random_tokens(1, 13, 11, 4)); },
                             {"sequence of 13", "12 positions"}));
}

TEST_P(EveryBackbone, ParametersByName) {
  std::vector<std::string> mix;
  if (is_recurrent(GetParam())) {
    for (const char* name : {"weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"}) {
      mix.push_back("mix." + GetParam() + "." + name);
    }
  } else {
    if (GetParam().ends_with("hopfield") && GetParam() != "polynomial-hopfield") {
      mix = {"mix.log_beta"};
    }
    if (GetParam() == "entmax-hopfield") {
      mix.emplace_back("mix.alpha_logit");
    }
    for (const char* projection : {"query", "key", "value", "out"}) {
      mix.push_back(std::string("mix.") + projection + ".weight");
      mix.push_back(std::string("mix.") + projection + ".bias");
    }
  }
  std::vector<std::string> expected = {"tokens.weight", "positions.weight"};
  for (const std::string block : {"blocks.0.", "blocks.1."}) {
    for (const char* name : {"norm1.weight", "norm1.bias"}) {
      expected.push_back(block + name);
    }
    for (const std::string& name : mix) {
      expected.push_back(block + name);
    }
    for (const char* name :
         {"norm2.weight", "norm2.bias", "up.weight", "up.bias", "down.weight", "down.bias"}) {
      expected.push_back(block + name);
    }
  }
  expected.insert(expected.end(), {"norm.weight", "norm.bias"});
  const Made made(small_backbone(GetParam()));
  EXPECT_EQ(test::parameter_names(made.backbone), expected);
  EXPECT_EQ(test::parameter(made.backbone, "blocks.1.up.weight").shape(), (Shape{32, 16}));
  EXPECT_EQ(test::parameter(made.backbone, "positions.weight").shape(), (Shape{12, 16}));
}

// Each option that all kinds have, changed alone, with the same seed.
TEST_P(EveryBackbone, EverySharedOptionChangesTheOutput) {
  const Tensor plain = states(small_backbone(GetParam()));
  const auto differs = [&](const std::function<void(BackboneOptions&)>& change) {
    BackboneOptions options = small_backbone(GetParam());
    change(options);
    return largest_difference(states(options), plain) >= 1e-3;
  };
  EXPECT_TRUE(differs([](auto& o) { o.layers = 3; }));
  EXPECT_TRUE(differs([](auto& o) { o.mlp_ratio = 4; }));
  EXPECT_TRUE(differs([](auto& o) { o.embedding_deviation = 0.1; }));
  EXPECT_TRUE(differs([](auto& o) { o.dropout = 0.1; }));
  EXPECT_TRUE(differs([](auto& o) { o.positions = PositionKind::none; }));
  EXPECT_TRUE(differs([](auto& o) { o.positions = PositionKind::sinusoidal; }));
  BackboneOptions doubles = small_backbone(GetParam());
  doubles.dtype = DType::f64;
  EXPECT_EQ(states(doubles).dtype(), DType::f64);
}

TEST(Backbone, EveryAssociationOptionChangesTheOutput) {
  for (const char* kind : {"attention", "hopfield", "linear-attention"}) {
    BackboneOptions options = small_backbone(kind);
    options.positions = PositionKind::none;
    const Tensor blind = states(options);
    options.positions = PositionKind::rotary;
    EXPECT_TRUE(largest_difference(states(options), blind) >= 1e-3) << kind;
  }
  for (const char* kind : {"attention", "hopfield"}) {
    const Tensor plain = states(small_backbone(kind));
    const auto differs = [&](const std::function<void(BackboneOptions&)>& change) {
      BackboneOptions options = small_backbone(kind);
      change(options);
      return largest_difference(states(options), plain) >= 1e-3;
    };
    EXPECT_TRUE(differs([](auto& o) { o.heads = 4; })) << kind;
    EXPECT_TRUE(differs([](auto& o) { o.causal = false; })) << kind;
    EXPECT_TRUE(differs([](auto& o) { o.beta = 4.0; })) << kind;
    EXPECT_TRUE(differs([](auto& o) { o.update_steps = 3; })) << kind;
  }
  BackboneOptions linear = small_backbone("linear-attention");
  const Tensor plain = states(linear);
  linear.causal = false;
  EXPECT_TRUE(largest_difference(states(linear), plain) >= 1e-3);
  linear.causal = true;
  linear.heads = 4;
  EXPECT_TRUE(largest_difference(states(linear), plain) >= 1e-3);
}

// Attention is the Hopfield layer with a fixed inverse temperature, which is where a learned one
// starts.
TEST(Backbone, AttentionIsHopfieldBeforeItsBetaWasLearned) {
  // exp(log(1 / sqrt(8))) is 1 / sqrt(8) up to an f32 rounding, carried through two blocks.
  EXPECT_TRUE(largest_difference(states(small_backbone("attention")),
                                 states(small_backbone("hopfield"))) <= 1e-5);
  BackboneOptions fixed = small_backbone("hopfield");
  fixed.learned_beta = LearnedBeta::none;
  EXPECT_TRUE(same_bits(states(small_backbone("attention")), states(fixed)));
}

TEST(Backbone, TheAssociationOptionsAreTheDefaultsOfTheKindWithTheReplacements) {
  AssociationOptions expected;
  expected.causal = true;
  EXPECT_EQ(association_options(small_backbone("attention")), expected);
  expected.learned_beta = LearnedBeta::head;
  EXPECT_EQ(association_options(small_backbone("hopfield")), expected);

  BackboneOptions changed = small_backbone("hopfield");
  changed.beta = 2.5;
  changed.learned_beta = LearnedBeta::layer;
  changed.update_steps = 4;
  changed.causal = false;
  expected = {Separation::softmax, false, 2.5, LearnedBeta::layer, 4};
  EXPECT_EQ(association_options(changed), expected);

  expected = {};
  expected.causal = true;
  expected.separation = Separation::linear;
  EXPECT_EQ(association_options(small_backbone("linear-attention")), expected);
}

TEST(Backbone, AssociationOptionsAsAWholeReplaceThoseOfTheKind) {
  BackboneOptions options = small_backbone("hopfield");
  AssociationOptions wanted;
  wanted.separation = Separation::entmax;
  wanted.alpha = 1.2;
  wanted.window = 3;
  options.association = wanted;
  options.update_steps = 2;
  wanted.causal = true;
  wanted.update_steps = 2;
  EXPECT_EQ(association_options(options), wanted);
}

TEST(Backbone, TheReplacementsReachTheLayers) {
  BackboneOptions options = small_backbone("attention", DType::f64);
  options.learned_beta = LearnedBeta::layer;
  options.beta = 2.0;
  const Made made(options);
  for (const char* name : {"blocks.0.mix.log_beta", "blocks.1.mix.log_beta"}) {
    const Tensor log_beta = test::parameter(made.backbone, name).value();
    EXPECT_TRUE(largest_difference(log_beta, Tensor::full({1}, std::log(2.0), DType::f64)) <=
                1e-15);
  }
}

TEST(Backbone, Errors) {
  const auto changed = [](const char* kind, const std::function<void(BackboneOptions&)>& change) {
    return [kind, change] {
      BackboneOptions options = small_backbone(kind);
      change(options);
      Made made(options);
    };
  };
  for (const char* kind : {"rnn", "lstm", "gru"}) {
    const std::string quoted = "'" + std::string(kind) + "'";
    const std::vector<std::string> no_beta = {quoted, "no inverse temperature", "no update steps"};
    EXPECT_TRUE(refuses<Error>(changed(kind, [](auto& o) { o.beta = 1.0; }), no_beta));
    EXPECT_TRUE(refuses<Error>(changed(kind, [](auto& o) { o.learned_beta = LearnedBeta::head; }),
                               no_beta));
    EXPECT_TRUE(refuses<Error>(changed(kind, [](auto& o) { o.update_steps = 2; }), no_beta));
    EXPECT_TRUE(refuses<Error>(changed(kind, [](auto& o) { o.causal = false; }),
                               {quoted, "left to right", "non-causal"}));
    EXPECT_TRUE(refuses<Error>(changed(kind, [](auto& o) { o.positions = PositionKind::rotary; }),
                               {quoted, "rotary"}));
  }
  EXPECT_TRUE(refuses<Error>(changed("linear-attention", [](auto& o) { o.beta = 1.0; }),
                             {"linear-attention", "no inverse temperature"}));
  EXPECT_TRUE(refuses<Error>(changed("linear-attention", [](auto& o) { o.update_steps = 3; }),
                             {"linear-attention", "one update step; got 3"}));
  EXPECT_TRUE(refuses<Error>(changed("attention", [](auto& o) { o.update_steps = 0; }),
                             {"attention", "update_steps must be at least 1; got 0"}));
  EXPECT_TRUE(refuses<Error>(changed("hopfield", [](auto& o) { o.beta = -1.0; }),
                             {"hopfield", "beta must be", "-1"}));
  EXPECT_TRUE(
      refuses<Error>(changed("attention", [](auto& o) { o.heads = 3; }), {"width 16", "heads 3"}));
  EXPECT_TRUE(refuses<Error>(changed("attention", [](auto& o) { o.heads = 0; }), {"heads 0"}));
  EXPECT_TRUE(refuses<Error>(changed("rnn", [](auto& o) { o.embedding_deviation = 0; }),
                             {"embedding_deviation must be above 0, got 0"}));
  for (const double p : {1.0, -0.5}) {
    EXPECT_TRUE(
        refuses<Error>(changed("rnn", [p](auto& o) { o.dropout = p; }), {"[Dropout]", "[0, 1)"}));
  }
  for (const std::string& kind : all_backbones()) {
    for (const auto member :
         {&BackboneOptions::vocabulary, &BackboneOptions::width, &BackboneOptions::layers,
          &BackboneOptions::mlp_ratio, &BackboneOptions::max_length}) {
      EXPECT_TRUE(refuses<Error>(changed(kind.c_str(), [member](auto& o) { o.*member = 0; }),
                                 {"must all be positive", " 0"}))
          << kind;
    }
  }
}

TEST(Backbone, RefusesRecurrencesOfCudnnThatCannotBe) {
  BackboneOptions options = small_backbone("attention");
  options.recurrence = Recurrence::cudnn;
  EXPECT_TRUE(refuses<Error>([&] { Made made(options); }, {"'attention' has no recurrence"}));
  options.kind = "gru";
  options.dtype = DType::f32;
  options.precision = Precision::bf16;
  EXPECT_TRUE(refuses<Error>([&] { Made made(options); }, {"in f32 and tf32, not in bf16"}));
}

TEST(Backbone, RefusesTokensThatAreNotIdsInTwoDimensions) {
  const Made made(small_backbone("attention"));
  EXPECT_TRUE(refuses<Error>([&] { made.backbone.forward(Tensor::zeros({4}, DType::i64)); },
                             {"(B, L)", "(4)"}));
  EXPECT_TRUE(refuses<Error>(
      [&] {
        made.backbone.forward(Tensor::zeros({1, 4}, DType::f32));
      },
      {"f32"}));
  EXPECT_TRUE(refuses<Error>(
      [&] {
        made.backbone.forward(Tensor::full({1, 4}, 11, DType::i64));
      },
      {"position 0"}));
}

}  // namespace
}  // namespace basin::nn
