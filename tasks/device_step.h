// Training steps on a device that nobody waits for, and that become one graph.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "nn/language_model.h"
#include "nn/optim/optimizer.h"
#include "tasks/task.h"
#include "tensor/device_graph.h"
#include "tensor/readback.h"

namespace basin::tasks {

/// Whether a step on a device is captured and repeated. automatic: where it can be. on: the same,
/// and an Error where it never can. off: never. The results have the same bits.
enum class StepGraph : std::uint8_t { automatic, on, off };
const char* name_of(StepGraph);

/// Figures of a step once they have come from the device.
struct StepFigures {
  double loss = 0.0;           ///< mean over the targets of the batch
  double gradient_norm = 0.0;  ///< before clipping
};

/// Forward pass, loss, backward pass and update of one model. The batch goes to the device in one
/// copy; step count, learning rate, clip factor and the numbers of random streams lie there and are
/// read there. So the work is the same from step to step, and with a graph it is recorded in the
/// second step of a shape and only started in the later ones.
///
/// A step whose loss or gradient is not finite changes no weight, and neither do those that were
/// queued after it: see clear_halt().
class DeviceStep {
 public:
  /// Keeps references. Throws Error for a model on the CPU and, with StepGraph::on, if the device
  /// has no graphs.
  DeviceStep(nn::LanguageModel& model, nn::Optimizer& optimizer, StepGraph graph);
  ~DeviceStep();
  DeviceStep(const DeviceStep&) = delete;
  DeviceStep& operator=(const DeviceStep&) = delete;

  /// Queues one step on `parts` of a batch, which are computed one after the other and weigh as
  /// much as they have targets. Throws Error for tokens, targets or lengths that cannot be.
  void queue(const std::vector<Batch>& parts, double learning_rate);
  /// Of the step that was queued `back` calls ago: 0, the last one, or 1. Waits for it.
  StepFigures figures(int back = 0) const;

  /// Lets steps change weights again after one that was not finite.
  void clear_halt();

  /// Whether the last step was a start of the graph.
  bool used_graph() const { return used_graph_; }
  /// Why the last step was not; empty if it was.
  const std::string& why_plain() const { return why_plain_; }
  /// Kernels of a step, if it has been captured; else 0.
  std::int64_t graph_launches() const { return graph_ ? graph_->launches() : 0; }

 private:
  /// Where on the device everything lies that changes from step to step.
  struct Inputs {
    Tensor all;  // i64: the offset of random streams, tokens, targets, lengths
    Tensor offset, tokens, targets, lengths;
    Tensor learning_rate;  // f64 ()
    bool fits(const Batch& batch) const;
  };

  void check(const Batch& batch) const;
  void make_inputs(const Batch& batch);
  void upload(const Batch& batch, double learning_rate);
  void compute();
  void compute_parts(const std::vector<Batch>& parts, double learning_rate);
  std::string why_not_graph(const std::vector<Batch>& parts) const;
  std::vector<const void*> addresses() const;
  bool run_graph();
  void drop_graph();

  nn::LanguageModel& model_;
  nn::Optimizer& optimizer_;
  StepGraph mode_;
  Device device_;
  std::vector<Variable> kept_;  // parameters and buffers, which a graph writes to
  Inputs inputs_;
  Tensor halted_;               // i64 ()
  std::vector<Tensor> losses_;  // of the parts, with their shares
  std::vector<double> shares_;
  Tensor norm_;

  std::unique_ptr<DeviceGraph> graph_;
  bool rehearsed_ = false;
  Tensor graph_loss_, graph_norm_;  // where the graph writes them
  std::uint64_t draws_of_step_ = 0;
  std::vector<const void*> captured_addresses_;
  std::string never_;  // why capturing failed
  bool used_graph_ = false;
  std::string why_plain_;

  struct Outstanding {
    Readback numbers;
    std::vector<double> shares;
  };
  Outstanding outstanding_[2];  // the last step and the one before, in turn
  int newest_ = 0;
};

}  // namespace basin::tasks
