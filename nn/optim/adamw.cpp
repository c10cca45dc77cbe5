#include "nn/optim/adamw.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "kernels/optim/adamw.h"
#include "tensor/check.h"
#include "tensor/functions/reduce.h"

namespace basin::nn {

AdamW::AdamW(std::vector<Parameter> parameters, const AdamWOptions& options)
    : parameters_(std::move(parameters)), options_(options) {
  const auto fraction = [](double value) { return value >= 0.0 && value < 1.0; };
  if (!fraction(options.beta1) || !fraction(options.beta2) || !(options.eps > 0.0) ||
      !(options.weight_decay >= 0.0) || !(options.clip_norm >= 0.0)) {
    fail(
        "[AdamW] needs beta1 and beta2 in [0, 1), eps > 0, weight_decay >= 0 and clip_norm >= 0; "
        "got {}, {}, {}, {} and {}",
        options.beta1, options.beta2, options.eps, options.weight_decay, options.clip_norm);
  }
  for (const Parameter& parameter : parameters_) {
    const Tensor& value = parameter.variable.value();
    moments_.push_back({parameter.name, Tensor::zeros(value.shape(), value.dtype()),
                        Tensor::zeros(value.shape(), value.dtype())});
  }
}

double AdamW::step(double learning_rate) {
  double squares = 0;
  for (const Parameter& parameter : parameters_) {
    if (parameter.variable.grad().defined()) {
      squares += sum_of_squares(parameter.variable.grad());
    }
  }
  const double norm = std::sqrt(squares);
  if (!std::isfinite(norm)) {
    return norm;
  }
  ++steps_;
  const double scale =
      options_.clip_norm > 0.0 ? std::min(1.0, options_.clip_norm / (norm + 1e-6)) : 1.0;
  for (std::size_t n = 0; n < parameters_.size(); ++n) {
    Variable& variable = parameters_[n].variable;
    if (!variable.grad().defined()) {
      continue;
    }
    const Tensor gradient = variable.grad().contiguous();
    Tensor& value = variable.mutable_value();
    check(kernels::adamw(
              {value.mutable_raw(), gradient.raw(), moments_[n].m.mutable_raw(),
               moments_[n].v.mutable_raw(), value.numel(), steps_, learning_rate, options_.beta1,
               options_.beta2, options_.eps, options_.weight_decay, scale, value.dtype()},
              cpu_context()),
          "adamw", value, gradient);
  }
  return norm;
}

void AdamW::restore(std::int64_t steps, const std::vector<Moments>& moments) {
  if (moments.size() != moments_.size()) {
    fail("[AdamW] {} pairs of moments for {} parameters", moments.size(), moments_.size());
  }
  const auto same = [](const Tensor& a, const Tensor& b) {
    return a.shape() == b.shape() && a.dtype() == b.dtype();
  };
  for (std::size_t n = 0; n < moments.size(); ++n) {
    if (moments[n].name != moments_[n].name || !same(moments[n].m, moments_[n].m) ||
        !same(moments[n].v, moments_[n].v)) {
      fail("[AdamW] the moments of '{}' ({} and {}) do not fit those of '{}' ({})", moments[n].name,
           describe(moments[n].m), describe(moments[n].v), moments_[n].name,
           describe(moments_[n].m));
    }
  }
  for (std::size_t n = 0; n < moments.size(); ++n) {
    moments_[n].m.copy_from(moments[n].m);
    moments_[n].v.copy_from(moments[n].v);
  }
  steps_ = steps;
}

}  // namespace basin::nn
