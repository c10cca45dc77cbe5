// What the table of kernels cannot hold of the recurrences: aliasing, NaN, empty problems, missing
// workspaces, and that an item does not depend on its neighbours.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "kernels/recurrent/gru.h"
#include "kernels/recurrent/lstm.h"
#include "kernels/recurrent/rnn.h"
#include "tests/kernels/support.h"

namespace basin::kernels {
namespace {

template <class T>
class Recurrences : public testing::Test {
 protected:
  static constexpr DType kType = dtype_of<T>;
  static constexpr T kNaN = std::numeric_limits<T>::quiet_NaN();

  // One item more than a chunk of variant 1, units that are no multiple of a vector.
  static constexpr std::int64_t B = 17, L = 4, width = 19;

  static std::vector<T> numbers(std::int64_t per_step, std::uint64_t seed) {
    return uniform_numbers<T>(B * L * per_step, seed);
  }
  static std::vector<T> weights(std::int64_t gates, std::uint64_t seed) {
    return uniform_numbers<T>(gates * width * width, seed, -0.3, 0.3);
  }
  static std::size_t at(std::int64_t item, std::int64_t t) {
    return static_cast<std::size_t>((item * L + t) * width);
  }

  // Runs `call` (a parameter struct without workspace) with a workspace full of NaN.
  template <class P>
  Status run(P p, std::int64_t (*workspace)(const P&),
             Status (*kernel)(const P&, const CpuContext&), int variant) {
    p.dtype = kType;
    p.variant = variant;
    std::vector<T> memory(static_cast<std::size_t>(workspace(p)) / sizeof(T) + 1, kNaN);
    p.workspace = memory.data();
    return kernel(p, context_);
  }

  std::vector<T> rnn_states(std::vector<T>& x, const std::vector<T>& weight, Nonlinearity f,
                            int variant, std::int64_t items = B) {
    std::vector<T> h(x.size());
    EXPECT_TRUE(run(RnnForward{x.data(), weight.data(), h.data(), nullptr, items, L, width, f, {}},
                    rnn_forward_workspace, rnn_forward, variant)
                    .ok());
    return h;
  }

