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

  /// Of a step on another device than the CPU that nobody waits for. All lie there.
  struct Queued {
    Tensor learning_rate;  ///< f64 (), read when the update runs
    Tensor watched;        ///< f32 or f64 (), or undefined: unless it is finite, nothing changes
    Tensor halted;         ///< i64 (), or undefined: see kernels::ClipScale
  };
  /// step() without waiting: returns when the update is queued, with the norm, f64 () on the
  /// device. The device counts the steps that changed something; steps() has to be told, by
  /// count(), once their norms are known.
  Tensor queue_step(const Queued& queued);
  /// Adds the steps that were queued and did change something.
  void count(std::int64_t steps) { steps_ += steps; }

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
  /// The numbers of one step. Those behind pointers lie where the gradients lie; `step` and
  /// `learning_rate` are not looked at where there is a pointer to them.
  struct Rates {
    std::int64_t step = 1;  ///< counts from 1
    double learning_rate = 0.0;
    const double* gradient_scale = nullptr;  ///< factor of the gradients; NaN: change nothing
    const std::int64_t* step_pointer = nullptr;
    const double* learning_rate_pointer = nullptr;
  };
  /// All of them, in place.
  virtual void update(std::span<const Item> items, const Rates& rates) const = 0;

 private:
  struct Gradients {
    std::vector<Tensor> tensors;      // contiguous
    std::vector<std::size_t> owners;  // which parameters they are of
  };
  Gradients gradients() const;
  Tensor clip_and_update(const Gradients& gradients, Rates rates, const Queued* queued);

  std::vector<Parameter> parameters_;
  OptimizerOptions options_;
  std::vector<std::string> slot_names_;
  std::vector<State> states_;
  std::int64_t steps_ = 0;
  Tensor steps_there_;  // the same, i64 () on the device of the parameters; undefined on the CPU
};

/// Slots m and v. See kernels::AdamW for the update; with kind adam the decay is added to the
/// gradient instead (D. Kingma, J. Ba 2015).
class AdamW final : public Optimizer {
 public:
  AdamW(std::vector<Parameter> parameters, const OptimizerOptions& options);

 private:
  void update(std::span<const Item> items, const Rates& rates) const override;
};

/// Slot momentum. See kernels::Sgd for the update.
class Sgd final : public Optimizer {
 public:
  Sgd(std::vector<Parameter> parameters, const OptimizerOptions& options);

 private:
  void update(std::span<const Item> items, const Rates& rates) const override;
};

/// The optimizer of options.kind.
std::unique_ptr<Optimizer> make_optimizer(std::vector<Parameter> parameters,
                                          const OptimizerOptions& options);

}  // namespace basin::nn
