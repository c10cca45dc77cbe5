// Kernels on rows where rounding, infinities and NaN decide: softmax, cross-entropy, layer norm,
// reductions, embedding.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "kernels/embedding/embedding.h"
#include "kernels/loss/cross_entropy.h"
#include "kernels/norm/layer_norm.h"
#include "kernels/reduce/reduce.h"
#include "kernels/softmax/softmax.h"
#include "tests/kernels/support.h"

namespace basin::kernels {
namespace {

template <class T>
class Rows : public testing::Test {
 protected:
  static constexpr T kInfinity = std::numeric_limits<T>::infinity();
  static constexpr T kNaN = std::numeric_limits<T>::quiet_NaN();
  static constexpr DType kType = dtype_of<T>;
  const TestContext context_{2};

  std::vector<T> softmax(std::vector<T> x) const {
    EXPECT_TRUE(softmax_forward({x.data(), x.data(), 1, static_cast<std::int64_t>(x.size()), kType},
                                context_)
                    .ok());
    return x;
  }

  T loss(const std::vector<T>& x, std::int64_t target) const {
    T row_loss = kNaN;
    T lse = kNaN;
    EXPECT_TRUE(cross_entropy_forward({x.data(), &target, &row_loss, &lse, 1,
                                       static_cast<std::int64_t>(x.size()), -100, 0.0, kType},
                                      context_)
                    .ok());
    return row_loss;
  }
};

using Floats = testing::Types<float, double>;
TYPED_TEST_SUITE(Rows, Floats);

TYPED_TEST(Rows, SoftmaxDoesNotOverflow) {
  using T = TypeParam;
  const T large = std::numeric_limits<T>::max() / 2;
  EXPECT_EQ(this->softmax({large, large, -large}), (std::vector<T>{T(0.5), T(0.5), 0}));
  EXPECT_EQ(this->softmax({-large, -large}), (std::vector<T>{T(0.5), T(0.5)}));
}

TYPED_TEST(Rows, SoftmaxOfNothingVisibleIsZero) {
  using T = TypeParam;
  EXPECT_EQ(this->softmax(std::vector<T>(11, -this->kInfinity)), std::vector<T>(11, T(0)));
  EXPECT_EQ(this->softmax({-this->kInfinity, 3, -this->kInfinity}), (std::vector<T>{0, 1, 0}));
}

TYPED_TEST(Rows, SoftmaxShowsNaN) {
  using T = TypeParam;
  for (const std::vector<T>& x :
       {std::vector<T>{1, this->kNaN, 2}, std::vector<T>{this->kNaN, -this->kInfinity},
        std::vector<T>{this->kNaN}, std::vector<T>{1, this->kInfinity}}) {
    for (const T y : this->softmax(x)) {
      EXPECT_TRUE(std::isnan(y));
    }
  }
}

TYPED_TEST(Rows, CrossEntropyOfACertainHitIsExactlyZero) {
  const TypeParam loss = this->loss({1000, -1000, 0}, 0);
  EXPECT_EQ(loss, 0);
  EXPECT_FALSE(std::signbit(loss));
  EXPECT_EQ(this->loss({1000, -1000, 0}, 1), 2000);
  EXPECT_TRUE(std::isnan(this->loss({1, this->kNaN, 0}, 0)));
}

TYPED_TEST(Rows, CrossEntropyGradientOfARowSumsToZero) {
  using T = TypeParam;
  constexpr std::int64_t rows = 5;
  constexpr std::int64_t classes = 13;
  const auto logits = uniform_numbers<T>(rows * classes, 8, -3, 3);
  const std::vector<std::int64_t> targets = {0, 12, 5, -100, 7};
  std::vector<T> loss(rows);
  std::vector<T> lse(rows);
  std::vector<T> gradient(rows * classes, this->kNaN);
  for (const double smoothing : {0.0, 0.2}) {
    ASSERT_TRUE(cross_entropy_forward({logits.data(), targets.data(), loss.data(), lse.data(), rows,
                                       classes, -100, smoothing, this->kType},
                                      this->context_)
                    .ok());
    ASSERT_TRUE(cross_entropy_backward({logits.data(), targets.data(), lse.data(), gradient.data(),
                                        rows, classes, -100, smoothing, 1.0, this->kType},
                                       this->context_)
                    .ok());
    EXPECT_EQ(loss[3], 0);
    for (std::size_t r = 0; r < rows; ++r) {
      double sum = 0;
      for (std::size_t c = 0; c < classes; ++c) {
        sum += static_cast<double>(gradient[r * classes + c]);
        EXPECT_TRUE(r != 3 || gradient[r * classes + c] == 0);
      }
      // 13 exponentials of relative error 2 ulp.
      EXPECT_NEAR(sum, 0, 40 * static_cast<double>(std::numeric_limits<T>::epsilon()));
    }
  }
}

// A one-pass variance would lose all digits here: the mean is 10^4 times the deviation.
TYPED_TEST(Rows, LayerNormSurvivesALargeMean) {
  using T = TypeParam;
  constexpr std::int64_t cols = 64;
  std::vector<T> x(cols);
  for (std::size_t c = 0; c < x.size(); ++c) {
    x[c] = static_cast<T>(c % 2 == 0 ? 10001 : 9999);
  }
  std::vector<T> y(cols);
  T mean = 0;
  T rstd = 0;
  ASSERT_TRUE(layer_norm_forward({x.data(), nullptr, nullptr, y.data(), &mean, &rstd, 1, cols, cols,
                                  cols, 1e-5, this->kType},
                                 this->context_)
                  .ok());
  EXPECT_EQ(mean, 10000);
  for (std::size_t c = 0; c < y.size(); ++c) {
    EXPECT_NEAR(static_cast<double>(y[c]), (c % 2 == 0 ? 1 : -1) / std::sqrt(1 + 1e-5), 1e-6);
  }
}

TYPED_TEST(Rows, LayerNormOfAConstantRowIsItsBias) {
  using T = TypeParam;
  const std::vector<T> x(9, T(3));
  const std::vector<T> weight(9, T(2));
  const auto bias = uniform_numbers<T>(9, 1);
  std::vector<T> y(9);
  T mean = 0;
  T rstd = 0;
  ASSERT_TRUE(layer_norm_forward({x.data(), weight.data(), bias.data(), y.data(), &mean, &rstd, 1,
                                  9, 9, 9, 1e-5, this->kType},
                                 this->context_)
                  .ok());
  EXPECT_EQ(y, bias);
}

TYPED_TEST(Rows, LayerNormLeavesOutWeightBiasAndUnwantedGradients) {
  using T = TypeParam;
  constexpr std::int64_t rows = 3;
  constexpr std::int64_t cols = 5;
  const auto x = uniform_numbers<T>(rows * cols, 1);
  const auto dy = uniform_numbers<T>(rows * cols, 2);
  const std::vector<T> ones(cols, T(1));
  const std::vector<T> zeros(cols, T(0));
  std::vector<T> mean(rows);
  std::vector<T> rstd(rows);
  std::vector<T> plain(rows * cols);
  std::vector<T> full(rows * cols);
  const auto forward = [&](const T* weight, const T* bias, std::vector<T>& y) {
    return layer_norm_forward({x.data(), weight, bias, y.data(), mean.data(), rstd.data(), rows,
                               cols, cols, cols, 1e-5, this->kType},
                              this->context_)
        .ok();
  };
  ASSERT_TRUE(forward(nullptr, nullptr, plain));
  ASSERT_TRUE(forward(ones.data(), zeros.data(), full));
  EXPECT_EQ(plain, full);
  ASSERT_TRUE(forward(ones.data(), nullptr, full));
  EXPECT_EQ(plain, full);

  std::vector<T> dx(rows * cols);
  std::vector<T> dx_alone(rows * cols);
  std::vector<T> dweight(cols);
  std::vector<T> dbias(cols);
  std::vector<T> dweight_alone(cols);
  std::vector<T> dbias_alone(cols);
  std::vector<double> workspace(
      static_cast<std::size_t>(layer_norm_backward_workspace(rows, cols)));
  const auto backward = [&](T* to_x, T* to_weight, T* to_bias) {
    return layer_norm_backward({x.data(), ones.data(), mean.data(), rstd.data(), dy.data(), to_x,
                                to_weight, to_bias, workspace.data(), rows, cols, this->kType},
                               this->context_)
        .ok();
  };
  ASSERT_TRUE(backward(dx.data(), dweight.data(), dbias.data()));
  ASSERT_TRUE(backward(dx_alone.data(), nullptr, nullptr));
  ASSERT_TRUE(backward(nullptr, dweight_alone.data(), dbias_alone.data()));
  EXPECT_EQ(dx, dx_alone);
  EXPECT_EQ(dweight, dweight_alone);
  EXPECT_EQ(dbias, dbias_alone);
}

TYPED_TEST(Rows, MaximumTakesTheFirstOfEqualsAndShowsNaN) {
  using T = TypeParam;
  struct Expectation {
    std::vector<T> x;
    std::int64_t at;
  };
  for (const Expectation& e :
       {Expectation{{1, 3, 3, 2}, 1}, Expectation{{-this->kInfinity, -this->kInfinity}, 0},
        Expectation{{1, this->kNaN, this->kInfinity, this->kNaN}, 1},
        Expectation{{this->kNaN, 5}, 0}, Expectation{{5}, 0}}) {
    T largest = 0;
    std::int64_t index = -1;
    const auto extent = static_cast<std::int64_t>(e.x.size());
    ASSERT_TRUE(
        reduce({ReduceOp::max, e.x.data(), &largest, 1, extent, 1, this->kType}, this->context_)
            .ok());
    ASSERT_TRUE(
        reduce({ReduceOp::argmax, e.x.data(), &index, 1, extent, 1, this->kType}, this->context_)
            .ok());
    EXPECT_EQ(index, e.at);
    const T expected = e.x[static_cast<std::size_t>(e.at)];
    EXPECT_TRUE(largest == expected || (std::isnan(largest) && std::isnan(expected)));
  }
}

// In f32 a running sum would stop growing at 2^24.
TYPED_TEST(Rows, SumsAreAccumulatedInDouble) {
  using T = TypeParam;
  constexpr std::int64_t count = (1 << 24) + 4096;
  const std::vector<T> ones(count, T(1));
  T sum = 0;
  for (const auto& [extent, inner] : {std::pair{count, std::int64_t{1}}, {count / 2, 2}}) {
    std::vector<T> y(static_cast<std::size_t>(inner));
    ASSERT_TRUE(reduce({ReduceOp::sum, ones.data(), y.data(), 1, extent, inner, this->kType},
                       this->context_)
                    .ok());
    sum = y[0];
    EXPECT_EQ(sum, static_cast<T>(extent));
  }
}

TYPED_TEST(Rows, EmbeddingGradientAddsInTheOrderOfTheIds) {
  using T = TypeParam;
  // 1 + tiny + tiny in this order loses both; another order would keep their sum.
  const T tiny = std::numeric_limits<T>::epsilon() / 2;
  const std::vector<std::int64_t> ids = {1, 1, 1};
  const std::vector<T> dy = {1, tiny, tiny};
  for (const int variant : {0, 1, 2}) {
    std::vector<T> dtable(3, this->kNaN);
    std::vector<std::int64_t> workspace(64);
    EXPECT_TRUE(embedding_backward({ids.data(), dy.data(), dtable.data(), 3, 3, 1, this->kType,
                                    workspace.data(), variant},
                                   this->context_)
                    .ok());
    EXPECT_EQ(dtable, (std::vector<T>{0, 1, 0})) << "variant " << variant;
  }
}

}  // namespace
}  // namespace basin::kernels
