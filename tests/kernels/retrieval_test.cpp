// What the table of kernels cannot say about retrieval: which keys are seen, what is never read,
// exact cases and errors.
#include "kernels/association/retrieval.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "kernels/association/retrieval_case.h"
#include "kernels/table/case_arrays.h"
#include "tests/kernels/support.h"

namespace basin::kernels {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

std::vector<int> variants_of(const std::string& name) {
  for (const KernelEntry& entry : kernel_table()) {
    if (entry.name == name) {
      std::vector<int> numbers = {0};
      for (const KernelVariant& variant : entry.variants) {
        numbers.push_back(variant.number);
      }
      return numbers;
    }
  }
  ADD_FAILURE() << "no kernel " << name;
  return {};
}

Visibility window(std::int64_t L, std::int64_t M, std::int64_t radius) {
  Visibility seen;
  seen.L = L;
  seen.M = M;
  seen.radius = radius;
  return seen;
}

std::vector<std::int64_t> keys_of(const Visibility& seen, std::int64_t i) {
  std::vector<std::int64_t> keys;
  for_each_visible(seen, 0, 0, i, [&](std::int64_t j) { keys.push_back(j); });
  return keys;
}

using Keys = std::vector<std::int64_t>;

TEST(Visibility, OfAWindow) {
  EXPECT_EQ(keys_of(window(8, 8, 2), 0), (Keys{0, 1, 2}));
  EXPECT_EQ(keys_of(window(8, 8, 2), 5), (Keys{3, 4, 5, 6, 7}));
  EXPECT_EQ(keys_of(window(8, 8, 0), 5), (Keys{5}));
  EXPECT_EQ(keys_of(window(2, 8, 1), 0), (Keys{5, 6, 7})) << "the queries are the last positions";
  EXPECT_EQ(keys_of(window(8, 2, 1), 0), Keys{}) << "this query stands before all keys";
  Visibility seen = window(9, 9, 2);
  seen.dilation = 3;
  EXPECT_EQ(keys_of(seen, 4), (Keys{1, 4, 7}));
  EXPECT_EQ(keys_of(seen, 8), (Keys{2, 5, 8}));
  seen.global_tokens = 2;
  EXPECT_EQ(keys_of(seen, 4), (Keys{0, 1, 4, 7}));
  EXPECT_EQ(keys_of(seen, 1), (Keys{0, 1, 2, 3, 4, 5, 6, 7, 8}));
  seen.causal = true;
  EXPECT_EQ(keys_of(seen, 4), (Keys{0, 1, 4}));
  EXPECT_EQ(keys_of(seen, 1), (Keys{0, 1}));
  EXPECT_EQ(keys_of(window(4, 4, std::numeric_limits<std::int64_t>::max()), 1), (Keys{0, 1, 2, 3}));
}

// The shortened walk finds what keep() says key by key.
TEST(Visibility, WalkAndQuestionAgree) {
  for (const RetrievalProblem& problem : retrieval_problems()) {
    const Visibility seen = problem.visibility();
    for (std::int64_t b = 0; b < problem.shape.B; ++b) {
      for (std::int64_t h = 0; h < problem.shape.H; ++h) {
        for (std::int64_t i = 0; i < seen.L; ++i) {
          Keys walked;
          for_each_visible(seen, b, h, i, [&](std::int64_t j) { walked.push_back(j); });
          Keys asked;
          for (std::int64_t j = 0; j < seen.M; ++j) {
            if (seen.keep(b, h, i, j)) {
              asked.push_back(j);
            }
          }
          ASSERT_EQ(walked, asked) << problem.shape.name << " query " << i;
        }
      }
    }
  }
}

TEST(Visibility, TheRandomMaskKeepsItsShareAndSharesItsDraws) {
  Visibility seen;
  seen.L = seen.M = 512;
  seen.random_key = 4;
  seen.keep_below = keep_bound(0.3);
  std::int64_t kept = 0;
  for (std::int64_t i = 0; i < seen.L; ++i) {
    kept += static_cast<std::int64_t>(keys_of(seen, i).size());
  }
  const double share = static_cast<double>(kept) / (512.0 * 512.0);
  EXPECT_TRUE(std::abs(share - 0.3) <= 5 * std::sqrt(0.3 * 0.7) / 512) << share;
  EXPECT_NE(keys_of(seen, 0), keys_of(seen, 1));
  seen.query_shift = 6;
  EXPECT_EQ(keys_of(seen, 0), keys_of(seen, 63));
  EXPECT_NE(keys_of(seen, 63), keys_of(seen, 64));
  EXPECT_NE(keys_of(seen, 0), [&] {
    Visibility other = seen;
    other.random_key = 5;
    return keys_of(other, 0);
  }());
  seen.key_shift = 6;
  for (const std::int64_t j : keys_of(seen, 0)) {
    EXPECT_TRUE(seen.keep(0, 0, 0, j / 64 * 64)) << j;
  }
  seen.keep_below = keep_bound(1.0);
  EXPECT_EQ(keys_of(seen, 3).size(), 512u);
}

TEST(Visibility, CountsOfTopK) {
  Visibility seen;
  seen.L = seen.M = 20;
  EXPECT_EQ(seen.top_count(0), 20);
  seen.top_k = 4;
  EXPECT_EQ(seen.top_count(0), 4);
  seen.top_k = 0;
  seen.top_fraction = 0.3;  // 0.3 * 20 is a little below 6 in binary
  EXPECT_EQ(seen.top_count(0), 6);
  seen.top_fraction = 0.01;
  EXPECT_EQ(seen.top_count(0), 1);
}

// One head: q (L, D) against k (M, D), which are also the values.
struct Head {
  std::int64_t L, M, D;
  std::vector<double> q, k;
  std::vector<double> alpha = {1.5};
  std::vector<double> beta = {1.0};
  Separation separation = Separation::sparsemax;
  std::int64_t update_steps = 1;
  double tolerance = 0;
  std::vector<double> out{}, statistics{};
  std::vector<std::int64_t> steps{};

