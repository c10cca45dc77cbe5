// What the Association layer computes: against its definition in loops, and option by option.
#include "nn/layers/association.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "autograd/operations.h"
#include "tensor/error.h"
#include "tensor/functions/retrieval.h"
#include "tests/support/association_variants.h"
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

constexpr std::int64_t kWidth = 8;
constexpr std::int64_t kHeads = 2;

Association make(const AssociationOptions& options, bool rotary = false, DType dtype = DType::f64) {
  Rng rng(1);
  return Association(kWidth, kHeads, options, rng, dtype, rotary);
}

AssociationOptions with(const auto& change) {
  AssociationOptions options;
  change(options);
  return options;
}

// Learned inverse temperatures start equal; tests that must tell heads apart set them apart.
void spread_beta(Association& layer) {
  if (layer.options().learned_beta == LearnedBeta::head) {
    parameter(layer, "log_beta")
        .mutable_value()
        .copy_from(Tensor::from<double>({kHeads}, std::vector<double>{-0.4, 0.9}));
  }
}

Tensor lengths(const std::vector<std::int64_t>& values) {
  return Tensor::from<std::int64_t>({static_cast<std::int64_t>(values.size())}, values);
}

// Plain loops over a (rows, columns) matrix in a vector.
struct Matrix {
  std::size_t rows, columns;
  std::vector<double> data;
  Matrix(std::size_t r, std::size_t c) : rows(r), columns(c), data(r * c, 0.0) {}
  double& at(std::size_t r, std::size_t c) { return data[r * columns + c]; }
  double at(std::size_t r, std::size_t c) const { return data[r * columns + c]; }
};

Matrix project(const Association& layer, const std::string& name, const Matrix& x) {
  const std::vector<double> w = parameter(layer, name + ".weight").value().to_vector<double>();
  const std::vector<double> b = parameter(layer, name + ".bias").value().to_vector<double>();
  Matrix y(x.rows, b.size());
  for (std::size_t r = 0; r < x.rows; ++r) {
    for (std::size_t c = 0; c < b.size(); ++c) {
      y.at(r, c) = b[c];
      for (std::size_t n = 0; n < x.columns; ++n) {
        y.at(r, c) += w[c * x.columns + n] * x.at(r, n);
      }
    }
  }
  return y;
}

// The columns of one head.
Matrix head_of(const Matrix& x, std::size_t h, std::size_t width) {
  Matrix y(x.rows, width);
  for (std::size_t r = 0; r < x.rows; ++r) {
    for (std::size_t c = 0; c < width; ++c) {
      y.at(r, c) = x.at(r, h * width + c);
    }
  }
  return y;
}

// Row t with each pair of columns 2c and 2c + 1 turned by t / 10000^(2c / width).
Matrix turned(const Matrix& x) {
  Matrix y = x;
  for (std::size_t t = 0; t < x.rows; ++t) {
    for (std::size_t c = 0; c + 1 < x.columns; c += 2) {
      const double angle =
          static_cast<double>(t) *
          std::pow(10000.0, -static_cast<double>(c) / static_cast<double>(x.columns));
      y.at(t, c) = std::cos(angle) * x.at(t, c) - std::sin(angle) * x.at(t, c + 1);
      y.at(t, c + 1) = std::sin(angle) * x.at(t, c) + std::cos(angle) * x.at(t, c + 1);
    }
  }
  return y;
}

// One retrieval step: weights of the visible keys, then their sum of `read`.
Matrix retrieve(const Matrix& state, const Matrix& k, const Matrix& read, double beta,
                const AssociationOptions& o, std::int64_t visible_keys) {
  const auto phi = [](double x) { return x > 0 ? x + 1 : std::exp(x); };
  Matrix out(state.rows, read.columns);
  const auto queries = static_cast<std::int64_t>(state.rows);
  const auto keys = static_cast<std::int64_t>(k.rows);
  for (std::int64_t i = 0; i < queries; ++i) {
    std::vector<std::size_t> seen;
    std::vector<double> weight;
    double total = 0;
    for (std::int64_t j = 0; j < keys; ++j) {
      if (j >= visible_keys || (o.causal && j - (i + keys - queries) > 0)) {
        continue;
      }
      double w = 0;
      for (std::size_t c = 0; c < k.columns; ++c) {
        const double q = state.at(static_cast<std::size_t>(i), c);
        const double key = k.at(static_cast<std::size_t>(j), c);
        w += o.separation == Separation::linear ? phi(q) * phi(key) : beta * q * key;
      }
      // Small numbers: the exponential needs no shift.
      w = o.separation == Separation::linear ? w : std::exp(w);
      seen.push_back(static_cast<std::size_t>(j));
      weight.push_back(w);
      total += w;
    }
    total += o.separation == Separation::linear ? 1e-6 : 0.0;
    for (std::size_t n = 0; n < seen.size(); ++n) {
      for (std::size_t c = 0; c < read.columns; ++c) {
        out.at(static_cast<std::size_t>(i), c) += weight[n] / total * read.at(seen[n], c);
      }
    }
  }
  return out;
}

