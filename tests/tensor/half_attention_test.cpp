// Attention on tensors of bf16, and of f32 in tf32: where it runs, and what it asks for.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <vector>

#include "tensor/error.h"
#include "tensor/functions/association.h"
#include "tensor/functions/retrieval.h"
#include "tensor/rng.h"
#include "tests/support/expect_error.h"
#include "tests/support/same_bits.h"

namespace basin::test {
namespace {

AssociationInputs drawn() {
  Rng rng(1);
  return {rng.normal({2, 2, 9, 8}, 1.0, DType::f32), rng.normal({2, 2, 11, 8}, 1.0, DType::f32),
          rng.normal({2, 2, 11, 4}, 1.0, DType::f32), Tensor::full({2}, 0.4, DType::f32),
          Tensor::from<std::int64_t>({2}, std::vector<std::int64_t>{11, 5})};
}

AssociationInputs halves_on(Device device) {
  AssociationInputs in = drawn();
  for (Tensor* tensor : {&in.q, &in.k, &in.v}) {
    *tensor = attention_factor(tensor->to(device), Precision::bf16);
  }
  in.beta = in.beta.to(device);
  return in;
}

TEST(HalfAttention, RunsOnTheExecutorWithStatisticsInF32) {
  const AssociationInputs in = halves_on(Device::simt);
  EXPECT_EQ(in.q.dtype(), DType::bf16);
  const AttentionResult result = attention(in);
  EXPECT_EQ(result.out.dtype(), DType::bf16);
  EXPECT_EQ(result.statistics.dtype(), DType::f32);
  const Tensor dout = attention_factor(
      Rng(2).normal(result.out.shape(), 1.0, DType::f32).to(Device::simt), Precision::bf16);
  const AttentionGradients gradients = attention_backward(in, result, dout);
  for (const Tensor& gradient : {gradients.dq, gradients.dk, gradients.dv}) {
    EXPECT_EQ(gradient.dtype(), DType::bf16);
  }
  EXPECT_EQ(gradients.dbeta.dtype(), DType::f32);
  // f32 of the same rounded numbers; weights and out lose bits of numbers below 2.
  const AssociationInputs rounded = halves_on(Device::cpu);
  const AttentionResult expected = attention(rounded);
  EXPECT_EQ(rounded.q.dtype(), DType::f32);
  EXPECT_LT(largest_difference(result.out.to(Device::cpu), expected.out), 2e-2);
  EXPECT_LT(largest_difference(result.statistics.to(Device::cpu), expected.statistics), 1e-5);
  const Tensor wide = from_attention(result.out);
  EXPECT_EQ(wide.dtype(), DType::f32);
  EXPECT_EQ(largest_difference(wide, result.out), 0.0);
  EXPECT_TRUE(wide.transpose(1, 2).is_contiguous());
}

RetrievalInputs under_a_window(const AssociationInputs& in) {
  RetrievalInputs all{in.q, in.k, in.v, in.beta, {}, in.key_lengths, {}, {}};
  all.options.window = 2;
  all.options.global_tokens = 1;
  all.options.weight_dropout = 0.3;
  all.dropout_key = 7;
  return all;
}

TEST(HalfAttention, RetrievesUnderAWindowAsF32DoesOfTheSameNumbers) {
  const RetrievalInputs in = under_a_window(halves_on(Device::simt));
  const RetrievalResult result = retrieval(in);
  EXPECT_EQ(result.out.dtype(), DType::bf16);
  EXPECT_EQ(result.statistics.dtype(), DType::f32);
  const Tensor dout = attention_factor(
      Rng(2).normal(result.out.shape(), 1.0, DType::f32).to(Device::simt), Precision::bf16);
  const RetrievalGradients gradients = retrieval_backward(in, result, dout);
  const RetrievalInputs rounded = under_a_window(halves_on(Device::cpu));
  const RetrievalResult expected = retrieval(rounded);
  const RetrievalGradients slopes =
      retrieval_backward(rounded, expected, from_attention(dout.to(Device::cpu)));
  EXPECT_LT(largest_difference(result.out.to(Device::cpu), expected.out), 2e-2);
  EXPECT_LT(largest_difference(gradients.dq.to(Device::cpu), slopes.dq), 4e-2);
  EXPECT_LT(largest_difference(gradients.dk.to(Device::cpu), slopes.dk), 4e-2);
  EXPECT_LT(largest_difference(gradients.dv.to(Device::cpu), slopes.dv), 4e-2);
  EXPECT_EQ(gradients.dbeta.dtype(), DType::f32);
}

// In tf32 the CPU gets rounded factors; the kernel elsewhere rounds weights and slopes besides.
TEST(Tf32Attention, RetrievesUnderAWindowAsTheCpuDoesOfRoundedNumbers) {
  const AssociationInputs drawn_here = drawn();
  AssociationInputs rounded = drawn_here;
  AssociationInputs there = drawn_here;
  for (Tensor* tensor : {&rounded.q, &rounded.k, &rounded.v}) {
    *tensor = attention_factor(*tensor, Precision::tf32);
  }
  for (Tensor* tensor : {&there.q, &there.k, &there.v, &there.beta}) {
    *tensor = tensor->to(Device::simt);
  }
  const Tensor dout = Rng(2).normal({2, 2, 9, 4}, 1.0, DType::f32);
  const RetrievalInputs on_cpu = under_a_window(rounded);
  const RetrievalResult expected = retrieval(on_cpu, Precision::tf32);
  const RetrievalGradients slopes = retrieval_backward(
      on_cpu, expected, attention_factor(dout, Precision::tf32), Precision::tf32);
  const RetrievalInputs on_simt = under_a_window(there);
  const RetrievalResult found = retrieval(on_simt, Precision::tf32);
  const RetrievalGradients gradients =
      retrieval_backward(on_simt, found, dout.to(Device::simt), Precision::tf32);
  EXPECT_LT(largest_difference(found.out.to(Device::cpu), expected.out), 2e-3);
  EXPECT_LT(largest_difference(gradients.dq.to(Device::cpu), slopes.dq), 5e-3);
  EXPECT_LT(largest_difference(gradients.dk.to(Device::cpu), slopes.dk), 5e-3);
  EXPECT_LT(largest_difference(gradients.dv.to(Device::cpu), slopes.dv), 5e-3);
  EXPECT_FALSE(same_bits(found.out, retrieval(on_simt).out));
  const RetrievalGradients in_f32 = retrieval_backward(on_simt, found, dout.to(Device::simt));
  EXPECT_FALSE(same_bits(gradients.dv, in_f32.dv));
}

TEST(HalfAttention, OtherRetrievalIsRefused) {
  RetrievalInputs in = under_a_window(halves_on(Device::simt));
  EXPECT_TRUE(retrieval_rounds_factors(in.options, 256));
  EXPECT_FALSE(retrieval_rounds_factors(in.options, 257));
  in.options.top_k = 2;
  EXPECT_FALSE(retrieval_rounds_factors(in.options, 8));
  EXPECT_TRUE(refuses<Error>([&] { (void)retrieval(in); },
                             {"[retrieval]", "tf32 and bf16 are for softmax"}));
  in.options.top_k = 0;
  in.options.separation = Separation::sparsemax;
  EXPECT_TRUE(refuses<Error>([&] { (void)retrieval(in); }, {"tf32 and bf16 are for softmax"}));
  EXPECT_TRUE(refuses<Error>([&] { (void)retrieval_energy(in); }, {"needs f32 or f64"}));
  for (Tensor* tensor : {&in.q, &in.k, &in.v}) {
    *tensor = from_attention(*tensor);
  }
  EXPECT_TRUE(refuses<Error>([&] { (void)retrieval(in, Precision::tf32); },
                             {"tf32 and bf16 are for softmax"}));
}

TEST(HalfAttention, OfTheLinearKindKeepsItsNormaliserInF32) {
  const AssociationInputs in = halves_on(Device::simt);
  const AttentionResult result = linear_attention(in);
  EXPECT_EQ(result.out.dtype(), DType::bf16);
  EXPECT_EQ(result.statistics.dtype(), DType::f32);
  const Tensor dout = attention_factor(
      Rng(2).normal(result.out.shape(), 1.0, DType::f32).to(Device::simt), Precision::bf16);
  const AttentionGradients gradients = linear_attention_backward(in, result, dout);
  for (const Tensor& gradient : {gradients.dq, gradients.dk, gradients.dv}) {
    EXPECT_EQ(gradient.dtype(), DType::bf16);
  }
  // phi of both is rounded, and so is out, of numbers below 2.
  const AttentionResult expected = linear_attention(halves_on(Device::cpu));
  EXPECT_LT(largest_difference(result.out.to(Device::cpu), expected.out), 2e-2);
  EXPECT_TRUE(
      refuses<Error>([&] { (void)linear_attention_backward(in, result, from_attention(dout)); },
                     {"operands differ in dtype"}));
}

TEST(HalfAttention, FactorsAreTheTensorItselfWhereNobodyRoundsOrTheKernelDoes) {
  const Tensor x = drawn().q;
  EXPECT_EQ(attention_factor(x, Precision::f32).raw(), x.raw());
  const Tensor on_executor = x.to(Device::simt);
  EXPECT_EQ(attention_factor(on_executor, Precision::tf32).raw(), on_executor.raw());
  EXPECT_TRUE(same_bits(attention_factor(x, Precision::bf16), x.to(DType::bf16).to(DType::f32)));
  EXPECT_TRUE(refuses<Error>([&] { (void)attention_factor(x.to(DType::f64), Precision::bf16); },
                             {"[attention]", "products in bf16", "f64"}));
}

TEST(Tf32Attention, RoundsOnTheCpuWhatTheKernelRoundsElsewhere) {
  const AssociationInputs in = drawn();
  AssociationInputs rounded = in;
  for (Tensor* tensor : {&rounded.q, &rounded.k, &rounded.v}) {
    const Tensor before = *tensor;
    *tensor = attention_factor(before, Precision::tf32);
    const std::vector<float> x = before.contiguous().to_vector<float>();
    const std::vector<float> y = tensor->contiguous().to_vector<float>();
    for (std::size_t n = 0; n < x.size(); ++n) {
      EXPECT_EQ(std::bit_cast<std::uint32_t>(y[n]) & 0x1FFFu, 0u);
      EXPECT_LE(std::abs(y[n] - x[n]), std::abs(x[n]) * 0x1p-11f);
    }
  }
  const Tensor dout = Rng(2).normal({2, 2, 9, 4}, 1.0, DType::f32);
  const AttentionResult expected = attention(rounded, Precision::tf32);
  const AttentionGradients by_hand = attention_backward(
      rounded, expected, attention_factor(dout, Precision::tf32), Precision::tf32);
  AssociationInputs there = in;
  for (Tensor* tensor : {&there.q, &there.k, &there.v, &there.beta}) {
    *tensor = tensor->to(Device::simt);
  }
  const AttentionResult found = attention(there, Precision::tf32);
  const AttentionGradients gradients =
      attention_backward(there, found, dout.to(Device::simt), Precision::tf32);
  // Weights and slopes are rounded there besides.
  EXPECT_LT(largest_difference(found.out.to(Device::cpu), expected.out), 2e-3);
  EXPECT_LT(largest_difference(gradients.dq.to(Device::cpu), by_hand.dq), 5e-3);
  EXPECT_LT(largest_difference(gradients.dk.to(Device::cpu), by_hand.dk), 5e-3);
  EXPECT_LT(largest_difference(gradients.dv.to(Device::cpu), by_hand.dv), 5e-3);
  EXPECT_FALSE(same_bits(found.out, attention(there).out));
  EXPECT_FALSE(same_bits(expected.out, attention(in).out));
}

TEST(HalfAttention, IsRefusedOnTheCpuAndWithMixedDtypes) {
  AssociationInputs in = drawn();
  for (Tensor* tensor : {&in.q, &in.k, &in.v}) {
    *tensor = tensor->to(DType::bf16);
  }
  EXPECT_TRUE(refuses<Error>([&] { (void)attention(in); }, {"runs in bf16 on a GPU", "bf16"}));
  EXPECT_TRUE(refuses<Error>([&] { (void)linear_attention(in); }, {"runs in bf16 on a GPU"}));
  AssociationInputs mixed = halves_on(Device::simt);
  mixed.v = from_attention(mixed.v);
  EXPECT_TRUE(refuses<Error>([&] { (void)attention(mixed); }, {"operands differ in dtype"}));
  AssociationInputs sharp = halves_on(Device::simt);
  sharp.beta = sharp.beta.to(DType::bf16);
  EXPECT_TRUE(refuses<Error>([&] { (void)attention(sharp); }, {"beta must be f32"}));
}

}  // namespace
}  // namespace basin::test
