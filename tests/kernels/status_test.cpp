// What kernels answer to arguments they cannot work with: a status, never a crash, and nothing
// written.
#include "kernels/common/status.h"

#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <vector>

#include "kernels/association/linear_attention.h"
#include "kernels/association/softmax_attention.h"
#include "kernels/dropout/dropout.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/embedding/embedding.h"
#include "kernels/loss/cross_entropy.h"
#include "kernels/norm/layer_norm.h"
#include "kernels/optim/adamw.h"
#include "kernels/random/random.h"
#include "kernels/recurrent/rnn.h"
#include "kernels/reduce/reduce.h"
#include "kernels/softmax/softmax.h"
#include "tests/kernels/support.h"

namespace basin::kernels {
namespace {

using Code = Status::Code;

void expect_invalid(const Status& status, std::int64_t position = -1) {
  EXPECT_EQ(status.code, Code::invalid_argument) << status.message;
  EXPECT_EQ(status.position, position);
  EXPECT_NE(std::string(status.message), "");
}

class Statuses : public testing::Test {
 protected:
  const TestContext context_{1};
  // Large enough for every call below, in every dtype.
  std::vector<double> in_ = std::vector<double>(64, 1.0);
  std::vector<double> out_ = std::vector<double>(64, 7.0);
  std::vector<double> more_ = std::vector<double>(64, 7.0);

