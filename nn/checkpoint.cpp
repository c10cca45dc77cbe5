#include "nn/checkpoint.h"

#include <algorithm>
#include <vector>

#include "tensor/error.h"
#include "tensor/io/hdf5.h"

namespace basin::nn {

namespace {

constexpr const char* kFormat = "basin checkpoint";
constexpr std::int64_t kVersion = 2;

template <class... Args>
[[noreturn]] void refuse(const Hdf5Reader& file, fmt::format_string<Args...> format,
                         Args&&... args) {
  throw FileError(file.path() + " " + fmt::format(format, std::forward<Args>(args)...));
}

std::int64_t count_in(const Hdf5Reader& file, const std::string& object, const std::string& name) {
  const std::int64_t count = file.integer(object, name);
  if (count < 0) {
    refuse(file, "is damaged: '{}' of '{}' is {}; it counts something", name, object, count);
  }
  return count;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::size_t begin = 0;
  for (std::size_t end = text.find('\n'); end != std::string::npos; end = text.find('\n', begin)) {
    lines.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  lines.push_back(text.substr(begin));
  return lines;
}

std::map<std::string, double> read_metrics(const Hdf5Reader& file) {
  const std::vector<std::string> names = lines_of(file.text("/metrics", "names"));
  const TensorInfo info = file.info("/metrics/values");
  std::map<std::string, double> metrics;
  if (info.dtype == DType::f64 && info.shape == Shape{static_cast<std::int64_t>(names.size())}) {
    const std::vector<double> values = file.read("/metrics/values").to_vector<double>();
    for (std::size_t n = 0; n < names.size(); ++n) {
      metrics[names[n]] = values[n];
    }
  }
  if (metrics.size() != names.size()) {
    refuse(file, "is damaged: '/metrics' has {} names, and values that are {} {}", names.size(),
           to_string(info.shape), name_of(info.dtype));
  }
  return metrics;
}

TrainingState read_state(const Hdf5Reader& file) {
  if (!file.has_attribute("/", "format") || file.text("/", "format") != kFormat) {
    refuse(file, "is an HDF5 file, but no basin checkpoint");
  }
  const std::int64_t version = file.integer("/", "version");
  if (version != kVersion) {
    refuse(file, "is a checkpoint of version {}; this program reads version {}", version, kVersion);
  }
  TrainingState state;
  state.configuration = file.text("/", "configuration");
  state.step = count_in(file, "/", "step");
  const std::vector<std::string> parts = file.members("/");
  if (std::find(parts.begin(), parts.end(), "metrics") != parts.end()) {
    state.metrics = read_metrics(file);
  }
  return state;
}

// Every name of a group is one that is expected, and the other way round.
void compare_names(const Hdf5Reader& file, const std::string& group,
                   const std::vector<std::string>& expected, const char* owner) {
  const std::vector<std::string> stored = file.members(group);
  const auto first_missing = [](const auto& from, const auto& in) {
    return std::find_if(from.begin(), from.end(), [&](const std::string& name) {
      return std::find(in.begin(), in.end(), name) == in.end();
    });
  };
  if (const auto name = first_missing(expected, stored); name != expected.end()) {
    refuse(file, "belongs to another {}: it has no {} '{}'", owner, group, *name);
  }
  if (const auto name = first_missing(stored, expected); name != stored.end()) {
    refuse(file, "belongs to another {}: in {} it has '{}', the {} does not", owner, group, *name,
           owner);
  }
}

// The tensor stored for a parameter, compared with what the model has before it is read.
Tensor read_like(const Hdf5Reader& file, const std::string& group, const std::string& name,
                 const Tensor& like) {
  const TensorInfo info = file.info(group + "/" + name);
  if (!(info.shape == like.shape()) || info.dtype != like.dtype()) {
    refuse(file, "belongs to another model: in {} '{}' is {} {}, the model has {}", group, name,
           to_string(info.shape), name_of(info.dtype), describe(like));
  }
  return file.read(group + "/" + name);
}

std::vector<Optimizer::State> read_optimizer(const Hdf5Reader& file, const Optimizer& optimizer) {
  compare_names(file, "/optimizer", optimizer.slot_names(), "optimizer");
  std::vector<std::string> names;
  for (const Optimizer::State& own : optimizer.states()) {
    names.push_back(own.name);
  }
  std::vector<std::string> groups;
  for (const std::string& slot : optimizer.slot_names()) {
    groups.push_back("/optimizer/" + slot);
    compare_names(file, groups.back(), names, "optimizer");
  }
  std::vector<Optimizer::State> states;
  for (const Optimizer::State& own : optimizer.states()) {
    states.push_back({own.name, {}});
    for (std::size_t slot = 0; slot < groups.size(); ++slot) {
      states.back().slots.push_back(read_like(file, groups[slot], own.name, own.slots[slot]));
    }
  }
  return states;
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
  for (const Buffer& buffer : model.buffers()) {
    file.write("/model/" + buffer.name, buffer.variable.value());
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

TrainingState read_training_state(const std::string& path) {
  return read_state(Hdf5Reader(path, Hdf5Seal::required));
}

TrainingState load_checkpoint(const std::string& path, LanguageModel& model, Optimizer* optimizer) {
  const Hdf5Reader file(path, Hdf5Seal::required);
  const TrainingState state = read_state(file);
  std::vector<Parameter> parameters = model.parameters();
  std::vector<std::string> names;
  for (const Parameter& parameter : parameters) {
    names.push_back(parameter.name);
  }
  std::vector<Buffer> buffers = model.buffers();
  for (const Buffer& buffer : buffers) {
    names.push_back(buffer.name);
  }
  compare_names(file, "/model", names, "model");
  std::vector<Tensor> weights;
  std::vector<Tensor> buffered;
  for (const Buffer& buffer : buffers) {
    buffered.push_back(read_like(file, "/model", buffer.name, buffer.variable.value()));
  }
  for (const Parameter& parameter : parameters) {
    weights.push_back(read_like(file, "/model", parameter.name, parameter.variable.value()));
  }
  std::vector<Optimizer::State> states;
  std::int64_t optimizer_steps = 0;
  if (optimizer != nullptr) {
    states = read_optimizer(file, *optimizer);
    optimizer_steps = count_in(file, "/optimizer", "steps");
  }
  const auto dropout_position = static_cast<std::uint64_t>(count_in(file, "/", "dropout_position"));
  // Everything fits: from here on nothing can fail.
  for (std::size_t n = 0; n < parameters.size(); ++n) {
    parameters[n].variable.mutable_value().copy_from(weights[n]);
  }
  for (std::size_t n = 0; n < buffers.size(); ++n) {
    buffers[n].variable.mutable_value().copy_from(buffered[n]);
  }
  if (optimizer != nullptr) {
    optimizer->restore(optimizer_steps, states);
  }
  model.set_dropout_position(dropout_position);
  return state;
}

}  // namespace basin::nn
