// The weights of a checkpoint in a format that other programs read.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "kernels/common/dtype.h"

namespace basin::nn {

enum class WeightFormat : std::uint8_t {
  safetensors,  ///< one file
  npy           ///< a folder with one file for each tensor, "<name>.npy"
};

/// "safetensors" or "npy". Throws Error for anything else, with the names that are known.
WeightFormat weight_format(const std::string& name);

/// What is to happen to an earlier export at the same place.
enum class ExistingExport : std::uint8_t { keep, replace };

struct ExportSummary {
  std::int64_t tensors = 0;
  std::int64_t elements = 0;  ///< of all tensors
};

/// Writes every tensor under "/model" of a checkpoint under its dotted name. Floats are converted
/// to `dtype` if one is given. A safetensors file also holds the texts "configuration" and "step"
/// of the checkpoint as metadata. `output` becomes the whole export or stays what it was. What is
/// there is only replaced if `existing` says so, a folder only if it holds nothing but npy files;
/// an empty folder is as good as none.
///
/// Throws Error if `dtype` is no float, is bf16 for npy (which has no such type), or has no finite
/// value for a finite weight; FileError if the checkpoint is missing, damaged or none, or `output`
/// cannot be written.
ExportSummary export_weights(const std::string& checkpoint, WeightFormat format,
                             const std::string& output, std::optional<DType> dtype = {},
                             ExistingExport existing = ExistingExport::keep);

}  // namespace basin::nn