  void expect_untouched() const {
    EXPECT_EQ(out_, std::vector<double>(64, 7.0));
    EXPECT_EQ(more_, std::vector<double>(64, 7.0));
  }
};

TEST_F(Statuses, EmbeddingNamesTheFirstIdOutside) {
  for (const std::int64_t bad :
       {std::int64_t{-1}, std::int64_t{4}, std::numeric_limits<std::int64_t>::max(),
        std::numeric_limits<std::int64_t>::min()}) {
    const std::vector<std::int64_t> ids = {0, 3, bad, 1, bad};
    expect_invalid(
        embedding_forward({ids.data(), in_.data(), out_.data(), 5, 4, 3, DType::f64}, context_), 2);
    expect_invalid(
        embedding_backward({ids.data(), in_.data(), out_.data(), 5, 4, 3, DType::f64}, context_),
        2);
  }
  expect_untouched();
}

TEST_F(Statuses, CrossEntropyNamesTheFirstTargetOutside) {
  for (const std::int64_t bad : {std::int64_t{-1}, std::int64_t{3}, std::int64_t{-99}}) {
    const std::vector<std::int64_t> targets = {0, -100, 2, bad};
    expect_invalid(cross_entropy_forward({in_.data(), targets.data(), out_.data(), more_.data(), 4,
                                          3, -100, 0.0, DType::f64},
                                         context_),
                   3);
    expect_invalid(cross_entropy_backward({in_.data(), targets.data(), in_.data(), out_.data(), 4,
                                           3, -100, 0.0, 1.0, DType::f64},
                                          context_),
                   3);
  }
  expect_untouched();
}

TEST_F(Statuses, DropoutWantsAProbabilityBelowOne) {
  for (const double p : {-0.1, 1.0, 1.5, std::numeric_limits<double>::quiet_NaN()}) {
    expect_invalid(dropout({in_.data(), out_.data(), 4, p, 1, 0, DType::f64}, context_));
  }
  expect_untouched();
}

TEST_F(Statuses, ReduceHasNoMaximumOfNothing) {
  for (const ReduceOp op : {ReduceOp::max, ReduceOp::argmax}) {
    expect_invalid(reduce({op, in_.data(), out_.data(), 2, 0, 3, DType::f64}, context_));
  }
  expect_untouched();
  ASSERT_TRUE(reduce({ReduceOp::sum, in_.data(), out_.data(), 2, 0, 3, DType::f64}, context_).ok());
  EXPECT_EQ(std::vector<double>(out_.begin(), out_.begin() + 6), std::vector<double>(6, 0.0));
}

TEST_F(Statuses, AdamWCountsStepsFromOne) {
  expect_invalid(adamw({out_.data(), in_.data(), more_.data(), more_.data(), 4, 0, 0.1, 0.9, 0.99,
                        1e-8, 0, 1, DType::f64},
                       context_));
  expect_untouched();
}

TEST_F(Statuses, RowsMustHaveElements) {
  expect_invalid(layer_norm_forward({in_.data(), nullptr, nullptr, out_.data(), more_.data(),
                                     more_.data(), 3, 0, 0, 0, 1e-5, DType::f64},
                                    context_));
  expect_invalid(rnn_forward(
      {in_.data(), in_.data(), out_.data(), more_.data(), 1, 2, 0, Nonlinearity::tanh, DType::f64},
      context_));
  expect_invalid(rnn_backward({in_.data(), in_.data(), in_.data(), out_.data(), more_.data(), 1, 2,
                               0, Nonlinearity::tanh, DType::f64},
                              context_));
  expect_invalid(rnn_forward(
      {in_.data(), in_.data(), out_.data(), more_.data(), -1, 2, 2, Nonlinearity::tanh, DType::f64},
      context_));
  expect_untouched();
}

// Attention of one head on 2 queries and 2 keys of width 2, everything from the two buffers.
AttentionForward attention_of(std::vector<double>& in, std::vector<double>& out) {
  const HeadView x{in.data(), 4, 4, 2};
  return {x,
          x,
          x,
          {out.data(), 4, 4, 2},
          in.data(),
          nullptr,
          out.data() + 8,
          out.data() + 16,
          1,
          1,
          2,
          2,
          2,
          2,
          false,
          DType::f64};
}

LinearAttentionForward linear_of(std::vector<double>& in, std::vector<double>& out) {
  const HeadView x{in.data(), 4, 4, 2};
  return {x,
          x,
          x,
          {out.data(), 4, 4, 2},
          nullptr,
          out.data() + 8,
          out.data() + 16,
          1,
          1,
          2,
          2,
          2,
          2,
          false,
          1e-6,
          DType::f64};
}

template <class P>
P changed(P p, void (*change)(P&)) {
  change(p);
  return p;
}

TEST_F(Statuses, AttentionChecksItsShape) {
  using P = AttentionForward;
  P good = attention_of(in_, out_);
  good.variant = 1;  // the one with the smallest workspace
  for (void (*change)(P&) :
       {+[](P& p) { p.B = -1; }, +[](P& p) { p.L = -1; }, +[](P& p) { p.M = -1; },
        +[](P& p) { p.D = 0; }, +[](P& p) { p.Dv = 0; }, +[](P& p) { p.variant = 4; },
        +[](P& p) { p.variant = -1; }, +[](P& p) { p.q.row_stride = 1; },
        +[](P& p) { p.k.row_stride = 0; }, +[](P& p) { p.v.row_stride = 1; },
        +[](P& p) { p.out.row_stride = -2; }}) {
    expect_invalid(attention_forward(changed(good, change), context_));
  }
  expect_untouched();
  EXPECT_TRUE(attention_forward(good, context_).ok());
}

TEST_F(Statuses, LinearAttentionChecksItsShape) {
  using P = LinearAttentionForward;
  P good = linear_of(in_, out_);
  good.variant = 1;  // the one with the smallest workspace
  for (void (*change)(P&) :
       {+[](P& p) { p.H = -1; }, +[](P& p) { p.L = -1; }, +[](P& p) { p.M = -1; },
        +[](P& p) { p.D = 0; }, +[](P& p) { p.Dv = 0; }, +[](P& p) { p.q.row_stride = 1; },
        +[](P& p) { p.k.row_stride = 1; }, +[](P& p) { p.variant = 3; }}) {
    expect_invalid(linear_attention_forward(changed(good, change), context_));
  }
  expect_untouched();
  EXPECT_TRUE(linear_attention_forward(good, context_).ok());
}

TEST_F(Statuses, ArithmeticIsF32OrF64) {
  AttentionForward attention = attention_of(in_, out_);
  LinearAttentionForward linear = linear_of(in_, out_);
  const std::vector<std::int64_t> ids(4, 0);
  for (const DType dtype :
       {DType::i32, DType::i64, DType::u8, DType::boolean, DType::bf16, DType::f16}) {
    SCOPED_TRACE(name_of(dtype));
    const void* x = in_.data();
    void* y = out_.data();
    void* z = more_.data();
    double* scratch = more_.data();
    attention.dtype = dtype;
    linear.dtype = dtype;
    BinaryForward binary{BinaryOp::add, x, x, y, 1, {4}, {1}, {1}, dtype};
    BinaryBackward binary_gradient{BinaryOp::add, x, x, x, y, z, 1, {4}, {1}, {1}, dtype};
    const Status answers[] = {
        unary_forward({UnaryOp::exp, x, y, 4, dtype}, context_),
        unary_backward({UnaryOp::exp, x, x, x, y, 4, dtype}, context_),
        binary_forward(binary, context_),
        binary_backward(binary_gradient, context_),
        affine({x, y, 4, 1, 0, dtype}, context_),
        reduce({ReduceOp::sum, x, y, 2, 2, 1, dtype}, context_),
        sum_of_squares({x, scratch, scratch, 4, dtype}, context_),
        softmax_forward({x, y, 2, 2, dtype}, context_),
        softmax_backward({x, x, y, 2, 2, dtype}, context_),
        layer_norm_forward({x, nullptr, nullptr, y, z, z, 2, 2, 2, 2, 1e-5, dtype}, context_),
        layer_norm_backward({x, nullptr, x, x, x, y, nullptr, nullptr, scratch, 2, 2, dtype},
                            context_),
        embedding_forward({ids.data(), x, y, 4, 1, 2, dtype}, context_),
        embedding_backward({ids.data(), x, y, 4, 1, 2, dtype}, context_),
        dropout({x, y, 4, 0.5, 1, 0, dtype}, context_),
        random_fill({y, 4, Distribution::uniform, 0, 1, 1, 0, dtype}, context_),
        cross_entropy_forward({x, ids.data(), y, z, 2, 2, -100, 0, dtype}, context_),
        cross_entropy_backward({x, ids.data(), x, y, 2, 2, -100, 0, 1, dtype}, context_),
        attention_forward(attention, context_),
        linear_attention_forward(linear, context_),
        rnn_forward({x, x, y, z, 1, 2, 2, Nonlinearity::tanh, dtype}, context_),
        rnn_backward({x, x, x, y, z, 1, 2, 2, Nonlinearity::tanh, dtype}, context_),
        adamw({y, x, z, z, 4, 1, 0.1, 0.9, 0.99, 1e-8, 0, 1, dtype}, context_)};
    for (const Status& status : answers) {
      EXPECT_EQ(status.code, Code::unsupported) << "answer " << &status - answers;
      EXPECT_NE(std::string(status.message), "");
    }
  }
  expect_untouched();
}

}  // namespace
}  // namespace basin::kernels
