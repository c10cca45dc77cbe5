#include "nn/export.h"

#include <cmath>
#include <filesystem>
#include <map>
#include <system_error>
#include <vector>

#include "nn/checkpoint.h"
#include "tensor/error.h"
#include "tensor/io/hdf5.h"
#include "tensor/io/npy.h"
#include "tensor/io/safetensors.h"

namespace basin::nn {

namespace {

namespace fs = std::filesystem;

constexpr const char* kWeights = "/model";

// A weight that becomes infinite would make a model that loads and computes nonsense.
Tensor converted(const std::string& name, const Tensor& weight, DType dtype) {
  if (!is_floating(weight.dtype())) {
    return weight;
  }
  Tensor result = weight.to(dtype);
  const std::vector<double> before = weight.to_vector<double>();
  const std::vector<double> after = result.to_vector<double>();
  for (std::size_t n = 0; n < before.size(); ++n) {
    if (std::isfinite(before[n]) && !std::isfinite(after[n])) {
      fail("element {} of '{}' is {}, which is beyond the numbers of {}; export it as {} or bf16",
           n, name, before[n], name_of(dtype), name_of(weight.dtype()));
    }
  }
  return result;
}

std::map<std::string, Tensor> read_weights(const std::string& checkpoint,
                                           std::optional<DType> dtype) {
  const Hdf5Reader file(checkpoint, Hdf5Seal::required);
  std::map<std::string, Tensor> weights;
  for (const std::string& name : file.members(kWeights)) {
    const Tensor weight = file.read(std::string(kWeights) + "/" + name);
    weights[name] = dtype ? converted(name, weight, *dtype) : weight;
  }
  return weights;
}

// A folder that is filled under another name and gets its own when it is complete.
class AtomicFolder {
 public:
  explicit AtomicFolder(const std::string& path) : path_(path), partial_(path + ".partial") {
    std::error_code error;
    const fs::file_status status = fs::symlink_status(path_, error);
    if (fs::exists(status) && !(fs::is_directory(status) && fs::is_empty(path_, error))) {
      throw FileError(fmt::format(
          "{}: is there already; npy files are exported to a new or an empty folder", path_));
    }
    if (!fs::create_directory(partial_, error)) {
      throw FileError(fmt::format(
          "{}: the folder cannot be made: {}", partial_,
          error ? error.message() : "it is there already; remove it if no program uses it"));
    }
  }
  ~AtomicFolder() {
    std::error_code ignored;
    if (!done_) {
      fs::remove_all(partial_, ignored);
    }
  }
  AtomicFolder(const AtomicFolder&) = delete;
  AtomicFolder& operator=(const AtomicFolder&) = delete;

  std::string file(const std::string& name) const { return partial_ + "/" + name; }

  void commit() {
    std::error_code error;
    fs::rename(partial_, path_, error);
    if (error) {
      throw FileError(fmt::format("{}: cannot be put in place: {}", path_, error.message()));
    }
    done_ = true;
  }

 private:
  std::string path_;
  std::string partial_;
  bool done_ = false;
};

void write_folder(const std::string& output, const std::map<std::string, Tensor>& weights) {
  AtomicFolder folder(output);
  for (const auto& [name, weight] : weights) {
    write_npy(folder.file(name + ".npy"), weight);
  }
  folder.commit();
}

}  // namespace

WeightFormat weight_format(const std::string& name) {
  if (name == "safetensors") {
    return WeightFormat::safetensors;
  }
  if (name == "npy") {
    return WeightFormat::npy;
  }
  fail("there is no export format '{}'; safetensors and npy are known", name);
}

ExportSummary export_weights(const std::string& checkpoint, WeightFormat format,
                             const std::string& output, std::optional<DType> dtype) {
  if (dtype && !is_floating(*dtype)) {
    fail("weights cannot be exported as {}; f32, f64, bf16 and f16 are possible", name_of(*dtype));
  }
  if (dtype == DType::bf16 && format == WeightFormat::npy) {
    fail("npy has no bf16; export as f32, or in the safetensors format");
  }
  const TrainingState state = read_training_state(checkpoint);
  const std::map<std::string, Tensor> weights = read_weights(checkpoint, dtype);
  if (format == WeightFormat::safetensors) {
    write_safetensors(
        output, weights,
        {{"configuration", state.configuration}, {"step", std::to_string(state.step)}});
  } else {
    write_folder(output, weights);
  }
  ExportSummary summary;
  for (const auto& [name, weight] : weights) {
    ++summary.tensors;
    summary.elements += weight.numel();
  }
  return summary;
}

}  // namespace basin::nn
