// The figures of rows against weights that a retrieval reads out itself, and the theory.
#include "tensor/functions/retrieval_diagnostics.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "kernels/association/row_diagnostics.h"
#include "tensor/error.h"
#include "tensor/functions/matmul.h"
#include "tensor/functions/random_features.h"
#include "tensor/functions/retrieval.h"
#include "tensor/rng.h"
#include "tests/support/association_variants.h"
#include "tests/support/expect_error.h"

namespace basin {
namespace {

using kernels::kRowFigures;
using kernels::RowFigure;
using test::refuses;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

double at(const Tensor& figures, std::int64_t b, std::int64_t h, std::int64_t i, RowFigure figure) {
  return figures.select(0, b).select(0, h).select(0, i).select(0, static_cast<int>(figure)).item();
}

Tensor f64(const Shape& shape, const std::vector<double>& values) {
  return Tensor::from<double>(shape, values);
}

DiagnosticsInputs random_inputs(const AssociationOptions& options, std::uint64_t seed) {
  Rng rng(seed);
  DiagnosticsInputs in;
  in.retrieval.q = rng.normal({2, 2, 7, 4}, 1.0, DType::f64);
  in.retrieval.k = rng.normal({2, 2, 9, 4}, 1.0, DType::f64);
  in.retrieval.v = in.retrieval.k;
  in.retrieval.beta = f64({2}, {0.7, 1.9});
  if (options.separation == Separation::entmax) {
    in.retrieval.alpha = f64({2}, {1.3, 1.7});
  }
  if (options.separation == Separation::random_features) {
    in.projection = random_projection(6, 4, true, rng, DType::f64);
  }
  in.retrieval.key_lengths = Tensor::from<std::int64_t>({2}, std::vector<std::int64_t>{9, 6});
  in.retrieval.options = options;
  in.retrieval.random_key = 5;
  return in;
}

// What the mechanism reads from these values, the definition that the rest of the library tests.
Tensor read(const DiagnosticsInputs& in, const Tensor& values) {
  const RetrievalInputs& r = in.retrieval;
  const AssociationInputs inputs{r.q, r.k, values, r.beta, r.key_lengths, r.options.causal};
  if (r.options.separation == Separation::linear) {
    return linear_attention(inputs).out;
  }
  if (r.options.separation == Separation::random_features) {
    return random_feature_attention(inputs, in.projection, r.options.feature_map).out;
  }
  RetrievalInputs copy = r;
  copy.v = values;
  return retrieval(copy).out;
}

Tensor unit_values(std::int64_t B, std::int64_t H, std::int64_t M) {
  Tensor values = Tensor::zeros({B, H, M, M}, DType::f64);
  for (std::int64_t n = 0; n < B * H; ++n) {
    for (std::int64_t j = 0; j < M; ++j) {
      values.mutable_data<double>()[(n * M + j) * M + j] = 1;
    }
  }
  return values;
}

class DiagnosedMechanism : public testing::TestWithParam<test::AssociationVariant> {};
INSTANTIATE_TEST_SUITE_P(Every, DiagnosedMechanism, testing::ValuesIn(test::every_mechanism()),
                         test::variant_name);

// Values that are unit vectors read out the weights; values that are the keys read out the update.
TEST_P(DiagnosedMechanism, FiguresAreThoseOfItsWeights) {
  DiagnosticsInputs in = random_inputs(GetParam().options, 11);
  in.most_steps = 3;
  std::vector<std::int64_t> sources;
  for (std::int64_t n = 0; n < 14; ++n) {
    sources.push_back(n % 9);
  }
  in.sources = Tensor::from<std::int64_t>({2, 7}, sources);
  const Tensor figures = retrieval_diagnostics(in);
  ASSERT_EQ(figures.shape(), (Shape{2, 2, 7, kRowFigures}));
  const Tensor weights = read(in, unit_values(2, 2, 9)).contiguous();
  const Tensor update = read(in, in.retrieval.k).contiguous();
  const double eps = 2e-6;  // linear attention adds 1e-6 to a sum, which the figures leave out
  for (std::int64_t b = 0; b < 2; ++b) {
    for (std::int64_t h = 0; h < 2; ++h) {
      for (std::int64_t i = 0; i < 7; ++i) {
        SCOPED_TRACE(testing::Message() << b << " " << h << " " << i);
        const auto figure = [&](RowFigure f) { return at(figures, b, h, i, f); };
        const std::int64_t row = (b * 2 + h) * 7 + i;
        const double* P = weights.data<double>() + row * 9;
        const double entropy = kernels::weights_entropy(P, 9);
        if (std::isnan(entropy)) {
          EXPECT_TRUE(std::isnan(figure(RowFigure::entropy)));
          continue;
        }
        EXPECT_NEAR(figure(RowFigure::entropy), entropy, eps);
        std::vector<double> scratch(9);
        EXPECT_EQ(figure(RowFigure::fewest_90),
                  static_cast<double>(kernels::fewest_weights(P, 9, 0.9, scratch.data())));
        const double source = P[sources[static_cast<std::size_t>(b * 7 + i)]];
        EXPECT_NEAR(figure(RowFigure::source_weight), source, eps);
        EXPECT_TRUE(figure(RowFigure::keys) <= (b == 1 ? 6 : 9));
        EXPECT_TRUE(figure(RowFigure::keys) >=
                    static_cast<double>(std::count_if(P, P + 9, [](double p) { return p > 0; })));
        // The nearest of the candidates can be no farther than the nearest with a weight.
        const double* y = update.data<double>() + row * 4;
        double after = std::numeric_limits<double>::infinity();
        for (std::int64_t j = 0; j < 9; ++j) {
          double squares = 0;
          for (std::int64_t d = 0; d < 4; ++d) {
            const double key = in.retrieval.k.data<double>()[((b * 2 + h) * 9 + j) * 4 + d];
            squares += (y[d] - key) * (y[d] - key);
          }
          after = P[j] > 0 ? std::min(after, std::sqrt(squares)) : after;
        }
        EXPECT_TRUE(figure(RowFigure::distance_after) <= after + 1e-5);
        EXPECT_TRUE(figure(RowFigure::error) >= figure(RowFigure::distance_after) - 1e-12);
        EXPECT_TRUE(figure(RowFigure::further_steps) >= 0 && figure(RowFigure::further_steps) <= 3);
      }
    }
  }
}

TEST_P(DiagnosedMechanism, TheoremsHoldWhereTheyAreClaimed) {
  const AssociationOptions& o = GetParam().options;
  const bool sums_to_one = !is_kernelised(o.separation) && o.separation != Separation::polynomial &&
                           o.normalise == Normalise::support;
  std::int64_t bounded = 0;
  for (const std::uint64_t seed : {1u, 2u, 3u}) {
    DiagnosticsInputs in = random_inputs(o, seed);
    const Tensor figures = retrieval_diagnostics(in);
    const double* f = figures.data<double>();
    for (std::int64_t row = 0; row < 28; ++row, f += kRowFigures) {
      const auto figure = [&](RowFigure n) { return f[static_cast<std::size_t>(n)]; };
      if (!sums_to_one) {
        EXPECT_TRUE(std::isnan(figure(RowFigure::bound)));
        EXPECT_TRUE(std::isnan(figure(RowFigure::energy)));
      } else if (figure(RowFigure::keys) > 0) {
        if (!std::isnan(figure(RowFigure::bound))) {
          ++bounded;
          EXPECT_TRUE(figure(RowFigure::error) <= figure(RowFigure::bound) + 1e-12)
              << figure(RowFigure::error) << " " << figure(RowFigure::bound);
        }
        if (o.top_k == 0 && o.top_fraction == 0) {  // whose update may change what is kept
          EXPECT_TRUE(figure(RowFigure::energy_after) <= figure(RowFigure::energy) + 1e-12);
        }
      }
      EXPECT_TRUE(std::isnan(figure(RowFigure::further_steps))) << "it was not asked for";
      EXPECT_TRUE(std::isnan(figure(RowFigure::source_weight))) << "there are no sources";
    }
  }
  EXPECT_TRUE(!sums_to_one || bounded > 20) << bounded;
}

TEST(RetrievalDiagnostics, TheTemperatureOfSoftmaxIsOneOverBetaTimesTheDeviationOfItsScores) {
  DiagnosticsInputs in = random_inputs({}, 4);
  const Tensor figures = retrieval_diagnostics(in);
  const Tensor scores =
      matmul(in.retrieval.q, in.retrieval.k.transpose(2, 3)).contiguous();  // without beta
  for (std::int64_t h = 0; h < 2; ++h) {
    for (std::int64_t i = 0; i < 7; ++i) {
      const double* s = scores.data<double>() + (h * 7 + i) * 9;
      double mean = 0;
      double squares = 0;
      for (std::int64_t j = 0; j < 9; ++j) {
        mean += s[j] / 9;
      }
      for (std::int64_t j = 0; j < 9; ++j) {
        squares += (s[j] - mean) * (s[j] - mean) / 9;
      }
      const double beta = h == 0 ? 0.7 : 1.9;
      EXPECT_NEAR(at(figures, 0, h, i, RowFigure::temperature), 1 / (beta * std::sqrt(squares)),
                  1e-6);
    }
  }
}

// Three patterns whose figures can be said by hand.
TEST(RetrievalDiagnostics, OfAPatternThatComesBack) {
  DiagnosticsInputs in;
  in.retrieval.q = f64({1, 1, 1, 2}, {2.5, 0});
  in.retrieval.k = f64({1, 1, 3, 2}, {3, 0, 0, 4, -3, 0});
  in.retrieval.beta = f64({1}, {1.0});
  in.retrieval.options.separation = Separation::sparsemax;
  in.most_steps = 5;
  in.sources = Tensor::from<std::int64_t>({1, 1}, std::vector<std::int64_t>{0});
  const Tensor f = retrieval_diagnostics(in);
  const auto figure = [&](RowFigure n) { return at(f, 0, 0, 0, n); };
  EXPECT_EQ(figure(RowFigure::keys), 3);
  EXPECT_EQ(figure(RowFigure::entropy), 0);  // scores 7.5, 0, -7.5: a margin above 1
  EXPECT_EQ(figure(RowFigure::temperature), kernels::kLeastTemperature);
  EXPECT_EQ(figure(RowFigure::fewest_90), 1);
  EXPECT_EQ(figure(RowFigure::separation), 9);  // 9 - 0, and 9 + 9 to the other side
  EXPECT_EQ(figure(RowFigure::distance), 0.5);
  EXPECT_EQ(figure(RowFigure::distance_after), 0);
  EXPECT_EQ(figure(RowFigure::error), 0);
  EXPECT_NEAR(figure(RowFigure::bound), 4 * (3 + 1 - 2) * std::exp(-7.5), 1e-15);
  EXPECT_EQ(figure(RowFigure::energy), 2.5 * 2.5 / 2 - 7.5);
  EXPECT_EQ(figure(RowFigure::energy_after), 3.0 * 3 / 2 - 9);
  EXPECT_EQ(figure(RowFigure::further_steps), 0) << "the pattern is a fixed point";
  EXPECT_EQ(figure(RowFigure::source_weight), 1);
}

TEST(RetrievalDiagnostics, OfAnAverage) {
  DiagnosticsInputs in;
  in.retrieval.q = f64({1, 1, 1, 2}, {0, 0});
  in.retrieval.k = f64({1, 1, 4, 2}, {1, 0, 0, 1, -1, 0, 0, -1});
  in.retrieval.beta = f64({1}, {1.0});
  in.most_steps = 5;
  const Tensor f = retrieval_diagnostics(in);
  EXPECT_NEAR(at(f, 0, 0, 0, RowFigure::entropy), std::log(4.0), 1e-15);
  EXPECT_EQ(at(f, 0, 0, 0, RowFigure::temperature), kernels::kMostTemperature);
  EXPECT_EQ(at(f, 0, 0, 0, RowFigure::fewest_90), 4);
  EXPECT_EQ(at(f, 0, 0, 0, RowFigure::error), 1);
  EXPECT_EQ(at(f, 0, 0, 0, RowFigure::further_steps), 0) << "0 is where the average stays";
}

// A state that creeps: further steps are those that a loop of retrievals takes.
TEST(RetrievalDiagnostics, FurtherStepsAreCounted) {
  DiagnosticsInputs in = random_inputs({}, 8);
  in.retrieval.key_lengths = Tensor();
  in.settled = 1e-6;
  in.most_steps = 200;
  const Tensor figures = retrieval_diagnostics(in);
  RetrievalInputs loop = in.retrieval;
  loop.options.update_steps = 202;  // the first step, and the one that reads
  loop.options.tolerance = 1e-6;
  const Tensor first = retrieval(in.retrieval).out;
  loop.q = first.contiguous();
  const std::vector<std::int64_t> steps = retrieval(loop).steps.to_vector<std::int64_t>();
  std::int64_t most = 0;
  for (std::size_t n = 0; n < steps.size(); ++n) {
    const double further =
        figures
            .data<double>()[n * kRowFigures + static_cast<std::size_t>(RowFigure::further_steps)];
    // The loop counts the update that found it settled and the read-out.
    EXPECT_EQ(further, static_cast<double>(steps[n] - 2));
    most = std::max(most, steps[n]);
  }
  EXPECT_TRUE(most > 4) << "nothing moved";
  in.most_steps = 1;
  EXPECT_EQ(at(retrieval_diagnostics(in), 0, 0, 0, RowFigure::further_steps), 1);
}

TEST(RetrievalDiagnostics, HiddenKeysAreNeverReadAndRowsCanBeLeftOut) {
  AssociationOptions options;
  options.causal = true;
  DiagnosticsInputs in = random_inputs(options, 6);
  in.retrieval.q = Rng(3).normal({2, 2, 9, 4}, 1.0, DType::f64);
  const Tensor clean = retrieval_diagnostics(in);
  in.retrieval.k.select(0, 1).slice(1, 6, 9).fill(kNaN);  // padding
  in.retrieval.k.select(0, 0).slice(1, 8, 9).fill(kNaN);  // the future of all but the last query
  std::vector<std::uint8_t> rows(18, 1);
  rows[8] = 0;
  in.rows = Tensor::from<std::uint8_t>({2, 9}, rows);
  const Tensor dirty = retrieval_diagnostics(in);
  for (std::int64_t n = 0; n < clean.numel(); ++n) {
    const std::int64_t row = n / kRowFigures;
    const double x = dirty.data<double>()[n];
    const double y = clean.data<double>()[n];
    const bool is_left_out = row == 8 || row == 17;  // of item 0, both heads
    EXPECT_TRUE(is_left_out ? std::isnan(x) : (x == y || (std::isnan(x) && std::isnan(y))))
        << row << " " << n % kRowFigures << ": " << x << " " << y;
  }
}

TEST(RetrievalDiagnostics, AQueryThatSeesNothing) {
  AssociationOptions options;
  options.causal = true;
  DiagnosticsInputs in = random_inputs(options, 6);
  in.retrieval.key_lengths = Tensor::from<std::int64_t>({2}, std::vector<std::int64_t>{0, 9});
  const Tensor f = retrieval_diagnostics(in);
  EXPECT_EQ(at(f, 0, 1, 3, RowFigure::keys), 0);
  for (std::int64_t n = 1; n < kRowFigures; ++n) {
    EXPECT_TRUE(std::isnan(at(f, 0, 1, 3, static_cast<RowFigure>(n)))) << n;
  }
}

TEST(RetrievalDiagnostics, ResultsDoNotDependOnThreads) {
  DiagnosticsInputs in = random_inputs({}, 9);
  in.most_steps = 4;
  const int before = threads();
  set_threads(1);
  const std::vector<double> one = retrieval_diagnostics(in).to_vector<double>();
  set_threads(3);
  const std::vector<double> three = retrieval_diagnostics(in).to_vector<double>();
  set_threads(before);
  for (std::size_t n = 0; n < one.size(); ++n) {
    EXPECT_TRUE(one[n] == three[n] || (std::isnan(one[n]) && std::isnan(three[n])));
  }
}

TEST(RetrievalDiagnostics, Errors) {
  const auto attempt = [](auto&& change) {
    return [change] {
      DiagnosticsInputs in = random_inputs({}, 1);
      change(in);
      (void)retrieval_diagnostics(in);
    };
  };
  const auto zeros = [](const Shape& shape, DType dtype) { return Tensor::zeros(shape, dtype); };
  EXPECT_TRUE(refuses<Error>(attempt([&](auto& in) {
                               in.rows = zeros({2, 9}, DType::u8);
                             }),
                             {"rows must be (2, 7)", "(2, 9)"}));
  EXPECT_TRUE(refuses<Error>(attempt([&](auto& in) {
                               in.sources = zeros({2, 7}, DType::f64);
                             }),
                             {"sources must be (2, 7) i64"}));
  EXPECT_TRUE(refuses<Error>(attempt([&](auto& in) {
                               in.projection = zeros({6, 3}, DType::f64);
                             }),
                             {"projection must be (features, 4)"}));
  EXPECT_TRUE(refuses<Error>(
      attempt([](auto& in) { in.retrieval.options.separation = Separation::random_features; }),
      {"need their projection"}));
  EXPECT_TRUE(refuses<Error>(attempt([](auto& in) {
                               in.most_steps = 3;
                               in.settled = 0;
                             }),
                             {"tolerance is out of range"}));
  EXPECT_TRUE(refuses<Error>(
      attempt([](auto& in) { in.retrieval.options.separation = Separation::entmax; }),
      {"entmax needs alpha"}));
  EXPECT_TRUE(refuses<Error>(attempt([&](auto& in) {
                               in.retrieval.q = zeros({2, 2, 4}, DType::f64);
                             }),
                             {"(B,H,L,D)"}));
}

}  // namespace
}  // namespace basin
