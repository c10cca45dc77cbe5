#include "tasks/device_step.h"

#include <algorithm>
#include <utility>

#include "autograd/anomaly.h"
#include "autograd/profiler.h"
#include "nn/diagnostics/observer.h"
#include "tensor/error.h"
#include "tensor/functions/elementwise.h"
#include "tensor/indices.h"

namespace basin::tasks {

namespace {

std::int64_t counted_targets_anywhere(const Batch& batch) {
  return count_other_than(batch.targets, kIgnored);
}

}  // namespace

const char* name_of(StepGraph graph) {
  switch (graph) {
    case StepGraph::automatic: return "auto";
    case StepGraph::on: return "on";
    case StepGraph::off: return "off";
  }
  return "?";
}

DeviceStep::DeviceStep(nn::LanguageModel& model, nn::Optimizer& optimizer, StepGraph graph)
    : model_(model),
      optimizer_(optimizer),
      mode_(graph),
      device_(model.parameters().front().variable.device()) {
  if (device_ == Device::cpu) {
    fail(
        "[DeviceStep] the model lies on the CPU, whose steps are computed when they are asked for");
  }
  if (graph != StepGraph::off) {
    try {
      graph_ = std::make_unique<DeviceGraph>(device_);
    } catch (const Error& error) {
      if (graph == StepGraph::on) {
        throw;
      }
      never_ = error.what();
    }
  }
  for (const nn::Parameter& parameter : model.parameters()) {
    kept_.push_back(parameter.variable);
  }
  for (const nn::Buffer& buffer : model.buffers()) {
    kept_.push_back(buffer.variable);
  }
  halted_ = Tensor::zeros({}, DType::i64, device_);
}

DeviceStep::~DeviceStep() = default;

bool DeviceStep::Inputs::fits(const Batch& batch) const {
  return all.defined() && batch.tokens.shape() == tokens.shape() &&
         batch.targets.shape() == targets.shape() && batch.lengths.defined() == lengths.defined();
}

// On a device nobody looks at whole numbers that steer kernels.
void DeviceStep::check(const Batch& batch) const {
  const std::int64_t vocabulary = model_.options().vocabulary;
  check_range("embedding", batch.tokens, 0, vocabulary, device_);
  check_range("linear_cross_entropy", batch.targets, 0, vocabulary, device_, &kIgnored);
  if (batch.lengths.defined()) {
    check_range("lengths", batch.lengths, 0, batch.tokens.size(1) + 1, device_);
  }
  if (counted_targets_anywhere(batch) == 0) {
    fail("[linear_cross_entropy] every target of {} is the ignored index {}",
         describe(batch.targets), kIgnored);
  }
}

void DeviceStep::make_inputs(const Batch& batch) {
  const std::int64_t tokens = batch.tokens.numel();
  const std::int64_t lengths = batch.lengths.defined() ? batch.lengths.numel() : 0;
  inputs_ = Inputs();
  inputs_.all = Tensor::empty({1 + 2 * tokens + lengths}, DType::i64, device_);
  std::int64_t at = 0;
  const auto next = [&](const Shape& shape) {
    const Tensor part = inputs_.all.slice(0, at, at + shape.numel()).view(shape);
    at += shape.numel();
    return part;
  };
  inputs_.offset = next({});
  inputs_.tokens = next(batch.tokens.shape());
  inputs_.targets = next(batch.targets.shape());
  if (lengths > 0) {
    inputs_.lengths = next(batch.lengths.shape());
  }
  inputs_.learning_rate = Tensor::empty({}, DType::f64, device_);
}

// One copy: the offset of the random streams in front, then the batch. The rate is the argument of
// a kernel, which is queued in front of the step and is no part of it.
void DeviceStep::upload(const Batch& batch, double learning_rate) {
  Tensor here = Tensor::empty(inputs_.all.shape(), DType::i64);
  auto* to = here.mutable_data<std::int64_t>();
  *to++ = static_cast<std::int64_t>(model_.draws().position());
  for (const Tensor& part : {batch.tokens, batch.targets, batch.lengths}) {
    if (part.defined()) {
      const Tensor row_major = part.contiguous();
      to = std::copy_n(row_major.data<std::int64_t>(), row_major.numel(), to);
    }
  }
  copy_bytes(inputs_.all.mutable_raw(), device_, here.raw(), Device::cpu,
             static_cast<std::size_t>(here.numel()) * sizeof(std::int64_t));
  inputs_.learning_rate.fill(learning_rate);
}

// What a graph is made of. Reads the inputs on the device and nothing of the host that changes.
void DeviceStep::compute() {
  // What the step before has left goes first: then every step needs the same blocks.
  model_.clear_grad();
  losses_.clear();
  norm_ = Tensor();
  const Rng::ScopedOffset offset(model_.draws(), inputs_.offset);
  const Variable loss = model_.loss(inputs_.tokens, inputs_.targets, inputs_.lengths);
  loss.backward();
  losses_.push_back(loss.value());
  shares_ = {1.0};
  const ProfiledScope scope("optimizer", ProfilePhase::other);
  norm_ = optimizer_.queue_step({inputs_.learning_rate, loss.value(), halted_});
}

// Each part weighs as much as it has targets, so that the sum is the mean over the whole batch.
void DeviceStep::compute_parts(const std::vector<Batch>& parts, double learning_rate) {
  std::int64_t counted = 0;
  for (const Batch& part : parts) {
    counted += counted_targets_anywhere(part);
  }
  model_.clear_grad();
  losses_.clear();
  shares_.clear();
  Tensor sum;
  for (const Batch& part : parts) {
    const double share =
        static_cast<double>(counted_targets_anywhere(part)) / static_cast<double>(counted);
    const Variable loss = model_.loss(part.tokens, part.targets, part.lengths);
    loss.backward(Tensor::full({}, share, loss.dtype(), device_));
    losses_.push_back(loss.value());
    shares_.push_back(share);
    sum = sum.defined() ? add(sum, loss.value()) : loss.value();
  }
  const ProfiledScope scope("optimizer", ProfilePhase::other);
  norm_ =
      optimizer_.queue_step({Tensor::full({}, learning_rate, DType::f64, device_), sum, halted_});
}

std::string DeviceStep::why_not_graph(const std::vector<Batch>& parts) const {
  if (mode_ == StepGraph::off) {
    return "graphs are switched off";
  }
  if (!never_.empty()) {
    return never_;
  }
  if (parts.size() > 1) {
    return "a batch in parts has shares that change from step to step";
  }
  if (!inputs_.fits(parts.front()) && rehearsed_) {
    return "the batch has another shape than the captured one";
  }
  if (is_watching_for_anomalies()) {
    return "every result is looked at for values that are not finite";
  }
  if (is_profiling()) {
    return "operations are being timed";
  }
  if (nn::is_observed()) {
    return "somebody looks on while the model retrieves";
  }
  if (!model_.training()) {
    return "the model is in evaluation mode";
  }
  return "";
}

// A graph writes to where things lay when it was captured.
std::vector<const void*> DeviceStep::addresses() const {
  std::vector<const void*> all;
  for (const Variable& kept : kept_) {
    all.push_back(kept.value().raw());
  }
  for (const nn::Optimizer::State& state : optimizer_.states()) {
    for (const Tensor& slot : state.slots) {
      all.push_back(slot.raw());
    }
  }
  return all;
}

void DeviceStep::drop_graph() {
  rehearsed_ = false;
  captured_addresses_.clear();
  graph_loss_ = graph_norm_ = Tensor();
  if (never_.empty() && mode_ != StepGraph::off) {
    graph_.reset();  // first, so that its memory is free again
    graph_ = std::make_unique<DeviceGraph>(device_);
  } else {
    graph_.reset();
  }
}

// One step by the graph: rehearsed the first time, captured the second, from then on repeated.
// False if it cannot be captured; nothing has been computed then.
bool DeviceStep::run_graph() {
  Rng& draws = model_.draws();
  const std::uint64_t position = draws.position();
  if (graph_->captured() && addresses() != captured_addresses_) {
    drop_graph();
  }
  if (!rehearsed_) {
    graph_->rehearse([this] { compute(); });
    rehearsed_ = true;
    why_plain_ = "the first step of a shape shows what memory it needs";
    return true;
  }
  graph_->prepare();
  if (!graph_->captured()) {
    try {
      graph_->capture([this] { compute(); });
    } catch (const Error& error) {
      draws.set_position(position);
      never_ = error.what();
      losses_.clear();
      norm_ = Tensor();
      model_.clear_grad();
      drop_graph();
      if (mode_ == StepGraph::on) {
        throw;
      }
      return false;
    }
    graph_loss_ = losses_.front();
    graph_norm_ = norm_;
    draws_of_step_ = draws.position() - position;
    captured_addresses_ = addresses();
  }
  draws.set_position(position + draws_of_step_);
  graph_->replay();
  losses_ = {graph_loss_};
  shares_ = {1.0};
  norm_ = graph_norm_;
  used_graph_ = true;
  why_plain_.clear();
  return true;
}

void DeviceStep::queue(const std::vector<Batch>& parts, double learning_rate) {
  for (const Batch& part : parts) {
    check(part);
  }
  used_graph_ = false;
  why_plain_ = why_not_graph(parts);
  if (parts.size() > 1) {
    compute_parts(parts, learning_rate);
  } else {
    const Batch& batch = parts.front();
    const bool plain = !why_plain_.empty();
    const Inputs of_graph = inputs_;
    if (!inputs_.fits(batch)) {
      make_inputs(batch);
    }
    upload(batch, learning_rate);
    if (plain || !run_graph()) {
      why_plain_ = plain ? why_plain_ : never_;
      compute();
    }
    if (plain && rehearsed_) {
      inputs_ = of_graph;  // which the graph reads
    }
  }
  newest_ = 1 - newest_;
  std::vector<Tensor> numbers = losses_;
  numbers.push_back(norm_);
  outstanding_[newest_].numbers.start(numbers);
  outstanding_[newest_].shares = shares_;
}

StepFigures DeviceStep::figures(int back) const {
  const Outstanding& of = outstanding_[back == 0 ? newest_ : 1 - newest_];
  const std::vector<Tensor> values = of.numbers.values();
  StepFigures figures;
  for (std::size_t n = 0; n + 1 < values.size(); ++n) {
    figures.loss += values[n].item() * of.shares[n];
  }
  figures.gradient_norm = values.back().item();
  return figures;
}

void DeviceStep::clear_halt() { halted_.fill(0); }

}  // namespace basin::tasks
