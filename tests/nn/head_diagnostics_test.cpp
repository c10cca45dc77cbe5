#include "nn/diagnostics/head_diagnostics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "nn/diagnostics/observer.h"
#include "nn/language_model.h"
#include "tensor/error.h"
#include "tests/support/association_variants.h"
#include "tests/support/expect_error.h"
#include "tests/support/same_bits.h"
#include "tests/support/small_models.h"

namespace basin::nn {
namespace {

using test::refuses;
using test::same_bits;

std::vector<HeadSummary> diagnosed(const LanguageModel& model, const std::vector<Tensor>& batches,
                                   const Tensor& rows = {}, const Tensor& sources = {}) {
  HeadDiagnostics diagnostics;
  for (const Tensor& tokens : batches) {
    diagnostics.observe([&] { (void)model.forward(tokens); }, rows, sources);
  }
  return diagnostics.summary();
}

class Diagnosed : public testing::TestWithParam<test::AssociationVariant> {};
std::vector<test::AssociationVariant> causal_mechanisms() {
  std::vector<test::AssociationVariant> causal;
  for (const test::AssociationVariant& variant : test::every_mechanism()) {
    if (variant.options.causal) {
      causal.push_back(variant);
    }
  }
  return causal;
}
INSTANTIATE_TEST_SUITE_P(Every, Diagnosed, testing::ValuesIn(causal_mechanisms()),
                         test::variant_name);

TEST_P(Diagnosed, EveryHeadOfEveryLayerIsSummedUp) {
  BackboneOptions options = test::small_backbone("attention");
  options.association = GetParam().options;
  LanguageModel model(options, 3);
  model.train(false);
  const Tensor tokens = test::random_tokens(3, 12, 11, 5);
  const std::vector<HeadSummary> heads = diagnosed(model, {tokens});
  ASSERT_EQ(heads.size(), 4u);  // two layers with two heads
  for (std::size_t n = 0; n < heads.size(); ++n) {
    const HeadSummary& head = heads[n];
    EXPECT_EQ(head.layer, static_cast<std::int64_t>(n / 2));
    EXPECT_EQ(head.head, static_cast<std::int64_t>(n % 2));
    EXPECT_EQ(head.rows + head.without_choice + head.empty, 36);
    ASSERT_TRUE(head.rows > 0);
    EXPECT_NEAR(head.regimes[0] + head.regimes[1] + head.regimes[2], 1.0, 1e-12);
    const FigureSummary& entropy = head[RowFigure::entropy];
    EXPECT_EQ(entropy.rows, head.rows);
    EXPECT_TRUE(entropy.mean >= 0 && entropy.mean <= std::log(12.0));
    EXPECT_TRUE(head.relative_entropy.quantiles.back() <= 1 + 1e-12);
    for (std::size_t q = 1; q < kQuantiles.size(); ++q) {
      EXPECT_TRUE(entropy.quantiles[q - 1] <= entropy.quantiles[q]);
    }
    EXPECT_EQ(head[RowFigure::source_weight].rows, 0);
    EXPECT_TRUE(std::isnan(head[RowFigure::source_weight].mean));
  }
}

// Two batches one after the other are one batch; looking on changes nothing.
TEST(HeadDiagnostics, BatchesAddUpAndAreNotDisturbed) {
  LanguageModel model(test::small_backbone("hopfield"), 3);
  model.train(false);
  const Tensor tokens = test::random_tokens(4, 12, 11, 5);
  const Tensor alone = model.forward(tokens).value();
  const std::vector<HeadSummary> whole = diagnosed(model, {tokens});
  const std::vector<HeadSummary> halves =
      diagnosed(model, {tokens.slice(0, 0, 2).contiguous(), tokens.slice(0, 2, 4).contiguous()});
  for (std::size_t n = 0; n < whole.size(); ++n) {
    EXPECT_EQ(whole[n].rows, 4 * 11);
    EXPECT_EQ(halves[n].rows, 4 * 11);
    EXPECT_EQ(whole[n].without_choice, 4);
    // f32 products of another batch may be rounded otherwise.
    EXPECT_NEAR(whole[n][RowFigure::entropy].mean, halves[n][RowFigure::entropy].mean, 1e-5);
  }
  Tensor observed;
  HeadDiagnostics diagnostics;
  diagnostics.observe([&] { observed = model.forward(tokens).value(); });
  EXPECT_TRUE(same_bits(alone, observed));
}

TEST(HeadDiagnostics, AFlatAndASharpModel) {
  const Tensor tokens = test::random_tokens(2, 12, 11, 5);
  for (const double beta : {1e-6, 1e6}) {
    BackboneOptions options = test::small_backbone("attention");
    options.beta = beta;
    LanguageModel model(options, 3);
    model.train(false);
    for (const HeadSummary& head : diagnosed(model, {tokens})) {
      EXPECT_NEAR(head.beta, beta, 1e-6 * beta);
      if (beta < 1) {
        EXPECT_EQ(head.share(Regime::global_average), 1.0);
        EXPECT_TRUE(head[RowFigure::temperature].quantiles[0] > 100);
        EXPECT_NEAR(head.relative_entropy.mean, 1.0, 1e-6);
      } else {
        EXPECT_TRUE(head.share(Regime::fixed_point) > 0.9);
        EXPECT_TRUE(head[RowFigure::entropy].mean < 0.05);
      }
    }
  }
}

TEST(HeadDiagnostics, OnlyTheRowsThatCountAreCounted) {
  LanguageModel model(test::small_backbone("attention"), 3);
  model.train(false);
  const Tensor tokens = test::random_tokens(2, 12, 11, 5);
  Tensor rows = Tensor::zeros({2, 12}, DType::u8);
  rows.slice(1, 8, 12).fill(1);
  Tensor sources = Tensor::full({2, 12}, -1, DType::i64);
  sources.slice(1, 10, 12).fill(3);
  for (const HeadSummary& head : diagnosed(model, {tokens}, rows, sources)) {
    EXPECT_EQ(head.rows, 8);
    EXPECT_EQ(head.without_choice, 0);
    EXPECT_EQ(head[RowFigure::keys].quantiles.front(), 9);
    EXPECT_EQ(head[RowFigure::source_weight].rows, 4);
    EXPECT_TRUE(head[RowFigure::source_weight].mean > 0 && head[RowFigure::source_weight].mean < 1);
  }
}

TEST(HeadDiagnostics, Errors) {
  const Tensor tokens = test::random_tokens(2, 12, 11, 5);
  LanguageModel rnn(test::small_backbone("rnn"), 1);
  EXPECT_TRUE(refuses<Error>([&] { diagnosed(rnn, {tokens}); }, {"no retrieval"}));
  LanguageModel two(test::small_backbone("attention"), 1);
  BackboneOptions options = test::small_backbone("attention");
  options.layers = 3;
  LanguageModel three(options, 1);
  options.layers = 1;
  LanguageModel one(options, 1);
  HeadDiagnostics diagnostics;
  diagnostics.observe([&] { (void)two.forward(tokens); });
  EXPECT_TRUE(refuses<Error>([&] { diagnostics.observe([&] { (void)three.forward(tokens); }); },
                             {"layer 2", "not in the first pass"}));
  EXPECT_TRUE(refuses<Error>([&] { diagnostics.observe([&] { (void)one.forward(tokens); }); },
                             {"1 layers after one with 2"}));
}

TEST(RetrievalObserver, TheInnermostIsToldAndThenTheOuterAgain) {
  LanguageModel model(test::small_backbone("attention"), 1);
  const Tensor tokens = test::random_tokens(1, 4, 11, 5);
  int outer = 0;
  int inner = 0;
  EXPECT_FALSE(is_observed());
  {
    const RetrievalObserver first([&](const RetrievalCall& call) {
      ++outer;
      EXPECT_EQ(call.inputs.q.shape(), (Shape{1, 2, 4, 8}));
      EXPECT_TRUE(call.inputs.options.causal);
    });
    (void)model.forward(tokens);
    {
      const RetrievalObserver second([&](const RetrievalCall&) { ++inner; });
      (void)model.forward(tokens);
    }
    (void)model.forward(tokens);
  }
  (void)model.forward(tokens);
  EXPECT_EQ(outer, 4);
  EXPECT_EQ(inner, 2);
  EXPECT_FALSE(is_observed());
}

}  // namespace
}  // namespace basin::nn