  TestContext context_;
};
using Types = testing::Types<float, double>;
TYPED_TEST_SUITE(Recurrences, Types);

// In every variant: 0 is one of the others, by machine.
constexpr int kVariants[] = {0, 1, 2};

TYPED_TEST(Recurrences, ElmanMayOverwriteItsInputAndShowsNaN) {
  using T = TypeParam;
  const std::int64_t W = this->width;
  const auto weight = this->weights(1, 5);
  for (const int variant : kVariants) {
    for (const Nonlinearity f : {Nonlinearity::tanh, Nonlinearity::relu}) {
      auto x = this->numbers(W, 6);
      x[this->at(0, 1)] = this->kNaN;  // one unit, then all
      const auto h = this->rnn_states(x, weight, f, variant);
      EXPECT_TRUE(
          this->run(
                  RnnForward{
                      x.data(), weight.data(), x.data(), nullptr, this->B, this->L, W, f, {}},
                  rnn_forward_workspace, rnn_forward, variant)
              .ok());
      for (std::size_t i = 0; i < h.size(); ++i) {
        const bool reached = i >= this->at(0, 2) && i < this->at(1, 0);
        ASSERT_EQ(std::isnan(h[i]), reached || i == this->at(0, 1)) << variant << ": " << i;
        ASSERT_TRUE(h[i] == x[i] || (std::isnan(h[i]) && std::isnan(x[i]))) << variant << ": " << i;
      }
      // The gradient of a tanh that is NaN is NaN, and reaches all units of the steps before.
      const auto dh = this->numbers(W, 7);
      std::vector<T> dx(h.size());
      EXPECT_TRUE(this->run(RnnBackward{h.data(),
                                        weight.data(),
                                        dh.data(),
                                        dx.data(),
                                        nullptr,
                                        this->B,
                                        this->L,
                                        W,
                                        f,
                                        {}},
                            rnn_backward_workspace, rnn_backward, variant)
                      .ok());
      EXPECT_EQ(std::isnan(dx[0]), f == Nonlinearity::tanh) << variant;
      EXPECT_FALSE(std::isnan(dx[this->at(1, 0)])) << variant;
    }
  }
}

TYPED_TEST(Recurrences, GatesMayOverwriteTheInputAndShowNaN) {
  using T = TypeParam;
  const std::int64_t W = this->width;
  const auto lstm_weight = this->weights(4, 8);
  const auto gru_weight = this->weights(3, 9);
  const auto bias = uniform_numbers<T>(3 * W, 10);
  for (const int variant : kVariants) {
    auto x = this->numbers(4 * W, 11);
    x[4 * this->at(0, 1)] = this->kNaN;
    std::vector<T> gates(x.size());
    std::vector<T> c(this->at(this->B, 0));
    std::vector<T> h(c.size());
    std::vector<T> h_again(c.size());
    const auto lstm = [&](T* to_gates, T* to_h) {
      EXPECT_TRUE(this->run(LstmForward{x.data(),
                                        lstm_weight.data(),
                                        to_gates,
                                        c.data(),
                                        to_h,
                                        nullptr,
                                        this->B,
                                        this->L,
                                        W,
                                        {}},
                            lstm_forward_workspace, lstm_forward, variant)
                      .ok());
    };
    lstm(gates.data(), h.data());
    lstm(x.data(), h_again.data());
    auto y = this->numbers(3 * W, 12);
    y[3 * this->at(0, 1)] = this->kNaN;
    std::vector<T> saved(4 * c.size());
    std::vector<T> states(c.size());
    EXPECT_TRUE(this->run(GruForward{y.data(),
                                     gru_weight.data(),
                                     bias.data(),
                                     saved.data(),
                                     states.data(),
                                     nullptr,
                                     this->B,
                                     this->L,
                                     W,
                                     {}},
                          gru_forward_workspace, gru_forward, variant)
                    .ok());
    for (std::size_t i = 0; i < h.size(); ++i) {
      const bool reached = (i >= this->at(0, 2) && i < this->at(1, 0)) || i == this->at(0, 1);
      ASSERT_EQ(std::isnan(h[i]), reached) << variant << ": " << i;
      ASSERT_EQ(std::isnan(states[i]), reached) << variant << ": " << i;
      ASSERT_TRUE(h[i] == h_again[i] || reached) << variant << ": " << i;
    }
  }
}

// Large and infinite inputs end at the limits of the gates.
TYPED_TEST(Recurrences, GatesSaturate) {
  using T = TypeParam;
  constexpr T inf = std::numeric_limits<T>::infinity();
  const std::vector<T> weight(4, T(0));
  for (const int variant : kVariants) {
    for (const T large : {T(1000), inf}) {
      const std::vector<T> x = {large, -large, large, -large};  // i, f, g, o
      std::vector<T> gates(4);
      T c = 0;
      T h = 0;
      ASSERT_TRUE(
          this->run(
                  LstmForward{x.data(), weight.data(), gates.data(), &c, &h, nullptr, 1, 1, 1, {}},
                  lstm_forward_workspace, lstm_forward, variant)
              .ok());
      EXPECT_EQ(gates[0], T(1)) << variant;
      EXPECT_NEAR(gates[1], T(0), T(1e-37)) << variant;
      EXPECT_NEAR(gates[2], T(1), T(1e-7)) << variant;
      EXPECT_NEAR(gates[3], T(0), T(1e-37)) << variant;
      EXPECT_NEAR(c, T(1), T(1e-7)) << variant;
    }
  }
}

// How many items go through time together follows the number of threads: no item may notice.
TYPED_TEST(Recurrences, AnItemOfThePackedVariantDoesNotDependOnTheOthers) {
  using T = TypeParam;
  auto x = this->numbers(this->width, 13);
  const auto weight = this->weights(1, 14);
  const auto together = this->rnn_states(x, weight, Nonlinearity::tanh, 2);
  for (const std::int64_t item : {0, 5, 16}) {
    std::vector<T> alone_x(x.begin() + static_cast<std::ptrdiff_t>(this->at(item, 0)),
                           x.begin() + static_cast<std::ptrdiff_t>(this->at(item + 1, 0)));
    const auto alone = this->rnn_states(alone_x, weight, Nonlinearity::tanh, 2, 1);
    EXPECT_TRUE(same_bits(
        alone,
        std::vector<T>(together.begin() + static_cast<std::ptrdiff_t>(this->at(item, 0)),
                       together.begin() + static_cast<std::ptrdiff_t>(this->at(item + 1, 0)))))
        << item;
  }
}

TYPED_TEST(Recurrences, EmptyProblemsNeedNothing) {
  for (const int variant : kVariants) {
    for (const auto& [items, steps] :
         {std::pair<std::int64_t, std::int64_t>{0, 3}, {3, 0}, {0, 0}}) {
      EXPECT_TRUE(rnn_forward({nullptr, nullptr, nullptr, nullptr, items, steps, 2,
                               Nonlinearity::tanh, this->kType, variant},
                              this->context_)
                      .ok());
      EXPECT_TRUE(rnn_backward({nullptr, nullptr, nullptr, nullptr, nullptr, items, steps, 2,
                                Nonlinearity::tanh, this->kType, variant},
                               this->context_)
                      .ok());
      EXPECT_TRUE(lstm_forward({nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, items, steps,
                                2, this->kType, variant},
                               this->context_)
                      .ok());
      EXPECT_TRUE(lstm_backward({nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, items, steps,
                                 2, this->kType, variant},
                                this->context_)
                      .ok());
      EXPECT_TRUE(gru_forward({nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, items, steps,
                               2, this->kType, variant},
                              this->context_)
                      .ok());
      EXPECT_TRUE(gru_backward({nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr,
                                items, steps, 2, this->kType, variant},
                               this->context_)
                      .ok());
    }
  }
}

TYPED_TEST(Recurrences, MissingWorkspacesAndUnknownVariantsAreInvalid) {
  using T = TypeParam;
  std::vector<T> a(8);
  const auto forward = [&](void* workspace, int variant) {
    return rnn_forward({a.data(), a.data(), a.data(), workspace, 1, 1, 1, Nonlinearity::tanh,
                        this->kType, variant},
                       this->context_)
        .code;
  };
  EXPECT_EQ(forward(nullptr, 2), Status::Code::invalid_argument);
  EXPECT_EQ(forward(a.data(), 3), Status::Code::invalid_argument);
  EXPECT_EQ(forward(a.data(), -1), Status::Code::invalid_argument);
  EXPECT_EQ(forward(nullptr, 1), Status::Code::ok);  // works in h
}

}  // namespace
}  // namespace basin::kernels
