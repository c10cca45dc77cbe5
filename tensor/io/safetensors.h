// Named tensors in a safetensors file.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tensor/io/tensor_info.h"
#include "tensor/tensor.h"

namespace basin {

/// Reads one file of the safetensors format: 8 bytes with the length of a JSON header, the header
/// with dtype, shape and data_offsets of each tensor and the texts of __metadata__, then the
/// elements without gaps. Everything the header claims is compared with the file before anything is
/// allocated for it: names and fields that appear twice, unknown fields, and data that overlaps,
/// has gaps or does not fill the file are refused. Several threads may use one reader.
class SafetensorsReader {
 public:
  /// Reads and checks the header. Throws FileError with the path and what is wrong with it.
  explicit SafetensorsReader(const std::string& path);
  ~SafetensorsReader();
  SafetensorsReader(const SafetensorsReader&) = delete;
  SafetensorsReader& operator=(const SafetensorsReader&) = delete;

  const std::string& path() const;

  /// The names of the tensors, sorted by their bytes.
  std::vector<std::string> names() const;
  bool has(const std::string& name) const;
  /// The texts of __metadata__; empty if there is none.
  const std::map<std::string, std::string>& metadata() const;

  /// Throws FileError if there is no tensor of this name.
  TensorInfo info(const std::string& name) const;
  /// The tensor, contiguous, with the dtype of the file: F32, F64, F16, BF16, I32, I64, U8 and BOOL
  /// are f32, f64, f16, bf16, i32, i64, u8 and boolean. Throws FileError, and OutOfMemory.
  Tensor read(const std::string& name) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Writes a file byte for byte as the Python library `safetensors` does: tensors ordered by
/// decreasing rank of their dtype (I64, F64, F32, I32, BF16, F16, U8, BOOL), then by name, and the
/// header filled with spaces to a multiple of 8 bytes. `metadata` is written sorted by key (the
/// library's order of several keys is arbitrary). All dtypes, any strides. `path` is afterwards the
/// old file or the whole new one. Throws FileError if it cannot be written, for instance on a full
/// disk, or if a name is "__metadata__" or not UTF-8.
void write_safetensors(const std::string& path, const std::map<std::string, Tensor>& tensors,
                       const std::map<std::string, std::string>& metadata = {});

}  // namespace basin
