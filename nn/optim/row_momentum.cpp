#include "nn/optim/row_momentum.h"

#include "kernels/optim/row_momentum.h"
#include "tensor/check.h"

namespace basin::nn {

namespace {

// Scaled steps need no clipping of gradients.
OptimizerOptions base_options(const RowMomentumOptions& options) {
  OptimizerOptions base;
  base.kind = OptimizerKind::sgd;
  base.momentum = options.momentum;
  base.weight_decay = 0.0;
  base.clip_norm = 0.0;
  return base;
}

}  // namespace

RowMomentum::RowMomentum(std::vector<Parameter> parameters, const RowMomentumOptions& options)
    : Optimizer(std::move(parameters), base_options(options), {"momentum"}), bound_(options.bound) {
  if (!(options.bound > 0.0)) {
    fail("[RowMomentum] the bound of the weights must be above 0, got {}", options.bound);
  }
}

void RowMomentum::update(std::span<const Item> items, const Rates& rates) const {
  for (const Item& item : items) {
    kernels::RowMomentum p{};
    p.parameter = item.value.mutable_raw();
    p.gradient = item.gradient.raw();
    p.u = item.state.slots[0].mutable_raw();
    p.rows = item.value.rank() < 2 ? 1 : item.value.size(0);
    p.columns = p.rows == 0 ? 0 : item.value.numel() / p.rows;
    p.lr = rates.learning_rate;
    p.momentum = options().momentum;
    p.bound = bound_;
    p.gradient_scale = 1.0;
    p.gradient_scale_pointer = rates.gradient_scale;
    p.dtype = item.value.dtype();
    check(kernels::row_momentum(p, cpu_only("RowMomentum", item.value)), "RowMomentum", item.value);
  }
}

}  // namespace basin::nn