Tensor naive(const Association& layer, bool rotary, const Tensor& query, const Tensor& stored,
             const Tensor& values, const std::vector<std::int64_t>& key_lengths) {
  const AssociationOptions& o = layer.options();
  const auto width = static_cast<std::size_t>(kWidth / kHeads);
  std::vector<double> beta(static_cast<std::size_t>(kHeads),
                           o.beta == 0.0 ? 1.0 / std::sqrt(static_cast<double>(width)) : o.beta);
  if (o.learned_beta != LearnedBeta::none) {
    const std::vector<double> logs = parameter(layer, "log_beta").value().to_vector<double>();
    for (std::size_t h = 0; h < beta.size(); ++h) {
      beta[h] = std::exp(logs[o.learned_beta == LearnedBeta::head ? h : 0]);
    }
  }
  const auto sample = [](const Tensor& x, std::int64_t b) {
    Matrix m(static_cast<std::size_t>(x.size(1)), static_cast<std::size_t>(x.size(2)));
    m.data = x.select(0, b).to_vector<double>();
    return m;
  };
  std::vector<double> all;
  for (std::int64_t b = 0; b < query.size(0); ++b) {
    const Matrix q = project(layer, "query", sample(query, b));
    const Matrix k = project(layer, "key", sample(stored, b));
    const Matrix v = project(layer, "value", sample(values, b));
    const std::int64_t visible =
        key_lengths.empty() ? stored.size(1) : key_lengths[static_cast<std::size_t>(b)];
    Matrix joined(q.rows, q.columns);
    for (std::size_t h = 0; h < beta.size(); ++h) {
      Matrix state = rotary ? turned(head_of(q, h, width)) : head_of(q, h, width);
      const Matrix keys = rotary ? turned(head_of(k, h, width)) : head_of(k, h, width);
      for (std::int64_t t = 1; t < o.update_steps; ++t) {
        state = retrieve(state, keys, keys, beta[h], o, visible);
      }
      const Matrix out = retrieve(state, keys, head_of(v, h, width), beta[h], o, visible);
      for (std::size_t r = 0; r < out.rows; ++r) {
        for (std::size_t c = 0; c < width; ++c) {
          joined.at(r, h * width + c) = out.at(r, c);
        }
      }
    }
    const Matrix y = project(layer, "out", joined);
    all.insert(all.end(), y.data.begin(), y.data.end());
  }
  return Tensor::from<double>(query.shape(), all);
}

class AssociationVariants : public testing::TestWithParam<test::AssociationVariant> {};
INSTANTIATE_TEST_SUITE_P(Every, AssociationVariants,
                         testing::ValuesIn(test::association_variants()), test::variant_name);

TEST_P(AssociationVariants, FollowsItsDefinition) {
  Association layer = make(GetParam().options, GetParam().rotary);
  spread_beta(layer);
  const Tensor query = random_tensor({3, 5, kWidth}, 2);
  for (const std::int64_t keys : {std::int64_t{5}, std::int64_t{8}, std::int64_t{3}}) {
    if (GetParam().rotary && keys != query.size(1)) {
      continue;  // positions are those of one sequence
    }
    const Tensor stored = random_tensor({3, keys, kWidth}, 3);
    const Tensor values = random_tensor({3, keys, kWidth}, 4);
    for (const std::vector<std::int64_t>& padding :
         {std::vector<std::int64_t>{}, {keys, 2, 1}, {0, keys, 3}}) {
      const Tensor y = layer
                           .forward(Variable(query), Variable(stored), Variable(values),
                                    padding.empty() ? Tensor() : lengths(padding))
                           .value();
      // Sums of at most eight terms of size 1 and their exponentials, in double.
      EXPECT_TRUE(largest_difference(
                      y, naive(layer, GetParam().rotary, query, stored, values, padding)) <= 1e-12)
          << keys << " keys, " << padding.size() << " lengths";
    }
  }
}

