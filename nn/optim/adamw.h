// AdamW with clipping of the global gradient norm.
#pragma once

#include <vector>

#include "nn/module.h"

namespace basin::nn {

struct AdamWOptions {
  double beta1 = 0.9;
  double beta2 = 0.95;
  double eps = 1e-8;
  double weight_decay = 0.01;  ///< decoupled, on every parameter
  double clip_norm = 1.0;      ///< 0: no clipping
};

/// See kernels::AdamW for the update. Gradients are multiplied by
/// min(1, clip_norm / (norm + 1e-6)), norm over all parameters together.
class AdamW {
 public:
  AdamW(std::vector<Parameter> parameters, const AdamWOptions& options);

  /// One update from the gradients at hand, which are left as they are. A parameter without a
  /// gradient is not touched. Returns the norm before clipping; if it is not finite, nothing is
  /// changed.
  double step(double learning_rate);

  const AdamWOptions& options() const { return options_; }
  std::int64_t steps() const { return steps_; }

  /// The running averages of each parameter's gradient and its square, for checkpoints.
  struct Moments {
    std::string name;
    Tensor m, v;
  };
  const std::vector<Moments>& moments() const { return moments_; }
  /// Throws Error unless names, shapes and dtypes are those of moments().
  void restore(std::int64_t steps, const std::vector<Moments>& moments);

 private:
  std::vector<Parameter> parameters_;
  AdamWOptions options_;
  std::vector<Moments> moments_;
  std::int64_t steps_ = 0;
};

}  // namespace basin::nn
