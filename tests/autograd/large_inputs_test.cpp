// The samples of the op database fit into one piece of work. These are large enough to be shared
// out among threads, and the bits must not tell how many there were.
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "autograd/operations.h"
#include "tensor/rng.h"
#include "tests/support/op_runs.h"
#include "tests/support/same_bits.h"
#include "tests/support/scoped_threads.h"

namespace basin::test {
namespace {

using In = const std::vector<Variable>&;

// Whole numbers below `bound`, many of them equal.
Tensor draw_ids(const Shape& shape, std::uint64_t bound) {
  std::vector<std::int64_t> ids;
  for (std::int64_t n = 0; n < shape.numel(); ++n) {
    ids.push_back(
        static_cast<std::int64_t>(uniform_index(1, 2, static_cast<std::uint64_t>(n), bound)));
  }
  return Tensor::from<std::int64_t>(shape, ids);
}

std::vector<OpSample> large_samples() {
  Rng rng(5);
  const auto draw = [&](const Shape& shape) { return rng.normal(shape, 1.0, DType::f64); };
  const Tensor lengths = Tensor::from<std::int64_t>({3}, std::vector<std::int64_t>{130, 77, 0});
  const Tensor ids = draw_ids({50, 40}, 23);
  const Tensor targets = draw_ids({900}, 31);
  return {
      {"gelu", {draw({300, 301})}, [](In in) { return gelu(in[0]); }},
      {"mul by a row", {draw({1200, 77}), draw({77})}, [](In in) { return mul(in[0], in[1]); }},
      {"sum of all", {draw({700, 300})}, [](In in) { return sum(in[0]); }},
      {"sum of columns", {draw({3000, 70})}, [](In in) { return sum(in[0], 0); }},
      {"transpose copied",
       {draw({400, 300})},
       [](In in) { return mul(transpose(in[0], 0, 1), transpose(in[0], 0, 1)); }},
      {"matmul", {draw({330, 210}), draw({210, 190})}, [](In in) { return matmul(in[0], in[1]); }},
      {"batched matmul",
       {draw({9, 70, 60}), draw({9, 60, 50})},
       [](In in) { return matmul(in[0], in[1]); }},
      {"linear",
       {draw({20, 50, 64}), draw({100, 64}), draw({100})},
       [](In in) { return linear(in[0], in[1], in[2]); }},
      {"linear_gelu",
       {draw({20, 50, 64}), draw({100, 64}), draw({100})},
       [](In in) { return linear_gelu(in[0], in[1], in[2]); }},
      {"softmax", {draw({900, 130})}, [](In in) { return softmax(in[0]); }},
      {"layer_norm",
       {draw({3000, 64}), draw({64}), draw({64})},
       [](In in) { return layer_norm(in[0], in[1], in[2], 1e-5); }},
      {"add_layer_norm",
       {draw({3000, 64}), draw({3000, 64}), draw({64}), draw({64})},
       [](In in) {
         const SumAndNorm r = add_layer_norm(in[0], in[1], in[2], in[3], 1e-5);
         return concat({r.sum, r.normalised}, 0);
       }},
      {"embedding", {draw({23, 48})}, [ids](In in) { return embedding(in[0], ids); }},
      {"dropout", {draw({400, 300})}, [](In in) { return dropout(in[0], 0.3, 1, 2); }},
      {"cross_entropy",
       {draw({900, 31})},
       [targets](In in) { return cross_entropy(in[0], targets, 3, 0.1); }},
      {"attention",
       {draw({3, 2, 130, 16}), draw({3, 2, 130, 16}), draw({3, 2, 130, 24}), draw({2})},
       [lengths](In in) { return attention(in[0], in[1], in[2], in[3], lengths, true); }},
      {"linear_attention",
       {draw({3, 2, 130, 16}), draw({3, 2, 130, 16}), draw({3, 2, 130, 24})},
       [lengths](In in) { return linear_attention(in[0], in[1], in[2], lengths, true); }},
      {"rnn", {draw({40, 30, 24}), affine(Variable(draw({24, 24})), 0.15, 0.0).value()}, [](In in) {
         return rnn(in[0], in[1], kernels::Nonlinearity::tanh);
       }}};
}

TEST(LargeInputs, GiveTheSameBitsForAnyNumberOfThreads) {
  for (const OpSample& sample : large_samples()) {
    for (const std::vector<Tensor>& inputs : {sample.inputs, in_f32(sample.inputs)}) {
      const auto run = [&](int threads) {
        const ScopedThreads scope(threads);
        return run_sample(sample, inputs).all();
      };
      const std::vector<Tensor> one = run(1);
      EXPECT_TRUE(same_bits(run(2), one)) << sample.name << " with 2 threads";
      EXPECT_TRUE(same_bits(run(5), one)) << sample.name << " with 5 threads";
      EXPECT_TRUE(same_bits(run(2), one)) << sample.name << " with 2 threads again";
    }
  }
}

}  // namespace
}  // namespace basin::test
