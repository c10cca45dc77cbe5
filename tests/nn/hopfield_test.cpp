// Hopfield, HopfieldPooling and HopfieldLayer: every option, gradients, and retrieval.
#include "nn/layers/hopfield.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "autograd/operations.h"
#include "nn/layers/association.h"
#include "tensor/error.h"
#include "tests/support/expect_error.h"
#include "tests/support/module_gradcheck.h"
#include "tests/support/same_bits.h"
#include "tests/support/small_models.h"

namespace basin::nn {
namespace {

using test::gradients_agree;
using test::largest_difference;
using test::parameter;
using test::random_tensor;
using test::refuses;
using test::same_bits;

using Change = std::function<void(HopfieldOptions&)>;

HopfieldOptions small(const Change& change = {}) {
  HopfieldOptions options;
  options.query_width = options.stored_width = options.value_width = 6;
  options.heads = 2;
  if (change) {
    change(options);
  }
  return options;
}

Tensor output(const Change& change = {}) {
  Rng rng(1);
  const Hopfield layer(small(change), rng, DType::f64);
  return layer
      .forward(Variable(random_tensor({2, 3, 6}, 2)), Variable(random_tensor({2, 5, 6}, 3)),
               Variable(random_tensor({2, 5, 6}, 4)))
      .value();
}

// With all projections and no norms it is Association.
TEST(Hopfield, IsAssociationUnlessToldOtherwise) {
  const Variable q(random_tensor({2, 3, 6}, 2));
  const Variable k(random_tensor({2, 5, 6}, 3));
  const Variable v(random_tensor({2, 5, 6}, 4));
  for (const Separation separation :
       {Separation::softmax, Separation::sparsemax, Separation::linear}) {
    AssociationOptions options;
    options.separation = separation;
    Rng first(1);
    Rng second(1);
    const Association association(6, 2, options, first, DType::f64);
    const Hopfield hopfield(small([&](auto& o) { o.association = options; }), second, DType::f64);
    EXPECT_TRUE(same_bits(hopfield.forward(q, k, v).value(), association.forward(q, k, v).value()));
    EXPECT_EQ(test::parameter_names(hopfield), test::parameter_names(association));
  }
}

TEST(Hopfield, EveryOptionChangesTheOutput) {
  const Tensor plain = output();
  const std::pair<const char*, Change> changes[] = {
      {"heads", [](auto& o) { o.heads = 3; }},
      {"project_query", [](auto& o) { o.project_query = false; }},
      {"project_stored", [](auto& o) { o.project_stored = false; }},
      {"project_values", [](auto& o) { o.project_values = false; }},
      {"project_output", [](auto& o) { o.project_output = false; }},
      {"norm_query", [](auto& o) { o.norm_query = true; }},
      {"norm_stored", [](auto& o) { o.norm_stored = true; }},
      {"norm_values", [](auto& o) { o.norm_values = true; }},
      {"unit", [](auto& o) { o.pattern_norm = PatternNorm::unit; }},
      {"layer", [](auto& o) { o.pattern_norm = PatternNorm::layer; }},
      {"head_width", [](auto& o) { o.head_width = 5; }},
      {"value_head_width", [](auto& o) { o.value_head_width = 5; }},
      {"association", [](auto& o) { o.association.separation = Separation::sparsemax; }}};
  for (const auto& [name, change] : changes) {
    EXPECT_TRUE(largest_difference(output(change), plain) >= 1e-4) << name;
  }
  // A layer norm begins as a standardisation; what tells them apart are its parameters.
  EXPECT_TRUE(largest_difference(
                  output([](auto& o) { o.pattern_norm = PatternNorm::standardised; }), plain) >=
              1e-4);
  EXPECT_EQ(output([](auto& o) { o.output_width = 9; }).shape(), (Shape{2, 3, 9}));
}

TEST(Hopfield, Gradients) {
  const std::pair<const char*, Change> changes[] = {
      {"plain", [](auto&) {}},
      {"raw patterns",
       [](auto& o) { o.project_query = o.project_stored = o.project_values = false; }},
      {"norms",
       [](auto& o) {
         o.norm_query = o.norm_stored = o.norm_values = true;
         o.pattern_norm = PatternNorm::layer;
       }},
      {"unit patterns", [](auto& o) { o.pattern_norm = PatternNorm::unit; }},
      {"standardised patterns", [](auto& o) { o.pattern_norm = PatternNorm::standardised; }},
      {"learned numbers",
       [](auto& o) {
         o.association.learned_beta = LearnedBeta::head;
         o.association.separation = Separation::entmax;
         o.association.learned_alpha = true;
         o.association.update_steps = 2;
         o.project_output = false;
       }},
      {"widths", [](auto& o) {
         o.head_width = 4;
         o.value_head_width = 2;
         o.output_width = 5;
       }}};
  for (const auto& [name, change] : changes) {
    Rng rng(1);
    Hopfield layer(small(change), rng, DType::f64);
    EXPECT_TRUE(gradients_agree(
        layer, [&](const std::vector<Variable>& in) { return layer.forward(in[0], in[1], in[2]); },
        {random_tensor({2, 3, 6}, 2), random_tensor({2, 4, 6}, 3), random_tensor({2, 4, 6}, 4)}))
        << name;
  }
}

TEST(Hopfield, LengthsAndMasksHideTheSame) {
  Rng rng(1);
  const Hopfield layer(small(), rng, DType::f64);
  const Variable q(random_tensor({2, 3, 6}, 2));
  const Variable k(random_tensor({2, 5, 6}, 3));
  const Tensor lengths = Tensor::from<std::int64_t>({2}, std::vector<std::int64_t>{5, 2});
  Tensor mask = Tensor::full({2, 1, 3, 5}, 1, DType::u8);
  mask.select(0, 1).slice(2, 2, 5).fill(0);
  EXPECT_TRUE(largest_difference(layer.forward(q, k, k, lengths).value(),
                                 layer.forward(q, k, k, {}, mask).value()) <= 1e-14);
}

// A state of three quarters of a pattern is completed: retrieval without learning.
TEST(HopfieldLayer, FixedPatternsAreRetrieved) {
  const Tensor patterns = random_tensor({20, 64}, 5);
  HopfieldOptions options;
  options.project_query = options.project_stored = options.project_values = options.project_output =
      false;
  options.association.beta = 1.0;
  options.association.separation = Separation::sparsemax;
  options.association.update_steps = 3;
  Rng rng(1);
  const HopfieldLayer layer(patterns, patterns, options, rng);
  EXPECT_EQ(layer.parameter_count(), 0);
  Tensor states = patterns.clone().reshape({1, 20, 64});
  states.slice(2, 48, 64).fill(0.0);
  EXPECT_TRUE(same_bits(layer.forward(Variable(states)).value().reshape({20, 64}), patterns))
      << "to the bit: sparsemax gives the winner a weight of exactly 1";
}

TEST(HopfieldLayer, LearnsALookUpTable) {
  HopfieldOptions options = small([](auto& o) { o.output_width = 4; });
  Rng rng(1);
  HopfieldLayer layer(3, options, rng, DType::f64);
  EXPECT_EQ(parameter(layer, "stored").shape(), (Shape{3, 6}));
  EXPECT_TRUE(gradients_agree(layer,
                              [&](const std::vector<Variable>& in) { return layer.forward(in[0]); },
                              {random_tensor({2, 5, 6}, 2)}));
}

TEST(HopfieldPooling, PoolsAnyNumberOfPatterns) {
  HopfieldOptions options = small([](auto& o) {
    o.head_width = 4;
    o.association.learned_beta = LearnedBeta::head;
  });
  Rng rng(1);
  HopfieldPooling layer(3, options, rng, DType::f64);
  EXPECT_EQ(parameter(layer, "state").shape(), (Shape{3, 8}));
  for (const std::int64_t rows : {1, 4, 9}) {
    EXPECT_EQ(layer.forward(Variable(random_tensor({2, rows, 6}, 2))).shape(), (Shape{2, 3, 6}));
  }
  const Tensor lengths = Tensor::from<std::int64_t>({2}, std::vector<std::int64_t>{4, 2});
  EXPECT_TRUE(gradients_agree(
      layer, [&](const std::vector<Variable>& in) { return layer.forward(in[0], lengths); },
      {random_tensor({2, 4, 6}, 3)}));
  // The order of what is pooled does not matter.
  const Tensor x = random_tensor({1, 2, 6}, 4);
  Tensor swapped = x.clone();
  swapped.select(1, 0).copy_from(x.select(1, 1));
  swapped.select(1, 1).copy_from(x.select(1, 0));
  EXPECT_TRUE(largest_difference(layer.forward(Variable(x)).value(),
                                 layer.forward(Variable(swapped)).value()) <= 1e-14);
}

TEST(Hopfield, RefusesWhatDoesNotFit) {
  Rng rng(1);
  const auto make = [&](const Change& change) {
    return [&rng, change] { Hopfield(small(change), rng, DType::f32); };
  };
  EXPECT_TRUE(refuses<Error>(make([](auto& o) { o.heads = 4; }), {"set head_width", "4 heads"}));
  EXPECT_TRUE(refuses<Error>(make([](auto& o) { o.heads = 0; }), {"positive"}));
  EXPECT_TRUE(refuses<Error>(make([](auto& o) {
                               o.project_query = false;
                               o.head_width = 4;
                             }),
                             {"query width must be 8", "is 6"}));
  EXPECT_TRUE(refuses<Error>(make([](auto& o) {
                               o.project_output = false;
                               o.output_width = 9;
                             }),
                             {"output width is 6", "9"}));
  EXPECT_TRUE(refuses<Error>(make([](auto& o) { o.association.window = -7; }), {"window"}));
  EXPECT_TRUE(refuses<Error>(
      [&] {
        HopfieldPooling(2, small([](auto& o) { o.association.causal = true; }), rng, DType::f32);
      },
      {"learned queries stand nowhere"}));
  EXPECT_TRUE(
      refuses<Error>([&] { HopfieldPooling(0, small(), rng, DType::f32); }, {"num_patterns", "0"}));
  EXPECT_TRUE(
      refuses<Error>([&] { HopfieldLayer(0, small(), rng, DType::f32); }, {"num_patterns", "0"}));
  EXPECT_TRUE(refuses<Error>(
      [&] {
        HopfieldLayer(Tensor::zeros({3, 6}, DType::f32), Tensor::zeros({4, 6}, DType::f32), small(),
                      rng);
      },
      {"(M, 6)", "(4, 6)"}));
  const Hopfield layer(small(), rng, DType::f32);
  EXPECT_TRUE(refuses<Error>(
      [&] {
        const Variable x(Tensor::zeros({2, 3, 5}, DType::f32));
        (void)layer.forward(x, x, x);
      },
      {"query", "(B, rows, 6)", "(2, 3, 5)"}));
}

}  // namespace
}  // namespace basin::nn
