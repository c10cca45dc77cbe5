// What all optimizers share: clipping, a step over all parameters, and state that a checkpoint
// keeps.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "nn/module.h"

namespace basin::nn {

enum class OptimizerKind : std::uint8_t { adamw, adam, sgd };

const char* name_of(OptimizerKind);
/// False for an unknown name.
bool parse(const std::string& name, OptimizerKind&);

struct OptimizerOptions {
  OptimizerKind kind = OptimizerKind::adamw;
  double beta1 = 0.9;     ///< adamw, adam: memory of the gradient
  double beta2 = 0.95;    ///< adamw, adam: memory of its square
  double eps = 1e-8;      ///< adamw, adam
  double momentum = 0.9;  ///< sgd
  bool nesterov = false;  ///< sgd
  double weight_decay =
      0.01;  ///< adamw: decoupled; adam, sgd: added to the gradient; on every parameter
  double clip_norm = 1.0;  ///< largest gradient norm; 0: no clipping
};

/// Gradients are multiplied by min(1, clip_norm / (norm + 1e-6)), norm over all parameters
/// together.
class Optimizer {
 public:
  virtual ~Optimizer() = default;
  Optimizer(const Optimizer&) = delete;
  Optimizer& operator=(const Optimizer&) = delete;

  /// One update from the gradients at hand, which are left as they are. A parameter without a
  /// gradient is not touched. Returns the norm before clipping; if it is not finite, nothing is
  /// changed. On a GPU the whole update is queued before the norm is read, which waits for it.
  /// Throws Error unless all parameters have one dtype and lie on one device.
  double step(double learning_rate);

  const OptimizerOptions& options() const { return options_; }
  std::int64_t steps() const { return steps_; }

  /// What is kept for a parameter: one tensor of its shape per name in slot_names().
  struct State {
    std::string name;
    std::vector<Tensor> slots;
  };
  const std::vector<State>& states() const { return states_; }
  const std::vector<std::string>& slot_names() const { return slot_names_; }
  /// Throws Error, before anything is changed, unless names, shapes and dtypes are those of
  /// states().
  void restore(std::int64_t steps, const std::vector<State>& states);

 protected:
  /// Throws Error for options that cannot be.
  Optimizer(std::vector<Parameter> parameters, const OptimizerOptions& options,
            std::vector<std::string> slot_names);

  /// A parameter that has a gradient, which is contiguous.
  struct Item {
    Tensor& value;
    const Tensor& gradient;
    State& state;
  };
  /// All of them, in place. Gradients still have to be multiplied by `*gradient_scale`, which lies
  /// where they lie; if it is NaN nothing may be changed. `step` counts from 1.
  virtual void update(std::span<const Item> items, std::int64_t step, double learning_rate,
                      const double* gradient_scale) const = 0;

 private:
  std::vector<Parameter> parameters_;
  OptimizerOptions options_;
  std::vector<std::string> slot_names_;
  std::vector<State> states_;
  std::int64_t steps_ = 0;
};

/// Slots m and v. See kernels::AdamW for the update; with kind adam the decay is added to the
/// gradient instead (D. Kingma, J. Ba 2015).
class AdamW final : public Optimizer {
 public:
  AdamW(std::vector<Parameter> parameters, const OptimizerOptions& options);

 private:
  void update(std::span<const Item> items, std::int64_t step, double learning_rate,
              const double* gradient_scale) const override;
};

/// Slot momentum. See kernels::Sgd for the update.
class Sgd final : public Optimizer {
 public:
  Sgd(std::vector<Parameter> parameters, const OptimizerOptions& options);

 private:
  void update(std::span<const Item> items, std::int64_t step, double learning_rate,
              const double* gradient_scale) const override;
};

/// The optimizer of options.kind.
std::unique_ptr<Optimizer> make_optimizer(std::vector<Parameter> parameters,
                                          const OptimizerOptions& options);

}  // namespace basin::nn