// Too many for loops on paper: what they compute is tested at the kernels.
class AssociationMechanisms : public testing::TestWithParam<test::AssociationVariant> {};
INSTANTIATE_TEST_SUITE_P(Every, AssociationMechanisms, testing::ValuesIn(test::every_mechanism()),
                         test::variant_name);

TEST_P(AssociationMechanisms, Gradients) {
  Association layer = make(GetParam().options, GetParam().rotary);
  spread_beta(layer);
  const Tensor padding = lengths({4, 2});
  for (const Tensor& key_lengths : {Tensor(), padding}) {
    EXPECT_TRUE(gradients_agree(layer,
                                [&](const std::vector<Variable>& in) {
                                  return layer.forward(in[0], in[1], in[2], key_lengths);
                                },
                                {random_tensor({2, 3, kWidth}, 5), random_tensor({2, 4, kWidth}, 6),
                                 random_tensor({2, 4, kWidth}, 7)}));
  }
  // A quotient of powers of scores near 0 is too steep for differences.
  if (GetParam().options.separation == Separation::polynomial) {
    return;
  }
  // One tensor in all three places, as in self-attention.
  EXPECT_TRUE(gradients_agree(
      layer,
      [&](const std::vector<Variable>& in) { return layer.forward(in[0], in[0], in[0], padding); },
      {random_tensor({2, 4, kWidth}, 8)}));
}

TEST_P(AssociationMechanisms, TwoCallsGiveTheSameBits) {
  const Association layer = make(GetParam().options, GetParam().rotary, DType::f32);
  const Variable x(random_tensor({2, 40, kWidth}, 9, DType::f32));
  EXPECT_TRUE(same_bits(layer.forward(x, x, x).value(), layer.forward(x, x, x).value()));
}

// What training draws, and what evaluation does with it.
TEST(Association, RandomMasksAndDroppedWeights) {
  const Variable x(random_tensor({2, 12, kWidth}, 9, DType::f32));
  const auto outputs = [&](const auto& change) {
    AssociationOptions options;
    change(options);
    Rng rng(1);
    Rng draws(2);
    Association layer(kWidth, kHeads, options, rng, DType::f32, false, &draws);
    const auto output = [&] { return layer.forward(x, x, x).value(); };
    std::vector<Tensor> all = {output(), output()};
    layer.train(false);
    all.push_back(output());
    all.push_back(output());
    return all;  // twice in training, twice in evaluation
  };
  const std::vector<Tensor> plain = outputs([](AssociationOptions&) {});
  for (const MaskDraw draw : {MaskDraw::call, MaskDraw::fixed, MaskDraw::training}) {
    const std::vector<Tensor> y = outputs([&](AssociationOptions& o) {
      o.random_keep = 0.5;
      o.random_draw = draw;
    });
    EXPECT_EQ(same_bits(y[0], y[1]), draw == MaskDraw::fixed) << name_of(draw);
    EXPECT_TRUE(same_bits(y[2], y[3])) << name_of(draw);
    EXPECT_EQ(same_bits(y[0], y[2]), draw == MaskDraw::fixed) << name_of(draw);
  }
  const std::vector<Tensor> dropped =
      outputs([](AssociationOptions& o) { o.weight_dropout = 0.5; });
  EXPECT_FALSE(same_bits(dropped[0], dropped[1]));
  EXPECT_TRUE(same_bits(dropped[2], plain[2])) << "evaluation drops nothing";
  Rng rng(1);
  AssociationOptions random;
  random.random_keep = 0.5;
  EXPECT_TRUE(refuses<Error>([&] { Association(kWidth, kHeads, random, rng, DType::f32); },
                             {"need an Rng to draw from"}));
}

// A mask of `training` is none in evaluation.
TEST(Association, AMaskOfTrainingIsNoneInEvaluation) {
  const Variable x(random_tensor({2, 12, kWidth}, 9, DType::f64));
  AssociationOptions options;
  options.random_keep = 0.5;
  options.random_grain = MaskGrain::block;
  options.random_draw = MaskDraw::training;
  Rng draws(2);
  Rng first(1);
  Association masked(kWidth, kHeads, options, first, DType::f64, false, &draws);
  Rng second(1);
  (void)second.next_stream();  // the key of a fixed mask
  Association plain(kWidth, kHeads, {}, second, DType::f64);
  masked.train(false);
  EXPECT_TRUE(same_bits(masked.forward(x, x, x).value(), plain.forward(x, x, x).value()));
}

