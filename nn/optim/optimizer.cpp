#include "nn/optim/optimizer.h"

#include <cmath>
#include <utility>

#include "kernels/optim/adamw.h"
#include "kernels/optim/clip.h"
#include "kernels/optim/sgd.h"
#include "tensor/check.h"
#include "tensor/functions/reduce.h"

namespace basin::nn {

namespace {

constexpr OptimizerKind kOptimizers[] = {OptimizerKind::adamw, OptimizerKind::adam,
                                         OptimizerKind::sgd};

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
  for (const OptimizerKind kind : kOptimizers) {
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
  if (!parameters_.empty() && parameters_.front().variable.device() != Device::cpu) {
    steps_there_ = Tensor::zeros({}, DType::i64, parameters_.front().variable.device());
  }
}

Optimizer::Gradients Optimizer::gradients() const {
  Gradients result;
  for (std::size_t n = 0; n < parameters_.size(); ++n) {
    const Tensor& gradient = parameters_[n].variable.grad();
    if (gradient.defined()) {
      result.tensors.push_back(gradient.contiguous());
      result.owners.push_back(n);
    }
  }
  return result;
}

// Returns the norm where the gradients lie.
Tensor Optimizer::clip_and_update(const Gradients& gradients, Rates rates, const Queued* queued) {
  const Device device = gradients.tensors.front().device();
  const Tensor squares = sum_of_squares(gradients.tensors);
  Tensor scale = Tensor::empty({}, DType::f64, device);
  Tensor norm = Tensor::empty({}, DType::f64, device);
  kernels::ClipScale clip{squares.kernel_data<double>(), options_.clip_norm,
                          static_cast<double*>(scale.mutable_raw()),
                          static_cast<double*>(norm.mutable_raw()), nullptr};
  if (steps_there_.defined()) {
    clip.steps = static_cast<std::int64_t*>(steps_there_.mutable_raw());
    rates.step_pointer = clip.steps;  // which is counted before the update reads it
  }
  Tensor halted;
  if (queued != nullptr && queued->watched.defined()) {
    clip.watched = queued->watched.raw();
    clip.watched_dtype = queued->watched.dtype();
  }
  if (queued != nullptr && queued->halted.defined()) {
    halted = queued->halted;
    clip.halted = static_cast<std::int64_t*>(halted.mutable_raw());
  }
  check(on_device(device, [&](const auto& at) { return kernels::clip_scale(clip, at); }),
        "clip_scale", squares);
  rates.gradient_scale = scale.kernel_data<double>();
  std::vector<Item> items;
  for (std::size_t n = 0; n < gradients.owners.size(); ++n) {
    const std::size_t owner = gradients.owners[n];
    items.push_back(
        {parameters_[owner].variable.mutable_value(), gradients.tensors[n], states_[owner]});
  }
  update(items, rates);
  return norm;
}

double Optimizer::step(double learning_rate) {
  const Gradients found = gradients();
  if (found.tensors.empty()) {
    ++steps_;
    if (steps_there_.defined()) {
      steps_there_.copy_from(Tensor::from<std::int64_t>({}, std::vector<std::int64_t>{steps_}));
    }
    return 0;
  }
  Rates rates;
  rates.step = steps_ + 1;
  rates.learning_rate = learning_rate;
  // On a device the rate is read from memory in every kind of step, so that all have the same bits.
  const Device device = found.tensors.front().device();
  const Tensor there =
      device == Device::cpu ? Tensor() : Tensor::full({}, learning_rate, DType::f64, device);
  rates.learning_rate_pointer = there.defined() ? there.kernel_data<double>() : nullptr;
  const double norm = clip_and_update(found, rates, nullptr).item();
  steps_ += std::isfinite(norm) ? 1 : 0;
  return norm;
}

Tensor Optimizer::queue_step(const Queued& queued) {
  const Gradients found = gradients();
  if (found.tensors.empty() || !steps_there_.defined()) {
    fail("[Optimizer] a step is queued for parameters that have gradients and lie on a device");
  }
  check_same_device("Optimizer", steps_there_, found.tensors.front(), queued.learning_rate);
  Rates rates;
  rates.learning_rate_pointer = queued.learning_rate.kernel_data<double>();
  return clip_and_update(found, rates, &queued);
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
  if (steps_there_.defined()) {
    steps_there_.copy_from(Tensor::from<std::int64_t>({}, std::vector<std::int64_t>{steps}));
  }
}

AdamW::AdamW(std::vector<Parameter> parameters, const OptimizerOptions& options)
    : Optimizer(std::move(parameters), options, {"m", "v"}) {}

void AdamW::update(std::span<const Item> items, const Rates& rates) const {
  std::vector<kernels::AdamWArrays> arrays;
  for (const Item& item : items) {
    arrays.push_back({item.value.mutable_raw(), item.gradient.raw(),
                      item.state.slots[0].mutable_raw(), item.state.slots[1].mutable_raw(),
                      item.value.numel()});
  }
  const OptimizerOptions& o = options();
  const Tensor& value = items.front().value;
  kernels::AdamWList p{arrays.data(), static_cast<std::int64_t>(arrays.size()), {}};
  p.by.step = rates.step;
  p.by.step_pointer = rates.step_pointer;
  p.by.lr = rates.learning_rate;
  p.by.lr_pointer = rates.learning_rate_pointer;
  p.by.beta1 = o.beta1;
  p.by.beta2 = o.beta2;
  p.by.eps = o.eps;
  p.by.weight_decay = o.weight_decay;
  p.by.gradient_scale = 1.0;
  p.by.gradient_scale_pointer = rates.gradient_scale;
  p.by.decoupled = o.kind != OptimizerKind::adam;
  p.by.dtype = value.dtype();
  check(on_device(value.device(), [&](const auto& at) { return kernels::adamw(p, at); }), "adamw",
        value);
}

Sgd::Sgd(std::vector<Parameter> parameters, const OptimizerOptions& options)
    : Optimizer(std::move(parameters), options, {"momentum"}) {}

void Sgd::update(std::span<const Item> items, const Rates& rates) const {
  std::vector<kernels::SgdArrays> arrays;
  for (const Item& item : items) {
    arrays.push_back({item.value.mutable_raw(), item.gradient.raw(),
                      item.state.slots[0].mutable_raw(), item.value.numel()});
  }
  const OptimizerOptions& o = options();
  const Tensor& value = items.front().value;
  kernels::SgdList p{arrays.data(), static_cast<std::int64_t>(arrays.size()), {}};
  p.by.lr = rates.learning_rate;
  p.by.lr_pointer = rates.learning_rate_pointer;
  p.by.momentum = o.momentum;
  p.by.nesterov = o.nesterov;
  p.by.weight_decay = o.weight_decay;
  p.by.gradient_scale = 1.0;
  p.by.gradient_scale_pointer = rates.gradient_scale;
  p.by.dtype = value.dtype();
  check(on_device(value.device(), [&](const auto& at) { return kernels::sgd(p, at); }), "sgd",
        value);
}

std::unique_ptr<Optimizer> make_optimizer(std::vector<Parameter> parameters,
                                          const OptimizerOptions& options) {
  if (options.kind == OptimizerKind::sgd) {
    return std::make_unique<Sgd>(std::move(parameters), options);
  }
  return std::make_unique<AdamW>(std::move(parameters), options);
}

}  // namespace basin::nn
