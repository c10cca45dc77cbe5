// A whole training step of a language model on random tokens.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "nn/language_model.h"
#include "nn/optim/optimizer.h"
#include "tasks/device_step.h"

namespace basin::profile_kernels {

/// Forward pass, loss, backward pass, clipping and AdamW (rate 1e-3, gradient norm at most 1) on
/// one batch of full sequences, the same in every step: what the tokens are does not change the
/// work.
class TrainingStep {
 public:
  /// Sequences have options.max_length tokens. On other devices than the CPU steps become a graph
  /// where `graph` wants it. Throws Error for options that cannot be.
  TrainingStep(const nn::BackboneOptions& options, std::int64_t batch, Device device,
               tasks::StepGraph graph);

  /// Seconds of one step, the transfer of its tokens included. Throws Error if the loss is not
  /// finite.
  double run();
  /// Steps before times mean anything: caches and, where there will be one, the graph.
  std::int64_t warm_up_steps() const { return on_device_ == nullptr ? 1 : 3; }
  /// Before the update of the last step, in nats.
  double loss() const { return loss_; }

  /// Of the last step; 0 on the CPU. Kernels that ran, those of libraries included, and what the
  /// program had to start for it: kernels one by one, or a graph as a whole.
  std::int64_t kernels() const { return kernels_; }
  std::int64_t starts() const { return starts_; }
  /// "one graph", or why not.
  std::string how() const;

  std::int64_t parameter_count() const { return model_.parameter_count(); }
  /// Writes weights as "<name>.npy", and "tokens.npy" and "targets.npy" (batch, length), into a
  /// folder, which is made if it is missing. With random masks also "mask_keys.npy" (2, layers):
  /// the Philox keys, whose bits are those of i64, from which each layer draws its mask in the next
  /// two steps. Throws FileError.
  void write_arrays(const std::string& folder);

 private:
  nn::LanguageModel model_;
  Device device_;
  std::unique_ptr<nn::Optimizer> optimizer_;
  tasks::Batch batch_;
  std::unique_ptr<tasks::DeviceStep> on_device_;  // null on the CPU
  double loss_ = 0;
  std::int64_t kernels_ = 0, starts_ = 0;
};

/// i64, uniform in [0, bound), the same for the same stream.
Tensor random_ids(const Shape& shape, std::int64_t bound, std::uint64_t stream);

/// Makes a folder for arrays. Throws FileError naming it.
void make_folder(const std::string& folder);

}  // namespace basin::profile_kernels