// Drawn anew after so many calls of training, frozen in evaluation.
TEST(Association, RandomFeaturesAreRedrawnInTrainingAlone) {
  const Variable x(random_tensor({2, 12, kWidth}, 9, DType::f32));
  AssociationOptions options;
  options.separation = Separation::random_features;
  options.redraw_every = 3;
  Rng rng(1);
  Rng draws(2);
  Association layer(kWidth, kHeads, options, rng, DType::f32, false, &draws);
  ASSERT_EQ(layer.buffers().size(), 2u);
  EXPECT_EQ(layer.buffers()[0].name, "projection");
  std::vector<Tensor> y;
  for (int call = 0; call < 8; ++call) {
    y.push_back(layer.forward(x, x, x).value());
    layer.train(false);
    EXPECT_TRUE(same_bits(layer.forward(x, x, x).value(), y.back())) << "evaluation drew " << call;
    layer.train(true);
  }
  for (std::size_t call = 1; call < y.size(); ++call) {
    EXPECT_EQ(same_bits(y[call], y[call - 1]), call % 3 != 0) << call;
  }
  // The same call once more, as recomputation does it: the features stay.
  const std::uint64_t position = draws.position();
  const Tensor first = layer.forward(x, x, x).value();  // call 8
  draws.set_position(position);
  EXPECT_TRUE(same_bits(layer.forward(x, x, x).value(), first));
  EXPECT_FALSE(same_bits(layer.forward(x, x, x).value(), first)) << "call 9 draws";
}

TEST(Association, LearnsTheExponentOfEntmax) {
  AssociationOptions options = with([](auto& o) {
    o.separation = Separation::entmax;
    o.learned_alpha = true;
    o.alpha = 1.3;
  });
  const Association layer = make(options);
  const Variable x(random_tensor({2, 5, kWidth}, 2));
  layer.forward(x, x, x).backward(random_tensor({2, 5, kWidth}, 3));
  for (const double slope : parameter(layer, "alpha_logit").grad().to_vector<double>()) {
    EXPECT_TRUE(std::abs(slope) >= 1e-5) << slope;
  }
  // However far it is pushed, alpha stays in [1.01, 2].
  for (const double logit : {-1e3, 1e3}) {
    parameter(layer, "alpha_logit").mutable_value().fill(logit);
    EXPECT_TRUE(
        largest_difference(layer.forward(x, x, x).value(), layer.forward(x, x, x).value()) <= 0.0);
  }
}

// Steps are reported per query, the read-out included.
TEST(Association, ReportsTheStepsOfEachQuery) {
  const Variable x(random_tensor({2, 6, kWidth}, 2));
  Tensor steps;
  const auto run = [&](const AssociationOptions& options) {
    (void)make(options).forward(x, x, x, {}, &steps);
    EXPECT_EQ(steps.shape(), (Shape{2, kHeads, 6}));
    return steps.to_vector<std::int64_t>();
  };
  for (const std::int64_t taken : run(with([](auto& o) { o.update_steps = 3; }))) {
    EXPECT_EQ(taken, 3);
  }
  const std::vector<std::int64_t> settled = run(with([](auto& o) {
    o.update_steps = 1000;
    o.tolerance = 1e-3;
  }));
  double sum = 0;
  std::int64_t most = 0;
  for (std::size_t n = 0; n < settled.size(); ++n) {
    EXPECT_TRUE(settled[n] >= 2 && settled[n] < 1000) << settled[n];
    if (n / 6 % 2 == 1) {  // (B, H, L): the second head
      sum += static_cast<double>(settled[n]);
      most = std::max(most, settled[n]);
    }
  }
  const StepReport report = report_steps(steps);
  EXPECT_EQ(report.most.size(), 2u);
  EXPECT_EQ(report.most[1], most);
  EXPECT_EQ(report.mean[1], sum / 12);
}

