// Variables: history, detaching, recording, and tensors that change after they were saved.
#include "autograd/variable.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <thread>
#include <vector>

#include "autograd/node.h"
#include "autograd/operations.h"
#include "tensor/error.h"
#include "tests/support/expect_error.h"

namespace basin::test {
namespace {

Variable leaf(const Shape& shape, double value, DType dtype = DType::f64) {
  return Variable(Tensor::full(shape, value, dtype), true);
}

TEST(Variable, IsAHandle) {
  const Variable x = leaf({2}, 1.0);
  const Variable same = x;
  EXPECT_TRUE(same.same_as(x));
  EXPECT_FALSE(leaf({2}, 1.0).same_as(x));
  sum(same).backward();
  EXPECT_EQ(x.grad().to_vector<double>(), std::vector<double>(2, 1.0));
  EXPECT_TRUE(x.shape() == Shape{2});
  EXPECT_EQ(x.dtype(), DType::f64);
  EXPECT_EQ(x.size(-1), 2);
}

TEST(Variable, UndefinedHasNoValue) {
  const Variable none;
  EXPECT_FALSE(none.defined());
  EXPECT_FALSE(none.requires_grad());
  EXPECT_EQ(none.node(), nullptr);
  EXPECT_TRUE(refuses<Error>([&] { (void)none.value(); }, {"undefined Variable"}));
  EXPECT_TRUE(refuses<Error>([&] { (void)none.grad(); }, {"undefined Variable"}));
  EXPECT_TRUE(refuses<Error>([&] { (void)exp(none); }, {"undefined Variable"}));
}

TEST(Variable, OnlyF32AndF64HaveGradients) {
  for (const DType dtype : {DType::i64, DType::u8, DType::f16, DType::boolean}) {
    EXPECT_TRUE(refuses<Error>([=] { Variable x(Tensor::zeros({2}, dtype), true); },
                               {"[Variable]", std::string("(2) ") + name_of(dtype)}));
    EXPECT_NO_THROW(Variable(Tensor::zeros({2}, dtype)));
  }
}

TEST(Variable, RecordsOnlyWhatLeadsToAGradient) {
  const Variable constant(Tensor::full({2}, 1.0, DType::f64));
  const Variable x = leaf({2}, 1.0);
  EXPECT_EQ(exp(constant).node(), nullptr);
  EXPECT_FALSE(exp(constant).requires_grad());
  const Variable y = mul(constant, x);
  ASSERT_NE(y.node(), nullptr);
  EXPECT_STREQ(y.node()->name(), "mul");
  EXPECT_EQ(y.node()->inputs().size(), 2u);
  EXPECT_TRUE(y.node()->inputs()[1].same_as(x));
  EXPECT_TRUE(y.requires_grad());
  EXPECT_LT(y.node()->sequence(), exp(y).node()->sequence());
}

TEST(Variable, DetachKeepsTheValueAndDropsTheHistory) {
  const Variable x = leaf({2}, 3.0);
  const Variable y = mul(x, x);
  const Variable cut = y.detach();
  EXPECT_FALSE(cut.requires_grad());
  EXPECT_EQ(cut.node(), nullptr);
  EXPECT_TRUE(cut.value().shares_storage(y.value()));
  sum(mul(cut, x)).backward();  // y counts as a constant, 9
  EXPECT_EQ(x.grad().to_vector<double>(), std::vector<double>(2, 9.0));
}

TEST(NoGrad, StopsRecordingInItsScopeAndOnItsThread) {
  const Variable x = leaf({2}, 1.0);
  {
    const NoGrad outer;
    EXPECT_FALSE(grad_enabled());
    {
      const NoGrad inner;
      EXPECT_EQ(exp(x).node(), nullptr);
    }
    EXPECT_EQ(exp(x).node(), nullptr) << "the inner scope's end does not end the outer";
    {
      const EnableGrad again;
      EXPECT_NE(exp(x).node(), nullptr);
    }
    EXPECT_EQ(exp(x).node(), nullptr);
    bool other_thread = false;
    std::thread([&] { other_thread = exp(x).node() != nullptr; }).join();
    EXPECT_TRUE(other_thread);
  }
  EXPECT_NE(exp(x).node(), nullptr);
  try {
    const NoGrad no_grad;
    fail("leaves the scope");
  } catch (const Error&) {
  }
  EXPECT_TRUE(grad_enabled());
}

TEST(NoGrad, LeavesWhatIsMadeInsideAsConstants) {
  const Variable x = leaf({2}, 3.0);
  Variable factor;
  {
    const NoGrad no_grad;
    factor = mul(x, x);
  }
  sum(mul(factor, x)).backward();
  EXPECT_EQ(x.grad().to_vector<double>(), std::vector<double>(2, 9.0));
}

// The message of a backward pass through something that was changed after the forward pass.
void expect_refused(const Variable& y, const std::string& operation) {
  EXPECT_TRUE(refuses<Error>([&] { sum(y).backward(); },
                             {"[" + operation + "]", "written to after", "(2) f64", "clone()"}));
}

TEST(SavedTensors, NoticeAWriteToAnInput) {
  Variable x = leaf({2}, 1.0);
  const Variable y = mul(x, x);
  x.mutable_value().fill(5.0);
  expect_refused(y, "mul");
  EXPECT_FALSE(x.grad().defined());
  sum(mul(x, x)).backward();  // a new forward pass is all it takes
  EXPECT_EQ(x.grad().to_vector<double>(), std::vector<double>(2, 10.0));
}

TEST(SavedTensors, NoticeAWriteToAResult) {
  const Variable x = leaf({2}, 1.0);
  Variable y = exp(x);
  y.mutable_value().mutable_data<double>()[0] = 7.0;
  expect_refused(y, "exp");
}

TEST(SavedTensors, NoticeAWriteThroughAView) {
  Variable x = leaf({2}, 1.0);
  const Variable y = sin(x);
  x.mutable_value().slice(0, 0, 1).fill(0.0);
  expect_refused(y, "sin");
}

TEST(SavedTensors, NameTheOperationInsideALargerGraph) {
  Variable x = leaf({2}, 1.0);
  Variable middle = affine(x, 2.0, 0.0);
  const Variable y = exp(affine(square(middle), 1.0, 0.0));
  middle.mutable_value().fill(0.0);
  expect_refused(y, "square");
}

TEST(SavedTensors, DoNotMindWritesThatMakeNoDifference) {
  // The gradient of affine and reshape needs no value at all.
  Variable x = leaf({2}, 1.0);
  const Variable y = reshape(affine(x, 3.0, 1.0), {1, 2});
  x.mutable_value().fill(100.0);
  sum(y).backward();
  EXPECT_EQ(x.grad().to_vector<double>(), std::vector<double>(2, 3.0));
}

TEST(SavedTensors, TakeAnUndefinedTensor) {
  const Saved none{Tensor()};
  EXPECT_FALSE(none.get().defined());
}

TEST(Views, GiveGradientsThroughSharedMemory) {
  // Two overlapping slices of a transpose: places counted twice get twice the gradient.
  const Variable x = leaf({2, 3}, 1.0);
  const Variable t = transpose(x, 0, 1);
  sum(add(slice(t, 0, 0, 2), slice(t, 0, 1, 3))).backward();
  EXPECT_EQ(x.grad().to_vector<double>(), (std::vector<double>{1, 2, 1, 1, 2, 1}));
}

}  // namespace
}  // namespace basin::test
