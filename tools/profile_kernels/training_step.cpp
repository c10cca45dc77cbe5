#include "tools/profile_kernels/training_step.h"

#include <cmath>
#include <filesystem>

#include "autograd/profiler.h"
#include "tensor/error.h"
#include "tensor/io/npy.h"
#include "tensor/rng.h"
#include "tools/profile_kernels/statistics.h"

namespace basin::profile_kernels {

namespace {

constexpr double kLearningRate = 1e-3;

nn::OptimizerOptions optimizer_options() {
  nn::OptimizerOptions options;
  options.clip_norm = 1.0;
  return options;
}

}  // namespace

Tensor random_ids(const Shape& shape, std::int64_t bound, std::uint64_t stream) {
  Tensor ids = Tensor::zeros(shape, DType::i64);
  auto* data = ids.mutable_data<std::int64_t>();
  for (std::int64_t n = 0; n < ids.numel(); ++n) {
    data[n] = static_cast<std::int64_t>(
        uniform_index(1, stream, static_cast<std::uint64_t>(n), static_cast<std::uint64_t>(bound)));
  }
  return ids;
}

void make_folder(const std::string& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) {
    throw FileError(fmt::format("the folder {} cannot be made: {}", folder, error.message()));
  }
}

TrainingStep::TrainingStep(const nn::BackboneOptions& options, std::int64_t batch, Device device)
    : model_(options, 1),
      device_(device),
      tokens_(random_ids({batch, options.max_length}, options.vocabulary, 0)),
      targets_(random_ids({batch, options.max_length}, options.vocabulary, 1)) {
  model_.to(device);
  optimizer_ = nn::make_optimizer(model_.parameters(), optimizer_options());
}

double TrainingStep::run() {
  const double begin = seconds_now();
  model_.clear_grad();
  const Variable loss = model_.loss(tokens_, targets_);
  loss_ = loss.value().item();
  loss.backward();
  {
    const ProfiledScope scope("optimizer", ProfilePhase::other);
    (void)optimizer_->step(kLearningRate);
  }
  synchronize(device_);
  const double seconds = seconds_now() - begin;
  if (!std::isfinite(loss_)) {
    fail("the loss became {}", loss_);
  }
  return seconds;
}

void TrainingStep::write_arrays(const std::string& folder) const {
  make_folder(folder);
  for (const nn::Parameter& parameter : model_.parameters()) {
    write_npy(folder + "/" + parameter.name + ".npy", parameter.variable.value());
  }
  write_npy(folder + "/tokens.npy", tokens_);
  write_npy(folder + "/targets.npy", targets_);
}

}  // namespace basin::profile_kernels