TEST(Association, ParametersByName) {
  const std::vector<std::string> projections = {"query.weight", "query.bias",   "key.weight",
                                                "key.bias",     "value.weight", "value.bias",
                                                "out.weight",   "out.bias"};
  EXPECT_EQ(test::parameter_names(make({})), projections);
  std::vector<std::string> learned = projections;
  learned.insert(learned.begin(), "log_beta");
  const Association per_head = make(with([](auto& o) { o.learned_beta = LearnedBeta::head; }));
  const Association per_layer = make(with([](auto& o) { o.learned_beta = LearnedBeta::layer; }));
  EXPECT_EQ(test::parameter_names(per_head), learned);
  EXPECT_EQ(test::parameter_names(per_layer), learned);
  EXPECT_EQ(parameter(per_head, "log_beta").shape(), (Shape{kHeads}));
  EXPECT_EQ(parameter(per_layer, "log_beta").shape(), (Shape{1}));
}

TEST(Association, BetaIsOneOverTheRootOfTheHeadWidthUnlessGiven) {
  for (const LearnedBeta learned : {LearnedBeta::none, LearnedBeta::layer, LearnedBeta::head}) {
    AssociationOptions options;
    options.learned_beta = learned;
    Rng rng(1);
    const Association layer(32, 2, options, rng, DType::f64);
    // 1 / sqrt(16), through a logarithm and back where it is learned.
    EXPECT_TRUE(largest_difference(layer.beta().value(), Tensor::full({2}, 0.25, DType::f64)) <=
                1e-15);
    options.beta = 3.0;
    const Association given(32, 2, options, rng, DType::f64);
    EXPECT_TRUE(largest_difference(given.beta().value(), Tensor::full({2}, 3.0, DType::f64)) <=
                1e-14);
  }
}

TEST(Association, LearnedBetaOfTheLayerIsLearnedBetaOfTheHeadsWithEqualValues) {
  const Association per_layer = make(with([](auto& o) { o.learned_beta = LearnedBeta::layer; }));
  const Association per_head = make(with([](auto& o) { o.learned_beta = LearnedBeta::head; }));
  parameter(per_layer, "log_beta").mutable_value().fill(0.3);
  parameter(per_head, "log_beta").mutable_value().fill(0.3);
  const Variable x(random_tensor({2, 5, kWidth}, 2));
  const Variable a = per_layer.forward(x, x, x);
  const Variable b = per_head.forward(x, x, x);
  EXPECT_TRUE(same_bits(a.value(), b.value()));
  const Tensor seed = random_tensor(a.shape(), 3);
  a.backward(seed);
  b.backward(seed);
  // What the layer's number receives is the sum over the heads.
  const double total = sum(Variable(parameter(per_head, "log_beta").grad())).value().item();
  EXPECT_TRUE(std::abs(parameter(per_layer, "log_beta").grad().item() - total) <=
              1e-14 * (1 + std::abs(total)));
}

// With the output projection out of the way, channel h * width ... of the result belongs to head h.
TEST(Association, TheBetaOfAHeadChangesThatHeadAlone) {
  const Association layer = make(with([](auto& o) { o.learned_beta = LearnedBeta::head; }));
  Tensor& out = parameter(layer, "out.weight").mutable_value();
  out.fill(0.0);
  for (std::int64_t n = 0; n < kWidth; ++n) {
    out.mutable_data<double>()[n * kWidth + n] = 1.0;
  }
  const Variable x(random_tensor({2, 5, kWidth}, 2));
  const Tensor before = layer.forward(x, x, x).value();
  parameter(layer, "log_beta").mutable_value().mutable_data<double>()[1] += 1.0;
  const Tensor after = layer.forward(x, x, x).value();
  const std::int64_t half = kWidth / kHeads;
  EXPECT_TRUE(same_bits(before.slice(2, 0, half), after.slice(2, 0, half)));
  EXPECT_TRUE(largest_difference(before.slice(2, half, kWidth), after.slice(2, half, kWidth)) >=
              1e-3);
}

