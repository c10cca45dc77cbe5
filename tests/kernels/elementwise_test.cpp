// The elementwise tables against a second opinion: every operation written down once more, by name.
#include "kernels/elementwise/elementwise.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <numbers>
#include <string>
#include <utility>
#include <vector>

#include "tests/kernels/support.h"

namespace basin::kernels {
namespace {

using Function = std::function<double(double)>;
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

double phi(double x) { return 0.5 * std::erfc(-x / std::numbers::sqrt2); }

// What each line of unary_table.inc claims to be. Where it matters, by another formula than the
// table's: sigmoid through tanh, Phi through erfc, softplus in long double.
const std::map<std::string, Function>& definitions() {
  static const std::map<std::string, Function> all = {
      {"neg", [](double x) { return 0 - x; }},
      {"exp", [](double x) { return std::exp(x); }},
      {"log", [](double x) { return std::log(x); }},
      {"sqrt", [](double x) { return std::sqrt(x); }},
      {"reciprocal", [](double x) { return std::pow(x, -1); }},
      {"square", [](double x) { return std::pow(x, 2); }},
      {"abs", [](double x) { return std::fabs(x); }},
      {"sin", [](double x) { return std::sin(x); }},
      {"cos", [](double x) { return std::cos(x); }},
      {"tanh", [](double x) { return std::tanh(x); }},
      {"sigmoid", [](double x) { return 0.5 + 0.5 * std::tanh(x / 2); }},
      {"silu", [](double x) { return x * (0.5 + 0.5 * std::tanh(x / 2)); }},
      {"softplus",
       [](double x) {
         return static_cast<double>(std::log(1 + std::exp(static_cast<long double>(x))));
       }},
      {"relu", [](double x) { return std::fmax(x, 0); }},
      {"elu", [](double x) { return x > 0 ? x : std::expm1(x); }},
      {"gelu", [](double x) { return x * phi(x); }},
      {"gelu_tanh",
       [](double x) {
         const double inner = std::sqrt(2 / std::numbers::pi) * (x + 0.044715 * std::pow(x, 3));
         return x * (0.5 + 0.5 * std::tanh(inner));
       }},
  };
  return all;
}

std::vector<UnaryOp> unary_operations() {
  std::vector<UnaryOp> all;
  for (int op = 0; op < static_cast<int>(UnaryOp::count); ++op) {
    all.push_back(static_cast<UnaryOp>(op));
  }
  return all;
}

std::vector<BinaryOp> binary_operations() {
  std::vector<BinaryOp> all;
  for (int op = 0; op < static_cast<int>(BinaryOp::count); ++op) {
    all.push_back(static_cast<BinaryOp>(op));
  }
  return all;
}

// Numbers on both sides of a kink at 0 where the domain allows it, none nearer to it than 0.05.
std::vector<double> test_inputs(UnaryOp op) {
  const std::string name = info(op).name;
  const bool positive = name == "log" || name == "sqrt";
  std::vector<double> x;
  for (double value = 0.05; value < 8; value *= 1.07) {
    x.push_back(value);
    if (!positive) {
      x.push_back(-value);
    }
  }
  return x;
}

template <class T>
std::vector<T> evaluate(UnaryOp op, const std::vector<T>& x, const CpuContext& context) {
  std::vector<T> y(x.size(), std::numeric_limits<T>::quiet_NaN());
  const auto count = static_cast<std::int64_t>(x.size());
  EXPECT_TRUE(unary_forward({op, x.data(), y.data(), count, dtype_of<T>}, context).ok());
  return y;
}

TEST(Unary, ComputesWhatItsNameSays) {
  const TestContext context(1);
  for (const UnaryOp op : unary_operations()) {
    SCOPED_TRACE(info(op).name);
    const auto definition = definitions().find(info(op).name);
    ASSERT_NE(definition, definitions().end()) << "add its definition to this test";
    const std::vector<double> x = test_inputs(op);
    const std::vector<float> narrow(x.begin(), x.end());
    const std::vector<double> y = evaluate(op, x, context);
    const std::vector<float> narrow_y = evaluate(op, narrow, context);
    for (std::size_t i = 0; i < x.size(); ++i) {
      // A few roundings of values up to e^8; cancellation in softplus and elu near 0 is absolute.
      const double expected = definition->second(x[i]);
      EXPECT_TRUE(std::abs(y[i] - expected) <= 1e-15 * (2 + 3 * std::abs(expected))) << x[i];
      const double expected_f32 = definition->second(static_cast<double>(narrow[i]));
      EXPECT_TRUE(std::abs(static_cast<double>(narrow_y[i]) - expected_f32) <=
                  1e-6 * (1 + std::abs(expected_f32)))
          << x[i];
    }
  }
}

TEST(Unary, HasTheDerivativeOfItsDefinition) {
  const TestContext context(1);
  constexpr double h = 1e-3;
  for (const UnaryOp op : unary_operations()) {
    SCOPED_TRACE(info(op).name);
    const auto definition = definitions().find(info(op).name);
    ASSERT_NE(definition, definitions().end()) << "add its definition to this test";
    const Function& f = definition->second;
    const std::vector<double> x = test_inputs(op);
    const std::vector<double> y = evaluate(op, x, context);
    const std::vector<double> dy = uniform_numbers<double>(static_cast<std::int64_t>(x.size()), 3);
    std::vector<double> dx(x.size(), kNaN);
    ASSERT_TRUE(unary_backward({op, x.data(), y.data(), dy.data(), dx.data(),
                                static_cast<std::int64_t>(x.size()), DType::f64},
                               context)
                    .ok());
    for (std::size_t i = 0; i < x.size(); ++i) {
      // Fourth-order differences with a step relative to x: 1/x changes fast near 0.
      const double step = h * std::min(1.0, std::abs(x[i]));
      const double slope =
          (f(x[i] - 2 * step) - 8 * f(x[i] - step) + 8 * f(x[i] + step) - f(x[i] + 2 * step)) /
          (12 * step);
      EXPECT_TRUE(std::abs(dx[i] - dy[i] * slope) <= 1e-9 * (1 + std::abs(slope))) << x[i];
    }
  }
}

TEST(Unary, MayOverwriteItsInput) {
  const TestContext context(2);
  for (const UnaryOp op : unary_operations()) {
    auto x = uniform_numbers<float>(40000, 1, info(op).low, info(op).high);
    const std::vector<float> y = evaluate(op, x, context);
    ASSERT_TRUE(unary_forward({op, x.data(), x.data(), 40000, DType::f32}, context).ok());
    EXPECT_TRUE(same_bits(x, y)) << info(op).name;
  }
}

template <class T>
void expect_nan_to_pass() {
  const TestContext context(1);
  const T nan = std::numeric_limits<T>::quiet_NaN();
  // More than the widest vector, so that the vectorised body and the rest both see NaN.
  const std::vector<T> x(19, nan);
  for (const UnaryOp op : unary_operations()) {
    for (const T y : evaluate(op, x, context)) {
      EXPECT_TRUE(std::isnan(y)) << info(op).name;
    }
  }
  const std::vector<T> one(19, T(1));
  for (const BinaryOp op : binary_operations()) {
    for (const auto& [a, b] : {std::pair{&x, &one}, std::pair{&one, &x}, std::pair{&x, &x}}) {
      std::vector<T> y(19, T(0));
      const BinaryForward p{op, a->data(), b->data(), y.data(), 1, {19}, {1}, {1}, dtype_of<T>};
      ASSERT_TRUE(binary_forward(p, context).ok());
      for (const T value : y) {
        EXPECT_TRUE(std::isnan(value)) << info(op).name;
      }
    }
  }
}

TEST(Elementwise, NaNIsNeverHidden) {
  expect_nan_to_pass<float>();
  expect_nan_to_pass<double>();
}

// The saturated ends, where a careless formula gives NaN (inf - inf, 0 inf) or overflows early.
TEST(Unary, SaturatesWithoutNaN) {
  const TestContext context(1);
  struct Saturation {
    UnaryOp op;
    float x, y;
  };
  for (const Saturation s :
       {Saturation{UnaryOp::sigmoid, 200, 1}, Saturation{UnaryOp::sigmoid, -200, 0},
        Saturation{UnaryOp::silu, 200, 200}, Saturation{UnaryOp::silu, -200, 0},
        Saturation{UnaryOp::softplus, 1000, 1000}, Saturation{UnaryOp::softplus, -1000, 0},
        Saturation{UnaryOp::elu, 1000, 1000}, Saturation{UnaryOp::elu, -1000, -1},
        Saturation{UnaryOp::gelu, 100, 100}, Saturation{UnaryOp::gelu, -100, 0},
        Saturation{UnaryOp::gelu_tanh, 100, 100}, Saturation{UnaryOp::gelu_tanh, -100, 0},
        Saturation{UnaryOp::tanh, 1000, 1}, Saturation{UnaryOp::tanh, -1000, -1},
        Saturation{UnaryOp::exp, -1000, 0}}) {
    const std::vector<float> x(9, s.x);
    const std::vector<float> y = evaluate(s.op, x, context);
    const std::vector<float> dy(9, 1.0f);
    std::vector<float> dx(9);
    ASSERT_TRUE(
        unary_backward({s.op, x.data(), y.data(), dy.data(), dx.data(), 9, DType::f32}, context)
            .ok());
    EXPECT_EQ(y[0], s.y) << info(s.op).name << " of " << s.x;
    EXPECT_EQ(y[8], s.y) << info(s.op).name << " of " << s.x;
    EXPECT_TRUE(std::isfinite(dx[0]) && std::isfinite(dx[8])) << info(s.op).name << " of " << s.x;
  }
}

double binary_definition(BinaryOp op, double a, double b) {
  switch (op) {
    case BinaryOp::add: return b + a;
    case BinaryOp::sub: return -(b - a);
    case BinaryOp::mul: return b * a;
    case BinaryOp::div: return a / b;
    case BinaryOp::maximum: return std::fmax(a, b);
    case BinaryOp::minimum: return std::fmin(a, b);
    case BinaryOp::count: break;
  }
  return kNaN;
}

TEST(Binary, SharesTheGradientOfATieAsDocumented) {
  const TestContext context(1);
  const double a = 2;
  const double dy = 3;
  for (const BinaryOp op : {BinaryOp::maximum, BinaryOp::minimum}) {
    double da = kNaN;
    double db = kNaN;
    const BinaryBackward p{op, &a, &a, &dy, &da, &db, 1, {1}, {1}, {1}, DType::f64};
    ASSERT_TRUE(binary_backward(p, context).ok());
    EXPECT_EQ(da + db, dy) << "one subgradient, not both";
  }
}

// Random shapes of every rank, with dimensions of extent 0 and 1, broadcast and permuted operands.
TEST(Binary, AgreesWithIndexArithmeticForAnyStrides) {
  const TestContext context(2);
  std::uint64_t draw = 0;
  const auto below = [&draw](std::uint32_t n) {
    return static_cast<std::int64_t>(philox_word(77, 0, draw++) % n);
  };
  for (int trial = 0; trial < 400; ++trial) {
    const int rank = static_cast<int>(below(kMaxRank + 1));
    BinaryForward p{};
    p.op = binary_operations()[static_cast<std::size_t>(trial) % binary_operations().size()];
    p.rank = rank;
    p.dtype = DType::f64;
    std::int64_t count = 1;
    for (int d = 0; d < rank; ++d) {
      p.extents[d] = trial % 50 == 49 ? below(3) : 1 + below(4);
      count *= p.extents[d];
    }
    // Strides of a permuted contiguous array, then 0 for some dimensions.
    const auto make_strides = [&](std::int64_t* strides) {
      std::int64_t size = 1;
      const std::int64_t shift = rank > 0 ? below(static_cast<std::uint32_t>(rank)) : 0;
      for (int n = 0; n < rank; ++n) {
        const std::int64_t d = rank - 1 - (n + shift) % rank;
        const bool broadcast = below(4) == 0;
        strides[d] = broadcast ? 0 : size;
        size *= broadcast ? 1 : std::max<std::int64_t>(p.extents[d], 1);
      }
      return size;
    };
    const auto a = uniform_numbers<double>(make_strides(p.a_strides), 1, 0.5, 2);
    const auto b = uniform_numbers<double>(make_strides(p.b_strides), 2, 0.5, 2);
    std::vector<double> y(static_cast<std::size_t>(count), kNaN);
    p.a = a.data();
    p.b = b.data();
    p.y = y.data();
    ASSERT_TRUE(binary_forward(p, context).ok());
    for (std::int64_t at = 0; at < count; ++at) {
      std::int64_t rest = at;
      std::int64_t at_a = 0;
      std::int64_t at_b = 0;
      for (int d = rank - 1; d >= 0; --d) {
        at_a += rest % p.extents[d] * p.a_strides[d];
        at_b += rest % p.extents[d] * p.b_strides[d];
        rest /= p.extents[d];
      }
      ASSERT_EQ(y[static_cast<std::size_t>(at)],
                binary_definition(p.op, a[static_cast<std::size_t>(at_a)],
                                  b[static_cast<std::size_t>(at_b)]))
          << info(p.op).name << " trial " << trial << " element " << at;
    }
  }
}

TEST(Copy, ReadsBackwardsWithNegativeStrides) {
  const TestContext context(2);
  const auto x = uniform_numbers<float>(20000, 4);
  std::vector<float> y(20000);
  const Copy p{x.data() + 19999, y.data(), 1, {20000}, {-1}, {1}, DType::f32, DType::f32};
  ASSERT_TRUE(copy(p, context).ok());
  EXPECT_TRUE(same_bits(y, std::vector<float>(x.rbegin(), x.rend())));
}

TEST(Copy, MovesAScalarAndNothing) {
  const TestContext context(1);
  const double x = 1.5;
  float y = 0;
  ASSERT_TRUE(copy({&x, &y, 0, {}, {}, {}, DType::f64, DType::f32}, context).ok());
  EXPECT_EQ(y, 1.5f);
  ASSERT_TRUE(copy({&x, nullptr, 2, {3, 0}, {0, 1}, {0, 1}, DType::f64, DType::f64}, context).ok());
}

TEST(Copy, KeepsLargeIntegersExact) {
  const TestContext context(1);
  const std::array<std::int64_t, 3> x = {(std::int64_t{1} << 62) + 1, -1, std::int64_t{1} << 53};
  std::array<std::int64_t, 3> y{};
  ASSERT_TRUE(copy({x.data(), y.data(), 1, {3}, {1}, {1}, DType::i64, DType::i64}, context).ok());
  EXPECT_EQ(x, y);
  // To f32 and back each rounds once: 2^53 survives, the odd number does not.
  std::array<float, 3> narrow{};
  ASSERT_TRUE(
      copy({x.data(), narrow.data(), 1, {3}, {1}, {1}, DType::i64, DType::f32}, context).ok());
  EXPECT_EQ(narrow, (std::array<float, 3>{0x1p62f, -1.0f, 0x1p53f}));
}

TEST(Copy, MakesOneOfEveryTrueByteAndNaN) {
  const TestContext context(1);
  const std::array<std::uint8_t, 3> bytes = {0, 1, 255};
  std::array<std::int32_t, 3> numbers{};
  ASSERT_TRUE(
      copy({bytes.data(), numbers.data(), 1, {3}, {1}, {1}, DType::boolean, DType::i32}, context)
          .ok());
  EXPECT_EQ(numbers, (std::array<std::int32_t, 3>{0, 1, 1}));
  const std::array<double, 3> x = {-0.0, kNaN, 1e-300};
  std::array<std::uint8_t, 3> flags{};
  ASSERT_TRUE(
      copy({x.data(), flags.data(), 1, {3}, {1}, {1}, DType::f64, DType::boolean}, context).ok());
  EXPECT_EQ(flags, (std::array<std::uint8_t, 3>{0, 1, 1}));
}

TEST(Fill, WritesEveryDType) {
  const TestContext context(2);
  constexpr std::int64_t count = 70001;
  for (const DType dtype : {DType::f32, DType::f64, DType::bf16, DType::f16, DType::i32, DType::i64,
                            DType::u8, DType::boolean}) {
    SCOPED_TRACE(name_of(dtype));
    std::vector<double> storage(count + 1, kNaN);
    ASSERT_TRUE(fill({storage.data(), count, 3.0, dtype}, context).ok());
    std::vector<double> y(count, kNaN);
    ASSERT_TRUE(
        copy({storage.data(), y.data(), 1, {count}, {1}, {1}, dtype, DType::f64}, context).ok());
    EXPECT_EQ(y, std::vector<double>(count, dtype == DType::boolean ? 1.0 : 3.0));
    EXPECT_TRUE(std::isnan(storage[count])) << "wrote beyond the end";
  }
}

}  // namespace
}  // namespace basin::kernels
