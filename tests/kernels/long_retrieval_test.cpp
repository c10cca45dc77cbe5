// The faster variants of retrieval against the plain one on heads long enough for what they do only
// there: samples and ties of top-k, and parts of a head that are added up.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "kernels/association/retrieval.h"
#include "tests/kernels/support.h"

namespace basin::kernels {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

// Two heads of one item, forward and backward.
template <class T>
struct Heads {
  static constexpr std::int64_t kH = 2, kD = 8;
  std::int64_t L, M;
  Separation separation = Separation::softmax;
  Visibility seen{};
  double scale = 0.25;
  std::vector<T> q, k, v, dout;
  std::vector<T> out{}, statistics{}, dq{}, dk{}, dv{}, dbeta{};
  std::vector<std::int64_t> lengths{};

  // Whole numbers from -most to most: products of them are exact, so that scores are the same in
  // any order of summation, and many of them are equal.
  static std::vector<T> numbers(std::int64_t rows, std::uint64_t seed, double most, bool whole) {
    std::vector<T> all;
    for (const double x : uniform_numbers<double>(kH * rows * kD, seed)) {
      all.push_back(static_cast<T>(whole ? std::round(most * x) : most * x));
    }
    return all;
  }
  Heads(std::int64_t queries, std::int64_t keys, bool whole)
      : L(queries),
        M(keys),
        q(numbers(L, 1, 2, whole)),
        k(numbers(M, 2, 2, whole)),
        v(numbers(M, 3, 1, false)),
        dout(numbers(L, 4, 1, false)) {}

  HeadView view(std::vector<T>& x, std::int64_t rows) const {
    return {x.data(), kH * rows * kD, rows * kD, kD};
  }
  void run(int variant, const CpuContext& context) {
    std::vector<T> beta = {static_cast<T>(scale), static_cast<T>(2 * scale)};
    std::vector<T> alpha = {T(1.5), T(1.5)};
    const auto fill = [](std::vector<T>& x, std::int64_t count) {
      x.assign(static_cast<std::size_t>(count), static_cast<T>(kNaN));
    };
    fill(out, kH * L * kD);
    fill(dq, kH * L * kD);
    fill(dk, kH * M * kD);
    fill(dv, kH * M * kD);
    fill(statistics, kH * L * 3);
    fill(dbeta, kH);
    seen.L = L;
    seen.M = M;
    seen.key_lengths = lengths.empty() ? nullptr : lengths.data();
    const SeparationRule rule{separation, alpha.data(), 4, false};
    const DType dtype = std::is_same_v<T, float> ? DType::f32 : DType::f64;
    RetrievalForward p{
        view(q, L), view(k, M),        view(v, M), view(out, L), beta.data(), rule, seen, {}, 1,
        0,          statistics.data(), nullptr,    nullptr,      1,           kH,   kD,   kD, dtype,
        variant};
    std::vector<double> workspace(
        static_cast<std::size_t>(retrieval_forward_workspace(p, context) / 8 + 1), kNaN);
    p.workspace = workspace.data();
    ASSERT_TRUE(retrieval_forward(p, context).ok());
    std::vector<T> dalpha(2);
    RetrievalBackward r{view(q, L),
                        view(k, M),
                        view(v, M),
                        view(out, L),
                        view(dout, L),
                        view(dq, L),
                        view(dk, M),
                        view(dv, M),
                        beta.data(),
                        dbeta.data(),
                        dalpha.data(),
                        rule,
                        seen,
                        {},
                        1,
                        0,
                        statistics.data(),
                        nullptr,
                        1,
                        kH,
                        kD,
                        kD,
                        dtype,
                        variant};
    std::vector<double> more(
        static_cast<std::size_t>(retrieval_backward_workspace(r, context) / 8 + 1), kNaN);
    r.workspace = more.data();
    ASSERT_TRUE(retrieval_backward(r, context).ok());
  }