// Same weights, one option changed at a time: the output must notice.
TEST(Association, EveryOptionChangesTheOutput) {
  const Variable x(random_tensor({2, 5, kWidth}, 2));
  const auto output = [&](const AssociationOptions& options) {
    const Association layer = make(options);
    return layer.forward(x, x, x).value();
  };
  const Tensor plain = output({});
  const auto expect_change = [&](const char* what, const AssociationOptions& options) {
    EXPECT_TRUE(largest_difference(output(options), plain) >= 1e-4) << what;
  };
  expect_change("separation", with([](auto& o) { o.separation = Separation::linear; }));
  expect_change("causal", with([](auto& o) { o.causal = true; }));
  expect_change("beta", with([](auto& o) { o.beta = 2.0; }));
  expect_change("update_steps", with([](auto& o) { o.update_steps = 2; }));
  EXPECT_TRUE(largest_difference(output(with([](auto& o) { o.update_steps = 2; })),
                                 output(with([](auto& o) { o.update_steps = 3; }))) >= 1e-5);
  EXPECT_TRUE(largest_difference(make({}, true).forward(x, x, x).value(), plain) >= 1e-4);
  const auto linear = [](auto& o) { o.separation = Separation::linear; };
  EXPECT_TRUE(largest_difference(output(with(linear)), output(with([&](auto& o) {
                                   linear(o);
                                   o.causal = true;
                                 }))) >= 1e-4);
  expect_change("sparsemax", with([](auto& o) { o.separation = Separation::sparsemax; }));
  expect_change("entmax", with([](auto& o) { o.separation = Separation::entmax; }));
  expect_change("polynomial", with([](auto& o) { o.separation = Separation::polynomial; }));
  expect_change("window", with([](auto& o) { o.window = 1; }));
  expect_change("random_keep", with([](auto& o) {
                  o.random_keep = 0.5;
                  o.random_draw = MaskDraw::fixed;
                }));
  expect_change("top_k", with([](auto& o) { o.top_k = 2; }));
  expect_change("top_fraction", with([](auto& o) { o.top_fraction = 0.3; }));
  expect_change("random_features",
                with([](auto& o) { o.separation = Separation::random_features; }));
  // And those that say something beside another.
  const auto expect_difference = [&](const char* what, const auto& first, const auto& second) {
    AssociationOptions a;
    first(a);
    AssociationOptions b = a;
    second(b);
    EXPECT_TRUE(largest_difference(output(a), output(b)) >= 1e-4) << what;
  };
  const auto entmax = [](auto& o) {
    o.separation = Separation::entmax;
    o.beta = 2.0;
  };
  expect_difference("alpha", entmax, [](auto& o) { o.alpha = 1.2; });
  expect_difference("alpha of sparsemax", entmax, [](auto& o) { o.alpha = 2.0; });
  expect_difference(
      "degree", [](auto& o) { o.separation = Separation::polynomial; },
      [](auto& o) { o.degree = 5; });
  const auto window = [](auto& o) { o.window = 1; };
  expect_difference("window of 2", window, [](auto& o) { o.window = 2; });
  expect_difference("dilation", window, [](auto& o) { o.dilation = 2; });
  expect_difference("global_tokens", window, [](auto& o) { o.global_tokens = 1; });
  expect_difference("normalise", window, [](auto& o) { o.normalise = Normalise::all; });
  expect_difference("window causal", window, [](auto& o) { o.causal = true; });
  expect_difference(
      "tolerance", [](auto& o) { o.update_steps = 8; }, [](auto& o) { o.tolerance = 0.5; });
  const auto features = [](auto& o) { o.separation = Separation::random_features; };
  expect_difference("features", features, [](auto& o) { o.features = 5; });
  expect_difference("orthogonal", features, [](auto& o) { o.orthogonal = false; });
  expect_difference("feature_map", features, [](auto& o) { o.feature_map = FeatureMap::relu; });
  expect_difference("beta of features", features, [](auto& o) { o.beta = 2.0; });
  expect_difference("causal features", features, [](auto& o) { o.causal = true; });
  expect_difference(
      "grain",
      [](auto& o) {
        o.random_keep = 0.5;
        o.random_draw = MaskDraw::fixed;
      },
      [](auto& o) { o.random_grain = MaskGrain::tile; });
  // A learned beta starts where the fixed one is; what it changes is that it receives a gradient.
  const Association learned = make(with([](auto& o) { o.learned_beta = LearnedBeta::head; }));
  learned.forward(x, x, x).backward(random_tensor({2, 5, kWidth}, 3));
  for (const double slope : parameter(learned, "log_beta").grad().to_vector<double>()) {
    EXPECT_TRUE(std::abs(slope) >= 1e-4) << slope;
  }
}

