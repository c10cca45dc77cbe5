#include "nn/export.h"

#include <fcntl.h>

#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstring>
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

std::string without_slash(std::string path) {
  while (path.size() > 1 && path.back() == '/') {
    path.pop_back();
  }
  return path;
}

bool holds_only_npy_files(const std::string& folder) {
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    if (!entry.is_regular_file() || entry.is_symlink() || entry.path().extension() != ".npy") {
      return false;
    }
  }
  return true;
}

// A folder that is filled under another name and gets its own when it is complete.
class AtomicFolder {
 public:
  AtomicFolder(const std::string& path, ExistingExport existing)
      : path_(without_slash(path)), partial_(path_ + ".partial") {
    std::error_code error;
    const fs::file_status status = fs::symlink_status(path_, error);
    const bool may_replace = existing == ExistingExport::replace;
    if (fs::exists(status) &&
        !(fs::is_directory(status) &&
          (may_replace ? holds_only_npy_files(path_) : fs::is_empty(path_, error)))) {
      throw FileError(fmt::format(
          "{}: is there already; npy files are exported to a new or an empty folder{}", path_,
          may_replace ? ", or in place of a folder that holds nothing but npy files" : ""));
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
    // Both folders change places in one moment; the destructor removes the old one.
    const bool replaces = fs::exists(path_) && !fs::is_empty(path_);
    if (replaces
            ? renameat2(AT_FDCWD, partial_.c_str(), AT_FDCWD, path_.c_str(), RENAME_EXCHANGE) != 0
            : std::rename(partial_.c_str(), path_.c_str()) != 0) {
      throw FileError(fmt::format("{}: cannot be put in place: {}", path_, std::strerror(errno)));
    }
    done_ = !replaces;
  }

 private:
  std::string path_;
  std::string partial_;
  bool done_ = false;
};

void write_folder(const std::string& output, const std::map<std::string, Tensor>& weights,
                  ExistingExport existing) {
  AtomicFolder folder(output, existing);
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
                             const std::string& output, std::optional<DType> dtype,
                             ExistingExport existing) {
  if (dtype && !is_floating(*dtype)) {
    fail("weights cannot be exported as {}; f32, f64, bf16 and f16 are possible", name_of(*dtype));
  }
  if (dtype == DType::bf16 && format == WeightFormat::npy) {
    fail("npy has no bf16; export as f32, or in the safetensors format");
  }
  std::error_code ignored;
  if (format == WeightFormat::safetensors && existing == ExistingExport::keep &&
      fs::is_regular_file(output, ignored)) {
    throw FileError(fmt::format("{}: is there already", output));
  }
  const TrainingState state = read_training_state(checkpoint);
  const std::map<std::string, Tensor> weights = read_weights(checkpoint, dtype);
  if (format == WeightFormat::safetensors) {
    write_safetensors(
        output, weights,
        {{"configuration", state.configuration}, {"step", std::to_string(state.step)}});
  } else {
    write_folder(output, weights, existing);
  }
  ExportSummary summary;
  for (const auto& [name, weight] : weights) {
    ++summary.tensors;
    summary.elements += weight.numel();
  }
  return summary;
}

}  // namespace basin::nn
