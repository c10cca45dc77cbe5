#include "nn/optim/optimizer.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "kernels/optim/adamw.h"
#include "kernels/optim/sgd.h"
#include "tensor/check.h"
#include "tensor/functions/reduce.h"

namespace basin::nn {

namespace {

constexpr OptimizerKind kKinds[] = {OptimizerKind::adamw, OptimizerKind::adam, OptimizerKind::sgd};

bool same_form(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && a.dtype() == b.dtype();
}

}  // namespace

const char* name_of(OptimizerKind kind) {
  switch (kind) {
    case OptimizerKind::adamw: return "adamw";
    case OptimizerKind::adam: return "adam";
    case OptimizerKind::sgd: return "sgd";
  }
  return "?";
}

bool parse(const std::string& name, OptimizerKind& out) {
  for (const OptimizerKind kind : kKinds) {
    if (name == name_of(kind)) {
      out = kind;
      return true;
    }
  }
  return false;
}

Optimizer::Optimizer(std::vector<Parameter> parameters, const OptimizerOptions& options,
                     std::vector<std::string> slot_names)
    : parameters_(std::move(parameters)), options_(options), slot_names_(std::move(slot_names)) {
  const auto fraction = [](double value) { return value >= 0.0 && value < 1.0; };
  if (!fraction(options.beta1) || !fraction(options.beta2) || !fraction(options.momentum) ||
      !(options.eps > 0.0) || !(options.weight_decay >= 0.0) || !(options.clip_norm >= 0.0)) {
    fail(
        "[Optimizer] needs beta1, beta2 and momentum in [0, 1), eps > 0, weight_decay >= 0 and "
        "clip_norm >= 0; got {}, {}, {}, {}, {} and {}",
        options.beta1, options.beta2, options.momentum, options.eps, options.weight_decay,
        options.clip_norm);
  }
  for (const Parameter& parameter : parameters_) {
    const Tensor& value = parameter.variable.value();
    State state{parameter.name, {}};
    for (std::size_t slot = 0; slot < slot_names_.size(); ++slot) {
      state.slots.push_back(Tensor::zeros(value.shape(), value.dtype(), value.device()));
    }
    states_.push_back(std::move(state));
  }
}

double Optimizer::step(double learning_rate) {
  double squares = 0;
  for (const Parameter& parameter : parameters_) {
    if (parameter.variable.grad().defined()) {
      squares += sum_of_squares(parameter.variable.grad()).item();
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
    if (variable.grad().defined()) {
      update(variable.mutable_value(), variable.grad().contiguous(), states_[n], steps_,
             learning_rate, scale);
    }
  }
  return norm;
}

void Optimizer::restore(std::int64_t steps, const std::vector<State>& states) {
  if (states.size() != states_.size()) {
    fail("[Optimizer] states of {} parameters for {}", states.size(), states_.size());
  }
  for (std::size_t n = 0; n < states.size(); ++n) {
    bool fits = states[n].name == states_[n].name && states[n].slots.size() == slot_names_.size();
    for (std::size_t slot = 0; fits && slot < slot_names_.size(); ++slot) {
      fits = same_form(states[n].slots[slot], states_[n].slots[slot]);
    }
    if (!fits) {
      std::string found;
      for (const Tensor& slot : states[n].slots) {
        found += (found.empty() ? "" : " and ") + describe(slot);
      }
      fail("[Optimizer] the state of '{}' ({}) does not fit that of '{}' ({} of {})",
           states[n].name, found, states_[n].name, slot_names_.size(),
           describe(parameters_[n].variable.value()));
    }
  }
  for (std::size_t n = 0; n < states.size(); ++n) {
    for (std::size_t slot = 0; slot < slot_names_.size(); ++slot) {
      states_[n].slots[slot].copy_from(states[n].slots[slot]);
    }
  }
  steps_ = steps;
}

AdamW::AdamW(std::vector<Parameter> parameters, const OptimizerOptions& options)
    : Optimizer(std::move(parameters), options, {"m", "v"}) {}

void AdamW::update(Tensor& value, const Tensor& gradient, State& state, std::int64_t step,
                   double learning_rate, double gradient_scale) const {
  const OptimizerOptions& o = options();
  const kernels::AdamW p{value.mutable_raw(),
                         gradient.raw(),
                         state.slots[0].mutable_raw(),
                         state.slots[1].mutable_raw(),
                         value.numel(),
                         step,
                         learning_rate,
                         o.beta1,
                         o.beta2,
                         o.eps,
                         o.weight_decay,
                         gradient_scale,
                         value.dtype(),
                         o.kind != OptimizerKind::adam};
  check(kernels::adamw(p, cpu_only("adamw", value)), "adamw", value, gradient);
}

Sgd::Sgd(std::vector<Parameter> parameters, const OptimizerOptions& options)
    : Optimizer(std::move(parameters), options, {"momentum"}) {}

void Sgd::update(Tensor& value, const Tensor& gradient, State& state, std::int64_t,
                 double learning_rate, double gradient_scale) const {
  const OptimizerOptions& o = options();
  const kernels::Sgd p{value.mutable_raw(), gradient.raw(), state.slots[0].mutable_raw(),
                       value.numel(),       learning_rate,  o.momentum,
                       o.nesterov,          o.weight_decay, gradient_scale,
                       value.dtype()};
  check(kernels::sgd(p, cpu_only("sgd", value)), "sgd", value, gradient);
}

std::unique_ptr<Optimizer> make_optimizer(std::vector<Parameter> parameters,
                                          const OptimizerOptions& options) {
  if (options.kind == OptimizerKind::sgd) {
    return std::make_unique<Sgd>(std::move(parameters), options);
  }
  return std::make_unique<AdamW>(std::move(parameters), options);
}

}  // namespace basin::nn
