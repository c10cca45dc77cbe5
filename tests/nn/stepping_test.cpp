// One token at a time gives what all tokens so far give at once, for every backbone and mechanism.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "nn/growing_rows.h"
#include "nn/language_model.h"
#include "nn/layers/association.h"
#include "tensor/error.h"
#include "tests/support/association_variants.h"
#include "tests/support/expect_error.h"
#include "tests/support/same_bits.h"
#include "tests/support/small_models.h"

namespace basin::nn {
namespace {

using test::largest_difference;
using test::random_tensor;
using test::random_tokens;
using test::refuses;
using test::small_backbone;

class SteppingBackbone : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Every, SteppingBackbone, testing::ValuesIn(test::all_backbones()),
                         test::test_name);

TEST_P(SteppingBackbone, GivesTheLogitsOfAllTokensSoFar) {
  for (const PositionKind positions : {PositionKind::none, PositionKind::learned,
                                       PositionKind::sinusoidal, PositionKind::rotary}) {
    BackboneOptions options = small_backbone(GetParam(), DType::f64);
    if (positions == PositionKind::rotary && !backbone_kind(GetParam()).is_association) {
      continue;
    }
    options.positions = positions;
    if (GetParam() == "topk-hopfield") {
      // A share of all positions so far was another one for earlier positions.
      options.association = backbone_kind(GetParam()).defaults;
      options.association->top_fraction = 0;
      options.association->top_k = 3;
    }
    LanguageModel model(options, 1);
    model.train(false);
    const Tensor tokens = random_tokens(2, 12, 11, 4);
    BackboneState state = model.begin();
    for (std::int64_t t = 0; t < 12; ++t) {
      const Tensor logits = model.step(tokens.slice(1, t, t + 1).contiguous(), state);
      const Tensor whole = model.forward(tokens.slice(1, 0, t + 1).contiguous()).value();
      EXPECT_TRUE(largest_difference(logits, whole.select(1, t)) <= 1e-11)
          << name_of(positions) << " position " << t;
    }
    if (positions == PositionKind::learned) {
      EXPECT_TRUE(
          refuses<Error>([&] { (void)model.step(tokens.slice(1, 0, 1).contiguous(), state); },
                         {"13", "12 positions"}));
    }
  }
}

TEST(Stepping, IsForEvaluationOfCausalModels) {
  const Tensor tokens = random_tokens(2, 1, 11, 4);
  LanguageModel model(small_backbone("attention"), 1);
  BackboneState state = model.begin();
  EXPECT_TRUE(refuses<Error>([&] { (void)model.step(tokens, state); }, {"in evaluation"}));
  model.train(false);
  EXPECT_TRUE(refuses<Error>([&] { (void)model.step(random_tokens(2, 3, 11, 4), state); },
                             {"(B, 1)", "(2, 3)"}));
  BackboneOptions blind = small_backbone("attention");
  blind.causal = false;
  LanguageModel sees_all(blind, 1);
  sees_all.train(false);
  state = sees_all.begin();
  EXPECT_TRUE(refuses<Error>([&] { (void)sees_all.step(tokens, state); }, {"causal"}));
}

class SteppingMechanism : public testing::TestWithParam<test::AssociationVariant> {};
INSTANTIATE_TEST_SUITE_P(Every, SteppingMechanism, testing::ValuesIn(test::every_mechanism()),
                         test::variant_name);

TEST_P(SteppingMechanism, GivesWhatAllPositionsSoFarGive) {
  const AssociationOptions& o = GetParam().options;
  if (!o.causal || o.random_keep < 1.0) {
    return;  // refused
  }
  Rng rng(1);
  Association layer(16, 2, o, rng, DType::f64, GetParam().rotary);
  layer.train(false);
  const Variable x(random_tensor({2, 40, 16}, 2));
  RetrievalState state;
  for (std::int64_t t = 0; t < 40; ++t) {
    const Variable y = layer.step(Variable(x.value().slice(1, t, t + 1).contiguous()), state);
    // The share of top_fraction is one of the positions so far.
    const Variable before(x.value().slice(1, 0, t + 1).contiguous());
    const Tensor whole = layer.forward(before, before, before).value();
    ASSERT_TRUE(largest_difference(y.value(), whole.slice(1, t, t + 1).contiguous()) <= 1e-10)
        << "position " << t;
  }
  if (is_kernelised(o.separation)) {
    EXPECT_EQ(state.keys.size(), 0) << "a state of fixed size keeps no keys";
    EXPECT_EQ(state.matrix.size(3), 8);
  } else {
    EXPECT_EQ(state.keys.size(), 40);
  }
}

TEST(GrowingRows, KeepsWhatWasAppended) {
  GrowingRows rows(1);
  EXPECT_FALSE(rows.rows().defined());
  const Tensor x = random_tensor({2, 9, 3}, 1);
  for (const auto& [first, end] : {std::pair{0, 1}, {1, 2}, {2, 6}, {6, 9}}) {
    rows.append(x.slice(1, first, end));
    EXPECT_EQ(rows.size(), end);
    EXPECT_TRUE(test::same_bits(rows.rows(), x.slice(1, 0, end)));
  }
}

}  // namespace
}  // namespace basin::nn
