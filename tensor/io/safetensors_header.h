// Private to tensor/io: the JSON header of a safetensors file.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "tensor/io/tensor_info.h"

namespace basin::io {

/// One tensor of the header: its elements are bytes begin ... end - 1 after the header.
struct SafetensorsEntry {
  TensorInfo info;
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
};

struct SafetensorsHeader {
  std::map<std::string, SafetensorsEntry> tensors;
  std::map<std::string, std::string> metadata;
};

/// The longest header that is read and written, in bytes: that of the reference implementation.
inline constexpr std::uint64_t kLongestSafetensorsHeader = 100'000'000;
inline constexpr const char* kSafetensorsMetadata = "__metadata__";

/// The format's name of a dtype: "F32".
const char* safetensors_dtype(DType dtype);

/// Parses the header into `header`. `data_bytes` are the bytes of the file after it, which the
/// tensors must fill exactly. Returns what is wrong, empty if nothing is.
std::string parse_safetensors_header(std::string_view text, std::uint64_t data_bytes,
                                     SafetensorsHeader& header);

}  // namespace basin::io
