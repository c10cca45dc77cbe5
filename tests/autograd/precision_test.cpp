// Products in tf32 and bf16: what they change, what they leave alone, and how far they may be off.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "autograd/operations.h"
#include "autograd/product_precision.h"
#include "autograd/recompute.h"
#include "kernels/common/half.h"
#include "tests/support/expect_error.h"
#include "tests/support/op_runs.h"
#include "tests/support/same_bits.h"
#include "tests/support/scoped_threads.h"
#include "tests/support/small_models.h"

namespace basin::test {
namespace {

using In = const std::vector<Variable>&;

struct Operation {
  std::string name;
  std::vector<Tensor> inputs;  // f32
  std::function<Variable(In)> call;
};

// Every operation that multiplies, on arrays large enough that the largest error says something.
std::vector<Operation> operations() {
  const auto draw = [](const Shape& shape, std::uint64_t seed) {
    return random_tensor(shape, seed, DType::f32);
  };
  const Tensor targets = random_tokens(3, 20, 37, 6);
  const Tensor lengths = Tensor::from<std::int64_t>({2}, std::vector<std::int64_t>{33, 20});
  const Tensor beta = Tensor::full({2}, 0.3, DType::f32);
  RetrievalSettings window;
  window.options.window = 7;
  window.options.causal = true;
  window.options.weight_dropout = 0.2;
  window.dropout_key = 3;
  return {
      {"matmul",
       {draw({2, 20, 31}, 1), draw({31, 17}, 2)},
       [](In in) { return matmul(in[0], in[1]); }},
      {"batched matmul",
       {draw({3, 20, 31}, 1), draw({3, 31, 17}, 2)},
       [](In in) { return matmul(in[0], in[1]); }},
      {"linear",
       {draw({3, 20, 31}, 1), draw({17, 31}, 2), draw({17}, 3)},
       [](In in) { return linear(in[0], in[1], in[2]); }},
      {"linear_gelu",
       {draw({3, 20, 31}, 1), draw({17, 31}, 2), draw({17}, 3)},
       [](In in) { return linear_gelu(in[0], in[1], in[2]); }},
      {"linear_cross_entropy",
       {draw({3, 20, 31}, 1), draw({37, 31}, 2), draw({37}, 3)},
       [=](In in) { return linear_cross_entropy(in[0], in[1], in[2], targets); }},
      {"attention",
       {draw({2, 2, 33, 16}, 1), draw({2, 2, 33, 16}, 2), draw({2, 2, 33, 8}, 3), beta},
       [=](In in) { return attention(in[0], in[1], in[2], in[3], lengths, true); }},
      {"retrieval",
       {draw({2, 2, 33, 16}, 1), draw({2, 2, 33, 16}, 2), draw({2, 2, 33, 8}, 3), beta},
       [=](In in) { return retrieval(in[0], in[1], in[2], in[3], {}, window); }},
      {"linear_attention",
       {draw({2, 2, 33, 16}, 1), draw({2, 2, 33, 16}, 2), draw({2, 2, 33, 8}, 3)},
       [=](In in) { return linear_attention(in[0], in[1], in[2], lengths, true); }},
  };
}

// What the forward and the backward pass give, in whatever scope each of them finds.
std::vector<Tensor> run(const Operation& operation, const std::vector<Tensor>& inputs,
                        Precision forward, Precision backward, const Tensor& cotangent = {}) {
  std::vector<Variable> leaves;
  for (const Tensor& input : inputs) {
    leaves.emplace_back(input, true);
  }
  Variable y;
  {
    const ProductPrecision scope(forward);
    y = operation.call(leaves);
  }
  {
    const ProductPrecision scope(backward);
    y.backward(cotangent.defined() ? cotangent : cotangent_for(y.value()));
  }
  std::vector<Tensor> results = {y.value()};
  for (const Variable& leaf : leaves) {
    results.push_back(leaf.grad());
  }
  return results;
}

std::vector<Tensor> run(const Operation& operation, Precision precision) {
  return run(operation, operation.inputs, precision, precision);
}

constexpr Precision kAll[] = {Precision::f32, Precision::tf32, Precision::bf16};

TEST(ProductPrecision, IsThatOfTheInnermostScopeOfTheThread) {
  EXPECT_EQ(product_precision(), Precision::f32);
  {
    const ProductPrecision outer(Precision::bf16);
    EXPECT_EQ(product_precision(), Precision::bf16);
    {
      const ProductPrecision inner(Precision::tf32);
      EXPECT_EQ(product_precision(), Precision::tf32);
    }
    EXPECT_EQ(product_precision(), Precision::bf16);
    std::thread([] { EXPECT_EQ(product_precision(), Precision::f32); }).join();
  }
  EXPECT_EQ(product_precision(), Precision::f32);
}

TEST(ProductPrecision, ChangesValuesAndGradients) {
  for (const Operation& operation : operations()) {
    SCOPED_TRACE(operation.name);
    const std::vector<Tensor> in_f32 = run(operation, Precision::f32);
    const std::vector<Tensor> in_tf32 = run(operation, Precision::tf32);
    const std::vector<Tensor> in_bf16 = run(operation, Precision::bf16);
    // There is no kernel of linear attention for tf32.
    EXPECT_EQ(same_bits(in_tf32, in_f32), operation.name == "linear_attention");
    for (std::size_t n = 0; n < in_f32.size(); ++n) {
      EXPECT_EQ(in_bf16[n].dtype(), DType::f32);
      EXPECT_TRUE(in_bf16[n].shape() == in_f32[n].shape());
      // The gradient of a bias is a sum of dy and no product.
      const bool is_sum = operation.name == "linear" && n == 3;
      EXPECT_EQ(same_bits(in_bf16[n], in_f32[n]), is_sum) << n;
    }
  }
}

TEST(ProductPrecision, OfTheBackwardPassIsThatOfTheForwardPass) {
  for (const Operation& operation : operations()) {
    for (const Precision precision : kAll) {
      SCOPED_TRACE(operation.name + " " + name_of(precision));
      const std::vector<Tensor> expected = run(operation, precision);
      for (const Precision other : kAll) {
        EXPECT_TRUE(same_bits(run(operation, operation.inputs, precision, other), expected));
      }
    }
  }
}

TEST(ProductPrecision, GivesTheSameBitsForAnyNumberOfThreads) {
  for (const Operation& operation : operations()) {
    for (const Precision precision : kAll) {
      const auto with = [&](int threads) {
        const ScopedThreads scope(threads);
        return run(operation, precision);
      };
      EXPECT_TRUE(same_bits(with(3), with(1))) << operation.name;
    }
  }
}

// Everything else stays as it is, in every precision.
TEST(ProductPrecision, LeavesOtherOperationsAlone) {
  const std::set<std::string> multiply = {
      "matmul", "linear", "linear_gelu", "linear_cross_entropy", "attention", "linear_attention"};
  const std::set<std::string> rounded_retrieval = {"softmax, everything visible",
                                                   "softmax, causal and padded",
                                                   "softmax, window",
                                                   "softmax, random mask",
                                                   "softmax, window, normalised over all keys",
                                                   "softmax, mask",
                                                   "softmax, weights dropped"};
  for (const OpEntry& entry : op_database()) {
    if (multiply.contains(entry.name)) {
      continue;
    }
    for (const OpSample& sample : samples_of(entry)) {
      if (entry.name == "retrieval" && rounded_retrieval.contains(sample.name)) {
        continue;
      }
      const std::vector<Tensor> inputs = in_f32(sample.inputs);
      const std::vector<Tensor> expected = run_sample(sample, inputs).all();
      for (const Precision precision : {Precision::tf32, Precision::bf16}) {
        const ProductPrecision scope(precision);
        EXPECT_TRUE(same_bits(run_sample(sample, inputs).all(), expected))
            << entry.name << ": " << sample.name << " in " << name_of(precision);
      }
    }
  }
}

// x with the bits of a naive computation, which cuts f32 off to make tf32.
Tensor naive(const Tensor& x, Precision precision) {
  std::vector<double> numbers = x.to_vector<double>();
  for (double& number : numbers) {
    const auto single = static_cast<float>(number);
    number = precision == Precision::bf16
                 ? static_cast<double>(kernels::to_float(kernels::to_bfloat16(single)))
                 : static_cast<double>(
                       std::bit_cast<float>(std::bit_cast<std::uint32_t>(single) & 0xFFFFE000u));
  }
  return Tensor::from<double>(x.shape(), numbers);
}

// The naive computation has inputs and cotangent with as few bits and stores its results so; its
// arithmetic is exact. Where ours rounds something in between (dz of a GELU, slopes of a loss), a
// naive one does the same and more.
TEST(ProductPrecision, IsAtMostThreeTimesAsWrongAsANaiveComputation) {
  for (const Operation& operation : operations()) {
    std::vector<Tensor> exact_inputs;
    for (const Tensor& input : operation.inputs) {
      exact_inputs.push_back(input.to(DType::f64));
    }
    const std::vector<Tensor> exact = run(operation, exact_inputs, Precision::f32, Precision::f32);
    const Tensor cotangent = cotangent_for(exact[0]);
    for (const Precision precision : {Precision::tf32, Precision::bf16}) {
      SCOPED_TRACE(operation.name + " " + name_of(precision));
      std::vector<Tensor> naive_inputs;
      for (const Tensor& input : operation.inputs) {
        naive_inputs.push_back(naive(input, precision));
      }
      std::vector<Tensor> plain =
          run(operation, naive_inputs, Precision::f32, Precision::f32, naive(cotangent, precision));
      const std::vector<Tensor> found =
          run(operation, operation.inputs, precision, precision, cotangent.to(DType::f32));
      for (std::size_t n = 0; n < exact.size(); ++n) {
        const double error = largest_difference(found[n], exact[n]);
        const double allowed = 3 * largest_difference(naive(plain[n], precision), exact[n]);
        EXPECT_TRUE(error <= allowed) << n << ": " << error << " above " << allowed;
      }
    }
  }
}

TEST(ProductPrecision, IsForF32) {
  const ProductPrecision scope(Precision::bf16);
  for (const Operation& operation : operations()) {
    std::vector<Variable> leaves;
    for (const Tensor& input : operation.inputs) {
      leaves.emplace_back(input.to(DType::f64), true);
    }
    EXPECT_TRUE(refuses<Error>([&] { (void)operation.call(leaves); },
                               {"products in bf16 are made of f32, got", "f64"}))
        << operation.name;
  }
}

TEST(ProductPrecision, IsThatOfTheFirstTimeWhenSomethingIsComputedAgain) {
  const Variable weight(random_tensor({17, 31}, 2, DType::f32), true);
  const auto gradient = [&](bool again) {
    const Variable x(random_tensor({20, 31}, 1, DType::f32), true);
    const auto f = [&](const Variable& in) { return linear_gelu(in, weight, Variable()); };
    Variable y;
    {
      const ProductPrecision scope(Precision::bf16);
      y = again ? recompute(f, x, nullptr) : f(x);
    }
    y.backward(cotangent_for(y.value()));
    return std::vector{y.value(), x.grad()};
  };
  EXPECT_TRUE(same_bits(gradient(true), gradient(false)));
}

}  // namespace
}  // namespace basin::test
