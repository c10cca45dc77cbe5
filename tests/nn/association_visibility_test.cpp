// What a query must not see, to the bit: padding, the future, other samples. For every variant of
// the Association layer, and for the two operations it is made of.
#include <gtest/gtest.h>

#include <functional>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "autograd/operations.h"
#include "nn/layers/association.h"
#include "tests/support/association_variants.h"
#include "tests/support/same_bits.h"
#include "tests/support/small_models.h"

namespace basin::nn {
namespace {

using test::random_tensor;
using test::same_bits;

// More queries than a tile of the attention kernel has, so that its border is crossed.
constexpr std::int64_t kLength = 40;
constexpr std::int64_t kWidth = 16;
constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

Tensor lengths(const std::vector<std::int64_t>& values) {
  return Tensor::from<std::int64_t>({static_cast<std::int64_t>(values.size())}, values);
}

const std::vector<std::int64_t> kLengths = {kLength, 33, 1, 0};

// x (B, M, ...) with `value` in the rows at and beyond the length of each sample.
Tensor with_padding(const Tensor& x, double value) {
  Tensor y = x.clone();
  for (std::size_t b = 0; b < kLengths.size(); ++b) {
    if (kLengths[b] < x.size(1)) {
      y.select(0, static_cast<std::int64_t>(b)).slice(0, kLengths[b], x.size(1)).fill(value);
    }
  }
  return y;
}

class AssociationVisibility : public testing::TestWithParam<test::AssociationVariant> {
 protected:
  Association make(DType dtype = DType::f32) const {
    Rng rng(1);
    return Association(kWidth, 2, GetParam().options, rng, dtype, GetParam().rotary);
  }
};
INSTANTIATE_TEST_SUITE_P(Every, AssociationVisibility, testing::ValuesIn(test::every_mechanism()),
                         test::variant_name);

TEST_P(AssociationVisibility, WhatThePaddingHoldsChangesNothing) {
  for (const DType dtype : {DType::f32, DType::f64}) {
    const Association layer = make(dtype);
    const Variable query(random_tensor({4, kLength, kWidth}, 2, dtype));
    const Tensor stored = random_tensor({4, kLength, kWidth}, 3, dtype);
    const Tensor values = random_tensor({4, kLength, kWidth}, 4, dtype);
    const auto output = [&](double padding) {
      return layer
          .forward(query, Variable(with_padding(stored, padding)),
                   Variable(with_padding(values, padding)), lengths(kLengths))
          .value();
    };
    const Tensor clean = output(0.0);
    for (const double garbage : {7.0, -1e30, kInf, -kInf, kNaN}) {
      EXPECT_TRUE(same_bits(output(garbage), clean)) << garbage;
    }
  }
}

// Also for gradients. The garbage is finite here: the gradient of a projection is a sum over all
// rows that go into it, padding included, with factors of 0.
TEST_P(AssociationVisibility, WhatThePaddingHoldsChangesNoGradient) {
  const Tensor query = random_tensor({4, kLength, kWidth}, 2, DType::f32);
  const Tensor stored = random_tensor({4, kLength, kWidth}, 3, DType::f32);
  const Tensor values = random_tensor({4, kLength, kWidth}, 4, DType::f32);
  const Tensor seed = random_tensor({4, kLength, kWidth}, 5, DType::f32);
  const auto gradients = [&](double padding) {
    const Association layer = make();
    const Variable q(query, true);
    const Variable k(with_padding(stored, padding), true);
    const Variable v(with_padding(values, padding), true);
    layer.forward(q, k, v, lengths(kLengths)).backward(seed);
    std::vector<Tensor> all = test::gradients_of(layer);
    for (const Variable& input : {q, k, v}) {
      all.push_back(input.grad().clone());
    }
    return all;
  };
  const std::vector<Tensor> clean = gradients(0.0);
  const std::vector<Tensor> dirty = gradients(1e4);
  ASSERT_EQ(clean.size(), dirty.size());
  for (std::size_t n = 0; n < clean.size(); ++n) {
    // By value and not by bits: adding 0 * garbage may turn -0 into 0.
    EXPECT_TRUE(test::largest_difference(clean[n], dirty[n]) <= 0.0) << n;
  }
  for (std::size_t n = clean.size() - 2; n < clean.size(); ++n) {
    const Tensor zeroed = with_padding(dirty[n], 0.0);
    EXPECT_TRUE(test::largest_difference(dirty[n], zeroed) <= 0.0) << "padding received a gradient";
  }
}

// Padding that is inverted, ignored or off by one fails here.
TEST_P(AssociationVisibility, TheLastPatternBeforeThePaddingIsSeen) {
  const Association layer = make();
  const Variable query(random_tensor({4, kLength, kWidth}, 2, DType::f32));
  const Tensor stored = random_tensor({4, kLength, kWidth}, 3, DType::f32);
  const auto output = [&](const Tensor& patterns) {
    return layer.forward(query, Variable(patterns), Variable(patterns), lengths(kLengths)).value();
  };
  const Tensor before = output(stored);
  Tensor changed = stored.clone();
  changed.select(0, 1).select(0, kLengths[1] - 1).fill(3.0);
  const Tensor after = output(changed);
  EXPECT_FALSE(same_bits(after.select(0, 1), before.select(0, 1)));
  EXPECT_TRUE(same_bits(after.select(0, 0), before.select(0, 0)));
}

TEST_P(AssociationVisibility, AQueryThatSeesNothingReadsZero) {
  const Association layer = make();
  const Variable x(random_tensor({4, kLength, kWidth}, 2, DType::f32));
  const Tensor y = layer.forward(x, x, x, lengths(kLengths)).value();
  // Sample 3 has no stored pattern: what is left is the bias of the output projection.
  const Tensor bias = test::parameter(layer, "out.bias").value();
  for (std::int64_t i = 0; i < kLength; ++i) {
    EXPECT_TRUE(same_bits(y.select(0, 3).select(0, i), bias)) << i;
  }
  if (GetParam().options.causal) {
    // With fewer patterns than queries the first kLength - 5 queries come before all patterns.
    const Variable few(random_tensor({4, 5, kWidth}, 3, DType::f32));
    const Tensor late = layer.forward(x, few, few).value();
    EXPECT_TRUE(same_bits(late.select(0, 0).select(0, kLength - 6), bias));
    bool any_sees = false;
    for (std::int64_t i = kLength - 5; i < kLength; ++i) {
      any_sees = any_sees || !same_bits(late.select(0, 0).select(0, i), bias);
    }
    EXPECT_TRUE(any_sees);
  }
}

TEST_P(AssociationVisibility, SamplesDoNotReachEachOther) {
  for (const DType dtype : {DType::f32, DType::f64}) {
    const Association layer = make(dtype);
    const Tensor x = random_tensor({3, kLength, kWidth}, 2, dtype);
    const auto output = [&](const Tensor& input) {
      const Variable v(input);
      return layer.forward(v, v, v).value();
    };
    const Tensor before = output(x);
    Tensor changed = x.clone();
    changed.select(0, 1).copy_from(random_tensor({kLength, kWidth}, 99, dtype));
    const Tensor after = output(changed);
    EXPECT_TRUE(same_bits(after.select(0, 0), before.select(0, 0)));
    EXPECT_TRUE(same_bits(after.select(0, 2), before.select(0, 2)));
    EXPECT_FALSE(same_bits(after.select(0, 1), before.select(0, 1)));
    changed.select(0, 1).fill(kNaN);
    const Tensor poisoned = output(changed);
    EXPECT_TRUE(same_bits(poisoned.select(0, 0), before.select(0, 0)));
    EXPECT_TRUE(same_bits(poisoned.select(0, 2), before.select(0, 2)));
  }
}

TEST_P(AssociationVisibility, TheFutureIsInvisibleIfCausal) {
  for (const std::int64_t keys : {kLength, kLength + 7}) {
    const Association layer = make();
    const Variable query(random_tensor({2, kLength, kWidth}, 2, DType::f32));
    const Tensor stored = random_tensor({2, keys, kWidth}, 3, DType::f32);
    const auto output = [&](const Tensor& patterns) {
      return layer.forward(query, Variable(patterns), Variable(patterns)).value();
    };
    const Tensor before = output(stored);
    for (const std::int64_t cut :
         {std::int64_t{1}, std::int64_t{20}, std::int64_t{32}, kLength - 1}) {
      for (const double future : {5.0, 1e30, kInf, kNaN}) {
        Tensor changed = stored.clone();
        // The first pattern that query cut - 1 must not see has number cut + keys - kLength.
        changed.slice(1, cut + keys - kLength, keys).fill(future);
        const Tensor after = output(changed);
        const bool past_is_same = same_bits(after.slice(1, 0, cut), before.slice(1, 0, cut));
        EXPECT_EQ(past_is_same, GetParam().options.causal) << cut << " " << future;
        // A random mask may hide the changed patterns from the few queries that are left.
        if (GetParam().options.random_keep == 1.0) {
          EXPECT_FALSE(same_bits(after.slice(1, cut, kLength), before.slice(1, cut, kLength)));
        }
      }
    }
  }
}

// The operations below the layer. Here hidden rows may hold NaN in the backward pass, too.
struct Operation {
  std::string name;
  std::function<Variable(const Variable& q, const Variable& k, const Variable& v,
                         const Tensor& lengths, bool causal)>
      call;
};

// Every mechanism by the general kernel, whatever else computes it.
std::vector<Operation> general_retrievals() {
  std::vector<Operation> all;
  for (const test::AssociationVariant& variant : test::every_mechanism()) {
    // One of each pair: the tests say themselves what is causal.
    if (is_kernelised(variant.options.separation) || variant.options.causal || variant.rotary) {
      continue;
    }
    all.push_back(
        {"retrieval " + variant.name,
         [options = variant.options](const Variable& q, const Variable& k, const Variable& v,
                                     const Tensor& key_lengths, bool causal) {
           RetrievalSettings settings{.options = options, .key_lengths = key_lengths};
           settings.options.causal = causal;
           // Its sum may take in later keys, which the options refuse.
           if (causal) {
             settings.options.normalise = Normalise::support;
           }
           settings.random_key = 7;
           const Variable beta(Tensor::full({2}, 0.7, q.dtype()));
           const Variable alpha(Tensor::full({2}, 1.4, q.dtype()));
           return retrieval(q, k, v, beta, alpha, settings);
         }});
  }
  return all;
}

std::vector<Operation> operations() {
  std::vector<Operation> all = {
      {"attention",
       [](const Variable& q, const Variable& k, const Variable& v, const Tensor& key_lengths,
          bool causal) {
         return attention(q, k, v, Variable(Tensor::full({2}, 0.7, q.dtype())), key_lengths,
                          causal);
       }},
      {"linear_attention",
       [](const Variable& q, const Variable& k, const Variable& v, const Tensor& key_lengths,
          bool causal) { return linear_attention(q, k, v, key_lengths, causal); }}};
  for (const FeatureMap map : {FeatureMap::positive, FeatureMap::relu}) {
    all.push_back({std::string("random features ") + name_of(map),
                   [map](const Variable& q, const Variable& k, const Variable& v,
                         const Tensor& key_lengths, bool causal) {
                     const Variable beta(Tensor::full({2}, 0.7, q.dtype()));
                     return random_feature_attention(q, k, v, beta,
                                                     random_tensor({12, 8}, 5, q.dtype()), map,
                                                     key_lengths, causal);
                   }});
  }
  for (Operation& operation : general_retrievals()) {
    all.push_back(std::move(operation));
  }
  return all;
}

TEST(AssociationOperations, NaNInThePaddingReachesNeitherOutputNorGradient) {
  for (const Operation& operation : operations()) {
    for (const bool causal : {false, true}) {
      const Shape heads = {4, 2, kLength, 8};
      const Tensor k = random_tensor(heads, 2, DType::f32);
      const Tensor v = random_tensor(heads, 3, DType::f32);
      const auto hide = [](const Tensor& x, double value) {
        return with_padding(x.transpose(1, 2), value).transpose(1, 2);
      };
      const auto run = [&](double padding) {
        const Variable q(random_tensor(heads, 1, DType::f32), true);
        const Variable keys(hide(k, padding), true);
        const Variable values(hide(v, padding), true);
        const Variable y = operation.call(q, keys, values, lengths(kLengths), causal);
        y.backward(random_tensor(heads, 4, DType::f32));
        return std::vector<Tensor>{y.value(), q.grad(), keys.grad(), values.grad()};
      };
      const std::vector<Tensor> clean = run(0.0);
      for (const double garbage : {1e30, kInf, kNaN}) {
        EXPECT_TRUE(same_bits(run(garbage), clean)) << operation.name << " " << garbage;
      }
      for (const Tensor& gradient : {clean[2], clean[3]}) {
        EXPECT_TRUE(same_bits(hide(gradient, 0.0), gradient)) << operation.name;
      }
    }
  }
}

TEST(AssociationOperations, AQueryThatSeesNothingPassesNoGradient) {
  for (const Operation& operation : operations()) {
    const Shape heads = {4, 2, kLength, 8};
    const Variable q(random_tensor(heads, 1, DType::f32), true);
    const Variable k(random_tensor(heads, 2, DType::f32), true);
    const Variable v(random_tensor(heads, 3, DType::f32), true);
    const Variable y = operation.call(q, k, v, lengths(kLengths), false);
    y.backward(random_tensor(heads, 4, DType::f32));
    const Tensor zero = Tensor::zeros({2, kLength, 8}, DType::f32);
    EXPECT_TRUE(same_bits(y.value().select(0, 3), zero)) << operation.name;
    for (const Variable& input : {q, k, v}) {
      EXPECT_TRUE(same_bits(input.grad().select(0, 3), zero)) << operation.name;
    }
  }
}

TEST(AssociationOperations, NaNInTheFutureReachesNoEarlierQuery) {
  for (const Operation& operation : operations()) {
    const Shape heads = {2, 2, kLength, 8};
    const Tensor k = random_tensor(heads, 2, DType::f32);
    const Tensor v = random_tensor(heads, 3, DType::f32);
    const auto run = [&](std::int64_t cut, double future) {
      const Variable q(random_tensor(heads, 1, DType::f32), true);
      Tensor keys = k.clone();
      Tensor values = v.clone();
      keys.slice(2, cut, kLength).fill(future);
      values.slice(2, cut, kLength).fill(future);
      const Variable y = operation.call(q, Variable(keys), Variable(values), Tensor(), true);
      y.backward(random_tensor(heads, 4, DType::f32));
      return std::vector<Tensor>{y.value().slice(2, 0, cut), q.grad().slice(2, 0, cut)};
    };
    for (const std::int64_t cut :
         {std::int64_t{1}, std::int64_t{31}, std::int64_t{32}, std::int64_t{33}, kLength - 1}) {
      const std::vector<Tensor> clean = run(cut, 0.0);
      EXPECT_TRUE(same_bits(run(cut, kNaN), clean)) << operation.name << " " << cut;
      EXPECT_TRUE(same_bits(run(cut, kInf), clean)) << operation.name << " " << cut;
    }
  }
}

}  // namespace
}  // namespace basin::nn
