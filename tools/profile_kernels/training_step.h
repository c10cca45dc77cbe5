// A whole training step of a language model on random tokens.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "nn/language_model.h"
#include "nn/optim/optimizer.h"

namespace basin::profile_kernels {

/// Forward pass, loss, backward pass, clipping and AdamW (rate 1e-3, gradient norm at most 1) on
/// one batch of full sequences, the same in every step: what the tokens are does not change the
/// work.
class TrainingStep {
 public:
  /// Sequences have options.max_length tokens. Throws Error for options that
  /// cannot be.
  TrainingStep(const nn::BackboneOptions& options, std::int64_t batch, Device device);

  /// Seconds of one step. Throws Error if the loss is not finite.
  double run();
  /// Before the update of the last step, in nats.
  double loss() const { return loss_; }

  std::int64_t parameter_count() const { return model_.parameter_count(); }
  /// Writes weights as "<name>.npy", and "tokens.npy" and "targets.npy" (batch, length), into a
  /// folder, which is made if it is missing. Throws FileError.
  void write_arrays(const std::string& folder) const;

 private:
  nn::LanguageModel model_;
  Device device_;
  std::unique_ptr<nn::Optimizer> optimizer_;
  Tensor tokens_, targets_;
  double loss_ = 0;
};

/// i64, uniform in [0, bound), the same for the same stream.
Tensor random_ids(const Shape& shape, std::int64_t bound, std::uint64_t stream);

/// Makes a folder for arrays. Throws FileError naming it.
void make_folder(const std::string& folder);

}  // namespace basin::profile_kernels
