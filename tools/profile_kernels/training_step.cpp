#include "tools/profile_kernels/training_step.h"

#include <cmath>
#include <filesystem>

#include "autograd/profiler.h"
#include "kernels/common/philox.h"
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

// Each layer draws once a step, as Retriever does; nothing else draws in this model.
Tensor mask_keys(Rng draws, std::int64_t layers) {
  Tensor keys = Tensor::zeros({2, layers}, DType::i64);
  auto* data = keys.mutable_data<std::int64_t>();
  for (std::int64_t n = 0; n < keys.numel(); ++n) {
    data[n] = static_cast<std::int64_t>(kernels::derive_key(draws.key(), draws.next_stream()));
  }
  return keys;
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

TrainingStep::TrainingStep(const nn::BackboneOptions& options, std::int64_t batch, Device device,
                           tasks::StepGraph graph)
    : model_(options, 1),
      device_(device),
      batch_{random_ids({batch, options.max_length}, options.vocabulary, 0),
             random_ids({batch, options.max_length}, options.vocabulary, 1), Tensor()} {
  model_.to(device);
  optimizer_ = nn::make_optimizer(model_.parameters(), optimizer_options());
  if (device != Device::cpu) {
    on_device_ = std::make_unique<tasks::DeviceStep>(model_, *optimizer_, graph);
  }
}

double TrainingStep::run() {
  const std::int64_t launches_before = launches(device_);
  const double begin = seconds_now();
  if (on_device_ != nullptr) {
    on_device_->queue({batch_}, kLearningRate);
    loss_ = on_device_->figures().loss;  // which come after the update
  } else {
    model_.clear_grad();
    const Variable loss = model_.loss(batch_.tokens, batch_.targets);
    loss_ = loss.value().item();
    loss.backward();
    const ProfiledScope scope("optimizer", ProfilePhase::other);
    (void)optimizer_->step(kLearningRate);
  }
  synchronize(device_);
  const double seconds = seconds_now() - begin;
  if (!std::isfinite(loss_)) {
    fail("the loss became {}", loss_);
  }
  const std::int64_t counted = launches(device_) - launches_before;
  kernels_ = starts_ = counted;
  if (on_device_ != nullptr && on_device_->used_graph()) {
    // A GPU starts the kernels of a graph without us; the executor counts each of them.
    const std::int64_t inside = on_device_->graph_launches();
    kernels_ = device_ == Device::cuda ? counted - 1 + inside : counted;
    starts_ = kernels_ - inside + 1;
  }
  return seconds;
}

std::string TrainingStep::how() const {
  if (on_device_ == nullptr) {
    return "kernel by kernel";
  }
  return on_device_->used_graph() ? "one graph" : "kernel by kernel: " + on_device_->why_plain();
}

void TrainingStep::write_arrays(const std::string& folder) {
  make_folder(folder);
  for (const nn::Parameter& parameter : model_.parameters()) {
    write_npy(folder + "/" + parameter.name + ".npy", parameter.variable.value());
  }
  for (const nn::Buffer& buffer : model_.buffers()) {
    write_npy(folder + "/" + buffer.name + ".npy", buffer.variable.value());
  }
  write_npy(folder + "/tokens.npy", batch_.tokens);
  write_npy(folder + "/targets.npy", batch_.targets);
  if (model_.options().kind == "random-masked-hopfield") {
    write_npy(folder + "/mask_keys.npy", mask_keys(model_.draws(), model_.options().layers));
  }
}

}  // namespace basin::profile_kernels
