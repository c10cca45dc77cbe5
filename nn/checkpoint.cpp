#include "nn/checkpoint.h"

#include <algorithm>
#include <vector>

#include "tensor/error.h"
#include "tensor/io/hdf5.h"

namespace basin::nn {

namespace {

constexpr const char* kFormat = "basin checkpoint";
constexpr std::int64_t kVersion = 1;

TrainingState read_state(const Hdf5Reader& file) {
  if (!file.has_attribute("/", "format") || file.text("/", "format") != kFormat) {
    throw FileError(fmt::format("{} is an HDF5 file, but no basin checkpoint", file.path()));
  }
  const std::int64_t version = file.integer("/", "version");
  if (version != kVersion) {
    throw FileError(fmt::format("{} is a checkpoint of version {}; this program reads version {}",
                                file.path(), version, kVersion));
  }
  TrainingState state;
  state.configuration = file.text("/", "configuration");
  state.step = file.integer("/", "step");
  if (state.step < 0) {
    throw FileError(fmt::format("{} is damaged: its step is {}", file.path(), state.step));
  }
  if (file.has("/metrics/values")) {
    const std::string names = file.text("/metrics", "names");
    const std::vector<double> values = file.read("/metrics/values").to_vector<double>();
    std::size_t begin = 0;
    for (const double value : values) {
      const std::size_t end = std::min(names.find('\n', begin), names.size());
      state.metrics[names.substr(begin, end - begin)] = value;
      begin = std::min(end + 1, names.size());
    }
  }
  return state;
}

// The tensor stored for a parameter, compared with what the model has.
Tensor read_like(const Hdf5Reader& file, const std::string& group, const std::string& name,
                 const Tensor& like) {
  const std::string full = group + "/" + name;
  if (!file.has(full)) {
    throw FileError(
        fmt::format("{} belongs to another model: it has no {} '{}'", file.path(), group, name));
  }
  Tensor tensor = file.read(full);
  if (!(tensor.shape() == like.shape()) || tensor.dtype() != like.dtype()) {
    throw FileError(fmt::format("{} belongs to another model: '{}' is {}, the model has {}",
                                file.path(), name, describe(tensor), describe(like)));
  }
  return tensor;
}

}  // namespace

void save_checkpoint(const std::string& path, const LanguageModel& model,
                     const Optimizer& optimizer, const TrainingState& state) {
  Hdf5Writer file(path);
  file.set_text("/", "format", kFormat);
  file.set_integer("/", "version", kVersion);
  file.set_text("/", "configuration", state.configuration);
  file.set_integer("/", "step", state.step);
  file.set_integer("/", "dropout_position", static_cast<std::int64_t>(model.dropout_position()));
  for (const Parameter& parameter : model.parameters()) {
    file.write("/model/" + parameter.name, parameter.variable.value());
  }
  file.set_integer("/optimizer", "steps", optimizer.steps());
  for (const Optimizer::State& own : optimizer.states()) {
    for (std::size_t slot = 0; slot < own.slots.size(); ++slot) {
      file.write("/optimizer/" + optimizer.slot_names()[slot] + "/" + own.name, own.slots[slot]);
    }
  }
  if (!state.metrics.empty()) {
    std::string names;
    std::vector<double> values;
    for (const auto& [name, value] : state.metrics) {
      names += (names.empty() ? "" : "\n") + name;
      values.push_back(value);
    }
    file.write("/metrics/values",
               Tensor::from<double>({static_cast<std::int64_t>(values.size())}, values));
    file.set_text("/metrics", "names", names);
  }
  file.commit();
}

TrainingState read_training_state(const std::string& path) { return read_state(Hdf5Reader(path)); }

TrainingState load_checkpoint(const std::string& path, LanguageModel& model, Optimizer* optimizer) {
  const Hdf5Reader file(path);
  const TrainingState state = read_state(file);
  std::vector<Parameter> parameters = model.parameters();
  std::vector<Tensor> weights;
  for (const Parameter& parameter : parameters) {
    weights.push_back(read_like(file, "/model", parameter.name, parameter.variable.value()));
  }
  const std::vector<std::string> stored = file.members("/model");
  for (const std::string& name : stored) {
    const bool known = std::any_of(parameters.begin(), parameters.end(),
                                   [&](const Parameter& p) { return p.name == name; });
    if (!known) {
      throw FileError(
          fmt::format("{} belongs to another model: it has '{}', the model does not", path, name));
    }
  }
  std::vector<Optimizer::State> states;
  std::int64_t optimizer_steps = 0;
  if (optimizer != nullptr) {
    for (const Optimizer::State& own : optimizer->states()) {
      states.push_back({own.name, {}});
      for (std::size_t slot = 0; slot < own.slots.size(); ++slot) {
        states.back().slots.push_back(read_like(file, "/optimizer/" + optimizer->slot_names()[slot],
                                                own.name, own.slots[slot]));
      }
    }
    optimizer_steps = file.integer("/optimizer", "steps");
  }
  const auto dropout_position = static_cast<std::uint64_t>(file.integer("/", "dropout_position"));
  // Everything fits: from here on nothing can fail.
  for (std::size_t n = 0; n < parameters.size(); ++n) {
    parameters[n].variable.mutable_value().copy_from(weights[n]);
  }
  if (optimizer != nullptr) {
    optimizer->restore(optimizer_steps, states);
  }
  model.set_dropout_position(dropout_position);
  return state;
}

}  // namespace basin::nn