  template <class T>
  Status run(const CpuContext& context, int variant = 0) {
    const auto cast = [](const std::vector<double>& x) {
      return std::vector<T>(x.begin(), x.end());
    };
    std::vector<T> q_t = cast(q), k_t = cast(k), alpha_t = cast(alpha), beta_t = cast(beta);
    std::vector<T> out_t(static_cast<std::size_t>(L * D));
    std::vector<T> statistics_t(static_cast<std::size_t>(3 * L));
    steps.assign(static_cast<std::size_t>(L), -1);
    const auto view = [&](std::vector<T>& x) { return HeadView{x.data(), 0, 0, D}; };
    RetrievalForward p{};
    p.q = view(q_t);
    p.k = p.v = view(k_t);
    p.out = view(out_t);
    p.beta = beta_t.data();
    p.separation.kind = separation;
    p.separation.alpha = alpha_t.data();
    p.separation.degree = 3;
    p.visibility.L = L;
    p.visibility.M = M;
    p.update_steps = update_steps;
    p.tolerance = tolerance;
    p.statistics = statistics_t.data();
    p.steps = steps.data();
    p.B = p.H = 1;
    p.D = p.Dv = D;
    p.dtype = std::is_same_v<T, float> ? DType::f32 : DType::f64;
    p.variant = variant;
    std::vector<double> workspace(
        static_cast<std::size_t>(retrieval_forward_workspace(p, context) / 8 + 1));
    p.workspace = workspace.data();
    const Status status = retrieval_forward(p, context);
    out.assign(out_t.begin(), out_t.end());
    statistics.assign(statistics_t.begin(), statistics_t.end());
    return status;
  }
};

template <class T>
void expect_exact_retrieval(Separation separation, double alpha, const CpuContext& context) {
  const std::int64_t M = 9;
  const std::int64_t D = 16;
  Head head{
      .L = M, .M = M, .D = D, .q = {}, .k = uniform_numbers<double>(M * D, 3), .alpha = {alpha}};
  for (double& x : head.k) {
    x = static_cast<double>(static_cast<float>(x));  // stored patterns that both dtypes can hold
  }
  head.q = head.k;
  head.separation = separation;
  // The least margin of any pattern over the others, and a beta that makes it a little more than
  // 1 / (alpha - 1).
  double margin = 1e300;
  for (std::int64_t i = 0; i < M; ++i) {
    for (std::int64_t j = 0; j < M; ++j) {
      double difference = 0;
      for (std::int64_t c = 0; c < D; ++c) {
        const double x = head.k[static_cast<std::size_t>(i * D + c)];
        difference += x * (x - head.k[static_cast<std::size_t>(j * D + c)]);
      }
      margin = i == j ? margin : std::min(margin, difference);
    }
  }
  ASSERT_GT(margin, 0);
  head.beta = {1.0001 / (margin * (alpha - 1))};
  for (const int variant : variants_of("retrieval_forward")) {
    ASSERT_TRUE(head.run<T>(context, variant).ok());
    EXPECT_EQ(head.out, head.k) << "variant " << variant;
    Head below = head;
    below.beta[0] *= 0.5;
    ASSERT_TRUE(below.run<T>(context, variant).ok());
    EXPECT_NE(below.out, head.k) << "variant " << variant;
  }
}

TEST(Retrieval, ReturnsThePatternBitForBitUnderTheMargin) {
  const TestContext context(2);
  for (const double alpha : {1.1, 1.5, 1.7}) {
    expect_exact_retrieval<float>(Separation::entmax, alpha, context);
    expect_exact_retrieval<double>(Separation::entmax, alpha, context);
  }
  expect_exact_retrieval<float>(Separation::sparsemax, 2.0, context);
  expect_exact_retrieval<double>(Separation::sparsemax, 2.0, context);
}

// Candidate lists against stored rows: scores from nearly equal to far apart, keys in clusters,
// keys that are all the same, and enough of them that lists overflow.
template <class T>
void expect_lists_agree_with_rows(double spread, std::int64_t clusters, double tolerance,
                                  const CpuContext& context) {
  constexpr std::int64_t kM = 1500;
  constexpr std::int64_t kD = 16;
  Head head{.L = 50,
            .M = kM,
            .D = kD,
            .q = uniform_numbers<double>(50 * kD, 5),
            .k = uniform_numbers<double>(kM * kD, 6)};
  for (std::int64_t j = 0; clusters > 0 && j < kM; ++j) {
    for (std::int64_t c = 0; c < kD; ++c) {
      double& x = head.k[static_cast<std::size_t>(j * kD + c)];
      // A common centre, and a hundredth of what was there.
      x = 0.01 * x + head.k[static_cast<std::size_t>(j % clusters * kD + c)] * 0.99;
    }
  }
  // The standard deviation of a score is that of 16 products of uniform numbers: 4 / 3.
  head.beta = {spread * 0.75};
  for (const double alpha : {1.2, 1.5, 2.0}) {
    head.alpha = {alpha};
    head.separation = alpha == 2.0 ? Separation::sparsemax : Separation::entmax;
    Head rows = head;
    ASSERT_TRUE(rows.run<T>(context, 1).ok());
    Head lists = head;
    ASSERT_TRUE(lists.run<T>(context, 2).ok());
    for (std::size_t n = 0; n < rows.out.size(); ++n) {
      ASSERT_TRUE(std::abs(rows.out[n] - lists.out[n]) <= tolerance)
          << "alpha " << alpha << " element " << n << ": " << lists.out[n] << ", not "
          << rows.out[n];
    }
    for (std::size_t n = 0; n < rows.statistics.size(); n += 3) {
      ASSERT_TRUE(std::abs(rows.statistics[n + 1] - lists.statistics[n + 1]) <= tolerance) << n;
    }
  }
}

TEST(Retrieval, ListsAndRowsAgreeForAnySpreadOfScores) {
  const TestContext context(2);
  for (const double spread : {1e-6, 0.1, 0.3, 1.0, 2.0, 4.0}) {
    for (const std::int64_t clusters : {0, 1, 7}) {
      SCOPED_TRACE(std::to_string(spread) + " clusters " + std::to_string(clusters));
      // f32: scores up to 20 carry 1e-6 of rounding, which the weights of 1500 keys share.
      expect_lists_agree_with_rows<float>(spread, clusters, 2e-5, context);
      expect_lists_agree_with_rows<double>(spread, clusters, 1e-12, context);
    }
  }
}

TEST(Retrieval, EachQueryStopsByItself) {
  const TestContext context(2);
  Head head{.L = 12,
            .M = 6,
            .D = 8,
            .q = uniform_numbers<double>(12 * 8, 1),
            .k = uniform_numbers<double>(6 * 8, 2)};
  head.separation = Separation::softmax;
  head.beta = {4.0};
  head.update_steps = 50;
  head.tolerance = 1e-3;
  ASSERT_TRUE(head.run<double>(context).ok());
  const std::vector<std::int64_t> steps = head.steps;
  const std::vector<double> out = head.out;
  EXPECT_NE(*std::min_element(steps.begin(), steps.end()),
            *std::max_element(steps.begin(), steps.end()));
  for (std::int64_t i = 0; i < head.L; ++i) {
    const std::int64_t taken = steps[static_cast<std::size_t>(i)];
    EXPECT_TRUE(taken >= 2 && taken <= 50) << taken;
    // Alone, and told to take as many steps: the same bits.
    Head alone = head;
    alone.L = 1;
    alone.q.assign(head.q.begin() + i * 8, head.q.begin() + (i + 1) * 8);
    alone.update_steps = taken;
    alone.tolerance = 0;
    ASSERT_TRUE(alone.run<double>(context).ok());
    EXPECT_EQ(alone.steps[0], taken);
    for (std::int64_t c = 0; c < 8; ++c) {
      EXPECT_EQ(alone.out[static_cast<std::size_t>(c)], out[static_cast<std::size_t>(i * 8 + c)]);
    }
  }
}

TEST(Retrieval, NaNAndInfinityAreSeen) {
  const TestContext context(1);
  for (const Separation separation :
       {Separation::softmax, Separation::sparsemax, Separation::entmax, Separation::polynomial}) {
    for (const double bad : {kNaN, std::numeric_limits<double>::infinity()}) {
      for (const int variant : variants_of("retrieval_forward")) {
        Head head{.L = 2, .M = 3, .D = 2, .q = {0.5, 1, 1, -1}, .k = {1, 1, 2, 0, 0, 1}};
        head.separation = separation;
        ASSERT_TRUE(head.run<float>(context, variant).ok());
        const std::vector<double> clean = head.out;
        head.q[0] = bad;
        ASSERT_TRUE(head.run<float>(context, variant).ok());
        EXPECT_TRUE(std::isnan(head.out[0])) << static_cast<int>(separation) << " " << variant;
        EXPECT_EQ(head.out[2], clean[2]);
        EXPECT_EQ(head.out[3], clean[3]);
      }
    }
  }
}

// Powers of large scores overflow f32 unless they are scaled.
TEST(Retrieval, PolynomialWeightsDoNotOverflow) {
  const TestContext context(1);
  Head head{.L = 1, .M = 2, .D = 1, .q = {1e20}, .k = {1e10, 2e10}};
  head.separation = Separation::polynomial;
  ASSERT_TRUE(head.run<float>(context).ok());
  EXPECT_TRUE(std::abs(head.out[0] - 1.8e10) <= 1e4) << head.out[0];  // weights 1/5 and 4/5
  head.q = {-1};
  ASSERT_TRUE(head.run<float>(context).ok());
  EXPECT_EQ(head.out[0], 0.0) << "no score is above 0";
}

TEST(Retrieval, RefusesWhatItCannotDo) {
  const TestContext context(1);
  Head head{.L = 1, .M = 1, .D = 1, .q = {1}, .k = {1}};
  const auto refused = [&](const auto& change) {
    Head changed = head;
    change(changed);
    const Status status = changed.run<double>(context);
    return !status.ok() && std::string(status.message).starts_with("retrieval: ");
  };
  EXPECT_FALSE(refused([](Head&) {}));
  EXPECT_TRUE(refused([](Head& h) { h.separation = Separation::linear; }));
  EXPECT_TRUE(refused([](Head& h) { h.update_steps = 0; }));
  EXPECT_TRUE(refused([](Head& h) { h.update_steps = kMostUpdateSteps + 1; }));
  EXPECT_TRUE(refused([](Head& h) { h.tolerance = kNaN; }));
  for (const double alpha : {1.0, 2.1, kNaN}) {
    EXPECT_TRUE(refused([&](Head& h) {
      h.separation = Separation::entmax;
      h.alpha = {alpha};
    }));
  }
}

}  // namespace
}  // namespace basin::kernels
