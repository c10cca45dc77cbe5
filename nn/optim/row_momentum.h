// Momentum whose every step is as long as the learning rate, for losses that are very steep in some
// places and flat in others.
#pragma once

#include <limits>

#include "nn/optim/optimizer.h"

namespace basin::nn {

struct RowMomentumOptions {
  double momentum = 0.6;
  /// After a step every number is clipped to [-bound, bound].
  double bound = std::numeric_limits<double>::infinity();
};

/// Slot momentum. The largest change in each row of a parameter (along its first dimension; a
/// parameter of rank 0 or 1 is one row) is the learning rate: see kernels::RowMomentum. It does not
/// depend on the scale of the loss. On the CPU only.
class RowMomentum final : public Optimizer {
 public:
  /// Throws Error unless 0 <= momentum < 1 and bound > 0.
  RowMomentum(std::vector<Parameter> parameters, const RowMomentumOptions& options);

 private:
  void update(std::span<const Item> items, const Rates& rates) const override;

  double bound_;
};

}  // namespace basin::nn
