// A dense associative memory that is trained to classify: D. Krotov, J. Hopfield, Dense associative
// memory for pattern recognition (2016).
#pragma once

#include <cstdint>

#include "autograd/operations.h"
#include "nn/module.h"
#include "tensor/rng.h"

namespace basin::nn {

struct DenseClassifierOptions {
  std::int64_t memories = 100;
  Interaction interaction = Interaction::rectified;
  std::int64_t degree = 20;
  /// T: overlaps are divided by it, which is the factor beta_c = T^-degree of the paper.
  double temperature = 540.0;
  /// The memories start as normal numbers with this mean and deviation.
  double initial_mean = -0.3;
  double initial_deviation = 0.3;
};

/// K memories over `inputs` visible units in [-1, 1] and one label unit for each class. The label
/// units of the state are off (-1); a class is as likely as turning its unit on lowers the energy:
///   c_a = tanh(sum_mu F(x . xi_mu + label a on) - F(x . xi_mu + all labels off)).
/// Parameter memories (K, inputs + classes), the label units last. Trained by power_error() against
/// dense_targets() with RowMomentum. All class terms share x . xi: one product of matrices each
/// way. Energies up to 1e30 are in range, and the constructor sees to it that no input in [-1, 1]
/// with memories in [-1, 1] leaves it.
class DenseClassifier final : public Module {
 public:
  /// Throws Error for extents below 1, a degree below 1, a temperature of 0 or less, and one so low
  /// that ((inputs + classes) / T)^degree, for the exponential e^(degree ((inputs + classes) / T -
  /// 1)), is above 1e30.
  DenseClassifier(std::int64_t inputs, std::int64_t classes, const DenseClassifierOptions& options,
                  Rng& rng, DType dtype);

  /// x (B, inputs) to c (B, classes), each in [-1, 1].
  Variable forward(const Variable& x) const;

  /// (K, inputs + classes)
  const Variable& memories() const { return memories_; }
  const DenseClassifierOptions& options() const { return options_; }

 private:
  std::int64_t inputs_;
  DenseClassifierOptions options_;
  Variable memories_;
};

/// 1 at the label (B) u8 or i64 of each row, -1 elsewhere: (B, classes). Throws Error for a label
/// that is no class.
Tensor dense_targets(const Tensor& labels, std::int64_t classes, DType dtype);

}  // namespace basin::nn
