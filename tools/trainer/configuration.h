// Everything that decides what a training run computes.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "kernels/association/options.h"
#include "kernels/common/dtype.h"
#include "kernels/common/precision.h"
#include "nn/layers/positions.h"
#include "nn/layers/rnn.h"
#include "nn/optim/optimizer.h"
#include "nn/optim/schedule.h"
#include "tasks/device_step.h"

namespace basin::trainer {

/// One member per setting of settings.h, where ranges and meanings are.
struct Configuration {
  std::string task;
  std::string data;
  std::int64_t length = 0;
  std::int64_t vocabulary = 0;
  std::int64_t pairs = 0;        ///< 0: as many as fit
  std::string validation_data;   ///< empty: held back from `data`
  std::string test_data;         ///< empty: what the validation uses
  std::string tokenizer;         ///< empty: bytes
  std::int64_t stride = 0;       ///< 0: the length
  std::int64_t eval_stride = 0;  ///< 0: the length
  std::string data_digest;       ///< empty: any

  std::string backbone;
  std::int64_t width = 64;
  std::int64_t layers = 2;
  std::int64_t heads = 4;
  std::int64_t mlp_ratio = 4;
  nn::PositionKind positions = nn::PositionKind::learned;
  double embedding_deviation = 0.02;
  double dropout = 0.0;
  AssociationOptions
      association;  ///< of its backbone, with what was given; its `causal` says nothing
  bool causal = true;
  bool tie_weights = false;
  bool recompute = false;
  nn::Recurrence recurrence = nn::Recurrence::own;

  std::int64_t batch = 32;
  std::int64_t micro_batch = 0;  ///< 0: the whole batch at once
  std::int64_t steps = 1000;
  double learning_rate = 3e-3;
  nn::ScheduleKind schedule = nn::ScheduleKind::cosine;
  std::int64_t warmup = 50;
  double final_fraction = 0.1;
  double label_smoothing = 0.0;
  nn::OptimizerKind optimizer = nn::OptimizerKind::adamw;
  double momentum = 0.9;
  bool nesterov = false;
  double weight_decay = 0.01;
  double clip = 1.0;
  double beta1 = 0.9;
  double beta2 = 0.95;
  std::uint64_t seed = 0;
  DType dtype = DType::f32;
  Precision precision = Precision::f32;  ///< of products

  std::int64_t log_every = 10;
  std::int64_t eval_every = 50;         ///< 0: only before the first and after the last step
  std::int64_t eval_examples = 0;       ///< 0: all
  std::int64_t test_examples = 0;       ///< 0: all
  std::int64_t checkpoint_every = 100;  ///< 0: only after the last step
  std::int64_t keep_checkpoints = 1;    ///< checkpoint.h5 included
  std::int64_t threads = 0;             ///< 0: as many as there are cores
  Device device = best_device();
  tasks::StepGraph step_graph = tasks::StepGraph::automatic;
};

/// A value as somebody wrote it, and where: "--width" or "file.ini:3: width".
struct GivenValue {
  std::string text;
  std::string origin;
};
using GivenValues = std::map<std::string, GivenValue>;  // by name of the setting

/// The defaults of the task and backbone with the given values in their place. Throws UsageError
/// for a value that cannot be, one that would have no effect, or a combination that makes no sense.
Configuration make_configuration(const GivenValues& given);

/// The values in a configuration file. Throws UsageError for unknown names, with `origin`.
GivenValues given_by_ini(const std::string& text, const std::string& origin);

/// The text of a configuration file that make_configuration turns into the same configuration: all
/// settings that have an effect.
std::string to_ini(const Configuration& configuration);

/// The same as names and values.
std::map<std::string, std::string> to_map(const Configuration& configuration);

}  // namespace basin::trainer
