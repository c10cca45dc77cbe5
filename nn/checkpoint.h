// A training run in one HDF5 file: weights by dotted name, optimizer, position, configuration.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "nn/language_model.h"
#include "nn/optim/optimizer.h"

namespace basin::nn {

/// Everything beside the tensors.
struct TrainingState {
  std::string
      configuration;      ///< the text that rebuilds task and model; this floor does not read it
  std::int64_t step = 0;  ///< optimizer steps done
  std::map<std::string, double> metrics;  ///< the last evaluation, by name
};

/// Writes to a temporary name, flushes, syncs and renames: `path` is the old checkpoint or the
/// whole new one. Throws FileError.
void save_checkpoint(const std::string& path, const LanguageModel& model,
                     const Optimizer& optimizer, const TrainingState& state);

/// What a checkpoint says about itself, without a model. Throws FileError if the file is missing,
/// no HDF5 file, damaged in any place, or no basin checkpoint of a version this program reads.
TrainingState read_training_state(const std::string& path);

/// Loads weights, and the optimizer unless null. Everything is read and compared with the model by
/// name, shape and dtype before anything is changed. Throws FileError if a bit of the file is not
/// what was written, or naming the first difference. NaN and infinity in weights are no damage: the
/// run had them.
TrainingState load_checkpoint(const std::string& path, LanguageModel& model, Optimizer* optimizer);

}  // namespace basin::nn
