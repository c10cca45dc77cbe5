// Gradients of a layer, by its inputs and by its parameters, against finite differences.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "autograd/gradcheck.h"
#include "nn/module.h"
#include "tensor/rng.h"
#include "tests/support/same_bits.h"

namespace basin::test {

/// As gradcheck() of autograd/gradcheck.h, in every element of every f64 input and of every
/// parameter of `module`, which has to be f64. `f` computes with the module. A parameter that
/// receives no gradient at all is a failure: it is not connected.
inline testing::AssertionResult gradients_agree(nn::Module& module, const DifferentiableFunction& f,
                                                const std::vector<Tensor>& inputs,
                                                const GradcheckOptions& options = {}) {
  std::vector<Variable> leaves;
  std::vector<std::pair<std::string, Variable>> checked;
  for (const Tensor& input : inputs) {
    leaves.emplace_back(input.clone(), input.dtype() == DType::f64);
    if (leaves.back().requires_grad()) {
      checked.emplace_back("input " + std::to_string(leaves.size() - 1), leaves.back());
    }
  }
  for (const nn::Parameter& parameter : module.parameters()) {
    checked.emplace_back(parameter.name, parameter.variable);
  }
  const auto value = [&] {
    const NoGrad no_grad;
    return f(leaves).value();
  };

  module.clear_grad();
  const Variable y = f(leaves);
  if (y.dtype() != DType::f64) {
    return testing::AssertionFailure() << "the value must be f64, it is " << describe(y.value());
  }
  if (!same_bits(value(), y.value())) {
    return testing::AssertionFailure() << "two calls gave different values";
  }
  const Tensor cotangent = Rng(options.seed).normal(y.shape(), 1.0, DType::f64);
  y.backward(cotangent);
  const std::vector<double> c = cotangent.to_vector<double>();
  const auto scalar = [&] {
    const std::vector<double> elements = value().to_vector<double>();
    double total = 0;
    for (std::size_t n = 0; n < elements.size(); ++n) {
      total += c[n] * elements[n];
    }
    return total;
  };

  for (auto& [name, variable] : checked) {
    if (!variable.grad().defined()) {
      return testing::AssertionFailure() << name << " received no gradient";
    }
    const std::vector<double> analytic = variable.grad().to_vector<double>();
    for (std::size_t i = 0; i < analytic.size(); ++i) {
      double* const element = variable.mutable_value().mutable_data<double>() + i;
      const double x = *element;
      *element = x + options.step;
      const double above = scalar();
      *element = x - options.step;
      const double below = scalar();
      *element = x;
      const double numeric = (above - below) / (2 * options.step);
      const double error = std::abs(analytic[i] - numeric);
      if (!(error <= options.atol + options.rtol * std::abs(numeric))) {
        return testing::AssertionFailure() << name << " element " << i << ": gradient "
                                           << analytic[i] << ", finite difference " << numeric;
      }
    }
  }
  return testing::AssertionSuccess();
}

}  // namespace basin::test