TEST(Association, TheNumberOfHeadsChangesTheOutput) {
  const Variable x(random_tensor({2, 5, kWidth}, 2));
  const auto output = [&](std::int64_t heads) {
    Rng rng(1);
    const Association layer(kWidth, heads, {}, rng, DType::f64);
    return layer.forward(x, x, x).value();
  };
  EXPECT_TRUE(largest_difference(output(1), output(2)) >= 1e-4);
  EXPECT_TRUE(largest_difference(output(2), output(4)) >= 1e-4);
}

TEST(Association, QueryStoredPatternsAndValuesAllMatter) {
  const Association layer = make({});
  const Variable q(random_tensor({2, 5, kWidth}, 2));
  const Variable k(random_tensor({2, 4, kWidth}, 3));
  const Variable v(random_tensor({2, 4, kWidth}, 4));
  const Variable other(random_tensor({2, 4, kWidth}, 5));
  const Tensor y = layer.forward(q, k, v).value();
  EXPECT_EQ(y.shape(), (Shape{2, 5, kWidth}));
  EXPECT_TRUE(largest_difference(layer.forward(q, other, v).value(), y) >= 1e-3);
  EXPECT_TRUE(largest_difference(layer.forward(q, k, other).value(), y) >= 1e-3);
  EXPECT_TRUE(largest_difference(layer.forward(affine(q, 2.0, 0.0), k, v).value(), y) >= 1e-3);
}

TEST(Association, Errors) {
  Rng rng(1);
  const auto build = [&](std::int64_t heads, const AssociationOptions& options) {
    return [&rng, heads, options] { Association(kWidth, heads, options, rng, DType::f32); };
  };
  EXPECT_TRUE(refuses<Error>(build(3, {}), {"[Association]", "width 8", "heads 3"}));
  EXPECT_TRUE(refuses<Error>(build(0, {}), {"[Association]", "heads 0"}));
  EXPECT_TRUE(refuses<Error>(build(-2, {}), {"[Association]", "heads -2"}));
  EXPECT_TRUE(refuses<Error>([&] { Association(kWidth, 8, {}, rng, DType::f32, true); },
                             {"[Association]", "even head width", "8 / 8 is 1"}));
  const auto linear = [](const auto& change) {
    return with([&](auto& o) {
      o.separation = Separation::linear;
      change(o);
    });
  };
  EXPECT_TRUE(refuses<Error>(build(2, linear([](auto& o) { o.update_steps = 2; })),
                             {"linear separation has one update step"}));
  EXPECT_TRUE(refuses<Error>(build(2, linear([](auto& o) { o.beta = 1.0; })),
                             {"linear separation has no inverse temperature"}));
  EXPECT_TRUE(refuses<Error>(build(2, linear([](auto& o) { o.learned_beta = LearnedBeta::head; })),
                             {"linear separation has no inverse temperature"}));
  EXPECT_TRUE(refuses<Error>(build(2, with([](auto& o) { o.update_steps = 0; })),
                             {"update_steps must be at least 1; got 0"}));
  for (const double beta :
       {-1.0, std::numeric_limits<double>::infinity(), std::numeric_limits<double>::quiet_NaN()}) {
    EXPECT_TRUE(refuses<Error>(build(2, with([&](auto& o) { o.beta = beta; })), {"beta must be"}));
  }

  const Association layer = make({});
  const Variable x(random_tensor({2, 5, kWidth}, 2));
  const Variable fewer(random_tensor({2, 4, kWidth}, 3));
  const Variable narrow(random_tensor({2, 5, kWidth - 2}, 4));
  // More keys than values, and the reverse.
  EXPECT_TRUE(
      refuses<Error>([&] { layer.forward(x, x, fewer); }, {"(2, 2, 5, 4)", "(2, 2, 4, 4)"}));
  EXPECT_TRUE(
      refuses<Error>([&] { layer.forward(x, fewer, x); }, {"(2, 2, 5, 4)", "(2, 2, 4, 4)"}));
  EXPECT_TRUE(refuses<Error>([&] { layer.forward(narrow, x, x); }, {"(2, 5, 6)"}));
  EXPECT_TRUE(refuses<Error>([&] { layer.forward(x, x, x, lengths({5, 5, 5})); }, {"(3)"}));
  EXPECT_TRUE(
      refuses<Error>([&] { layer.forward(x, x, x, Tensor::zeros({2}, DType::f64)); }, {"f64"}));
}

}  // namespace
}  // namespace basin::nn
