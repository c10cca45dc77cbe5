#include "autograd/gradcheck.h"

#include <cmath>
#include <cstring>

#include "tensor/error.h"
#include "tensor/rng.h"

namespace basin {

namespace {

std::vector<Variable> as_leaves(const std::vector<Tensor>& inputs, bool requires_grad) {
  std::vector<Variable> leaves;
  leaves.reserve(inputs.size());
  for (const Tensor& input : inputs) {
    leaves.emplace_back(input, requires_grad && input.dtype() == DType::f64);
  }
  return leaves;
}

double inner_product(const Tensor& a, const Tensor& b) {
  const std::vector<double> x = a.to_vector<double>();
  const std::vector<double> y = b.to_vector<double>();
  double total = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    total += x[i] * y[i];
  }
  return total;
}

}  // namespace

GradcheckResult gradcheck(const DifferentiableFunction& f, const std::vector<Tensor>& inputs,
                          const GradcheckOptions& options) {
  std::vector<Tensor> points;
  for (const Tensor& input : inputs) {
    points.push_back(input.clone());
  }
  GradcheckResult result;
  const std::vector<Variable> leaves = as_leaves(points, true);
  const Variable y = f(leaves);
  if (y.dtype() != DType::f64) {
    fail("[gradcheck] needs a function with f64 values, got {}", describe(y.value()));
  }
  const Tensor cotangent = Rng(options.seed).normal(y.shape(), 1.0, DType::f64);
  const auto value = [&] {
    const NoGrad no_grad;
    return f(as_leaves(points, false)).value();
  };
  if (value().to_vector<double>() != y.value().to_vector<double>()) {
    return {false, HUGE_VAL, "two calls with the same inputs gave different values"};
  }
  if (y.requires_grad()) {
    y.backward(cotangent);
  }
  for (std::size_t n = 0; n < points.size(); ++n) {
    if (points[n].dtype() != DType::f64) {
      continue;
    }
    const std::vector<double> analytic =
        leaves[n].grad().defined()
            ? leaves[n].grad().to_vector<double>()
            : std::vector<double>(static_cast<std::size_t>(points[n].numel()));
    for (std::size_t i = 0; i < analytic.size(); ++i) {
      const double x = points[n].data<double>()[i];
      points[n].mutable_data<double>()[i] = x + options.step;
      const double above = inner_product(value(), cotangent);
      points[n].mutable_data<double>()[i] = x - options.step;
      const double below = inner_product(value(), cotangent);
      points[n].mutable_data<double>()[i] = x;
      const double numeric = (above - below) / (2 * options.step);
      const double allowed = options.atol + options.rtol * std::abs(numeric);
      const double ratio = std::abs(analytic[i] - numeric) / allowed;
      if (!(ratio <= result.worst) && !std::isnan(result.worst)) {
        result.worst = ratio;
        if (!(ratio <= 1.0)) {
          result.ok = false;
          result.message =
              fmt::format("input {} {} element {}: gradient {:.12g}, finite difference {:.12g}", n,
                          describe(points[n]), i, analytic[i], numeric);
        }
      }
    }
  }
  return result;
}

}  // namespace basin