  // Sums over hundreds of queries in another order.
  void expect_near(const Heads& other, double tolerance) const {
    const auto near = [&](const std::vector<T>& x, const std::vector<T>& y, const char* name) {
      ASSERT_EQ(x.size(), y.size());
      for (std::size_t n = 0; n < x.size(); ++n) {
        const double expected = static_cast<double>(y[n]);
        ASSERT_TRUE(std::abs(static_cast<double>(x[n]) - expected) <=
                    tolerance * (1 + std::abs(expected)))
            << name << " " << n << ": " << x[n] << ", not " << y[n];
      }
    };
    near(out, other.out, "out");
    near(dq, other.dq, "dq");
    near(dk, other.dk, "dk");
    near(dv, other.dv, "dv");
    near(dbeta, other.dbeta, "dbeta");
  }
};

template <class T>
constexpr double kTolerance = std::is_same_v<T, float> ? 1e-4 : 1e-11;

// Of each query the least score that it kept.
template <class T>
std::vector<T> thresholds(const Heads<T>& heads) {
  std::vector<T> all;
  for (std::size_t n = 2; n < heads.statistics.size(); n += 3) {
    all.push_back(heads.statistics[n]);
  }
  return all;
}

template <class T>
void expect_the_same_top(Heads<T> heads, const CpuContext& context) {
  Heads<T> rows = heads;
  rows.run(1, context);
  heads.run(4, context);
  EXPECT_EQ(thresholds(heads), thresholds(rows));
  heads.expect_near(rows, kTolerance<T>);
}

template <class T>
void expect_the_same_top_everywhere() {
  const TestContext context(2);
  for (const std::int64_t k : {1, 2, 37, 300, 1299, 1300, 5000}) {
    SCOPED_TRACE("k = " + std::to_string(k));
    Heads<T> heads(27, 1300, true);
    heads.seen.top_k = k;
    expect_the_same_top(heads, context);
  }
  {
    SCOPED_TRACE("a fraction of a causal prefix");
    Heads<T> heads(1100, 1100, true);
    heads.seen.top_fraction = 0.2;
    heads.seen.causal = true;
    expect_the_same_top(heads, context);
  }
  {
    SCOPED_TRACE("padding that holds NaN");
    Heads<T> heads(30, 1300, true);
    heads.seen.top_fraction = 0.1;
    heads.lengths = {1237};
    for (std::int64_t h = 0; h < 2; ++h) {
      const auto begin = static_cast<std::ptrdiff_t>((h * 1300 + 1237) * 8);
      const auto end = static_cast<std::ptrdiff_t>((h + 1) * 1300 * 8);
      std::fill(heads.k.begin() + begin, heads.k.begin() + end, static_cast<T>(kNaN));
      std::fill(heads.v.begin() + begin, heads.v.begin() + end, static_cast<T>(kNaN));
    }
    expect_the_same_top(heads, context);
  }
  {
    SCOPED_TRACE("of the keys of a random mask");
    Heads<T> heads(30, 1300, true);
    heads.seen.top_k = 200;
    heads.seen.random_key = 3;
    heads.seen.keep_below = keep_bound(0.7);
    expect_the_same_top(heads, context);
  }
  {
    SCOPED_TRACE("of a window");
    Heads<T> heads(1000, 1000, true);
    heads.seen.top_k = 20;
    heads.seen.radius = 200;
    expect_the_same_top(heads, context);
  }
}

TEST(LongRetrieval, TopKKeepsTheSameKeysAndAllTies) {
  expect_the_same_top_everywhere<float>();
  expect_the_same_top_everywhere<double>();
}

// Rows for which a sample says little: sorted keys, all keys the same, one large score among equal
// ones, scores from 1e-30 to 1e30 of both signs.
template <class T>
void expect_the_same_top_of_odd_rows() {
  const TestContext context(1);
  const auto with_keys = [&](const char* what, auto&& first_of_key) {
    for (const std::int64_t k : {1, 3, 130, 650, 1290}) {
      SCOPED_TRACE(std::string(what) + ", k = " + std::to_string(k));
      Heads<T> heads(13, 1300, true);
      for (std::size_t n = 0; n < heads.k.size(); ++n) {
        const auto j = static_cast<double>(n / 8 % 1300);
        heads.k[n] = n % 8 == 0 ? static_cast<T>(first_of_key(j)) : T(0);
      }
      for (std::size_t n = 0; n < heads.q.size(); ++n) {
        heads.q[n] = n % 8 == 0 ? T(1) : T(0);
      }
      heads.seen.top_k = k;
      expect_the_same_top(heads, context);
    }
  };
  with_keys("rising", [](double j) { return j / 1024; });
  with_keys("falling", [](double j) { return -j / 1024; });
  with_keys("the same", [](double) { return 0.5; });
  with_keys("one above all", [](double j) { return j == 777 ? 8.0 : 0.25; });
  with_keys("two values in blocks", [](double j) { return j < 640 ? 1.0 : 2.0; });
  with_keys("nearly uniform", [](double j) { return 1 + std::fmod(j * 7, 1300) / (1 << 22); });
  with_keys("of any size", [](double j) {
    const double size = std::exp2(std::fmod(j * 11, 200) - 195);
    return std::fmod(j, 2) == 0 ? size : -size;
  });
}

TEST(LongRetrieval, TopKOfRowsThatASampleMisjudges) {
  expect_the_same_top_of_odd_rows<float>();
  expect_the_same_top_of_odd_rows<double>();
}

struct Mechanism {
  const char* name;
  int variant;
  Separation separation;
  void (*change)(Visibility&);
};

// 800 queries of two heads make two parts of each.
template <class T>
void expect_parts_to_add_up() {
  const Mechanism mechanisms[] = {
      {"sparsemax", 2, Separation::sparsemax, [](Visibility&) {}},
      {"entmax", 2, Separation::entmax, [](Visibility& s) { s.causal = true; }},
      {"window", 3, Separation::softmax, [](Visibility& s) { s.radius = 10; }},
      {"random", 3, Separation::softmax,
       [](Visibility& s) {
         s.random_key = 9;
         s.keep_below = keep_bound(0.5);
       }},
      {"polynomial", 3, Separation::polynomial, [](Visibility& s) { s.causal = true; }},
      {"top", 4, Separation::softmax, [](Visibility& s) { s.top_k = 30; }}};
  const TestContext one(1);
  const TestContext three(3);
  for (const Mechanism& mechanism : mechanisms) {
    SCOPED_TRACE(mechanism.name);
    Heads<T> rows(800, 300, mechanism.variant == 4);
    rows.separation = mechanism.separation;
    mechanism.change(rows.seen);
    Heads<T> fast = rows;
    Heads<T> again = rows;
    rows.run(1, three);
    fast.run(mechanism.variant, three);
    fast.expect_near(rows, kTolerance<T>);
    again.run(mechanism.variant, one);
    EXPECT_EQ(again.dq, fast.dq);
    EXPECT_EQ(again.dk, fast.dk);
    EXPECT_EQ(again.dv, fast.dv);
    EXPECT_EQ(again.dbeta, fast.dbeta);
  }
}

TEST(LongRetrieval, PartsOfAHeadAddUpForAnyNumberOfThreads) {
  expect_parts_to_add_up<float>();
  expect_parts_to_add_up<double>();
}

}  // namespace
}  // namespace basin::kernels
