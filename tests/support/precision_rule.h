// The rule for models with few bits: at most three times the error of a naive computation.
#pragma once

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "kernels/common/half.h"
#include "nn/language_model.h"
#include "tests/support/small_models.h"

namespace basin::test {

inline constexpr std::int64_t kPrecisionBatch = 4;

inline nn::BackboneOptions precision_options(const std::string& kind, Precision precision,
                                             DType dtype = DType::f32) {
  nn::BackboneOptions options = small_backbone(kind, dtype);
  options.width = 32;
  options.precision = precision;
  return options;
}

inline Tensor precision_tokens() { return random_tokens(kPrecisionBatch, 12, 11, 1); }
inline Tensor precision_targets() { return random_tokens(kPrecisionBatch, 12, 11, 2); }

// Logits, then the gradient of every parameter.
inline std::vector<Tensor> precision_outcome(nn::LanguageModel& model) {
  std::vector<Tensor> results;
  {
    const NoGrad no_grad;
    results.push_back(model.forward(precision_tokens()).value());
  }
  model.clear_grad();
  model.loss(precision_tokens(), precision_targets()).backward();
  for (const Tensor& gradient : gradients_of(model)) {
    results.push_back(gradient);
  }
  return results;
}

inline std::vector<Tensor> precision_outcome(const nn::BackboneOptions& options) {
  nn::LanguageModel model(options, 1);
  return precision_outcome(model);
}

// The parameters of `model` as a plain program with few bits would hold them.
inline void make_naive(nn::LanguageModel& model, Precision precision) {
  for (nn::Parameter& parameter : model.parameters()) {
    std::vector<double> numbers = parameter.variable.value().to_vector<double>();
    for (double& number : numbers) {
      const auto single = static_cast<float>(number);
      const std::uint32_t cut = std::bit_cast<std::uint32_t>(single) & 0xFFFFE000u;
      number = static_cast<double>(precision == Precision::bf16
                                       ? kernels::to_float(kernels::to_bfloat16(single))
                                       : std::bit_cast<float>(cut));
    }
    parameter.variable.mutable_value().copy_from(
        Tensor::from<double>(parameter.variable.shape(), numbers));
  }
}

inline double squares(const Tensor& a, const Tensor& b) {
  const std::vector<double> x = a.to_vector<double>();
  const std::vector<double> y = b.to_vector<double>();
  double sum = 0;
  for (std::size_t n = 0; n < x.size(); ++n) {
    sum += (x[n] - y[n]) * (x[n] - y[n]);
  }
  return sum;
}

// The root mean square error of the logits, and that of all gradients together.
struct PrecisionErrors {
  double logits, gradients;
  PrecisionErrors(const std::vector<Tensor>& found, const std::vector<Tensor>& exact)
      : logits(std::sqrt(squares(found[0], exact[0]))), gradients(0) {
    for (std::size_t n = 1; n < found.size(); ++n) {
      gradients += squares(found[n], exact[n]);
    }
    gradients = std::sqrt(gradients);
  }
};

// The same weights in f64.
inline void copy_weights(const nn::LanguageModel& from, nn::LanguageModel& to) {
  const std::vector<nn::Parameter> source = from.parameters();
  std::vector<nn::Parameter> target = to.parameters();
  for (std::size_t n = 0; n < source.size(); ++n) {
    target[n].variable.mutable_value().copy_from(source[n].variable.value().to(DType::f64));
  }
}

// A naive model holds its parameters with few bits, and computes exactly: a lower bound of what a
// model is off by that keeps all its numbers so. Ours rounds states as often as weights, and where
// the choice of keys is sharp (top-k, sparse weights) both may choose others: on the CPU ours is
// 0.6 to 1.8 times as far off, over all backbones.
inline void precision_rule_holds(const std::string& kind, Device device) {
  for (const Precision precision : {Precision::tf32, Precision::bf16}) {
    nn::LanguageModel found(precision_options(kind, precision), 1);
    nn::LanguageModel exact(precision_options(kind, Precision::f32, DType::f64), 1);
    nn::LanguageModel naive(precision_options(kind, Precision::f32, DType::f64), 1);
    copy_weights(found, exact);
    copy_weights(found, naive);
    make_naive(naive, precision);
    found.to(device);
    std::vector<Tensor> results = precision_outcome(found);
    for (Tensor& tensor : results) {
      EXPECT_EQ(tensor.dtype(), DType::f32);
      EXPECT_EQ(tensor.device(), device);
      tensor = tensor.to(Device::cpu);
    }
    const std::vector<Tensor> expected = precision_outcome(exact);
    const PrecisionErrors ours(results, expected);
    const PrecisionErrors theirs(precision_outcome(naive), expected);
    EXPECT_GT(ours.logits, 0);
    EXPECT_TRUE(ours.logits <= 3 * theirs.logits)
        << name_of(precision) << " logits " << ours.logits << " against " << theirs.logits;
    EXPECT_TRUE(ours.gradients <= 3 * theirs.gradients)
        << name_of(precision) << " gradients " << ours.gradients << " against " << theirs.gradients;
  }
}

}  // namespace basin::test
