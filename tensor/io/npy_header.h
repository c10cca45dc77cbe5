// Private to tensor/io: the header of a .npy file, a Python dictionary as text.
#pragma once

#include <string>
#include <string_view>

#include "tensor/io/tensor_info.h"

namespace basin::io {

struct NpyHeader {
  TensorInfo info;
  bool fortran_order = false;  ///< the first dimension runs fastest
  bool big_endian = false;
};

/// Parses the text of a header. Returns what is wrong, empty if nothing is.
std::string parse_npy_header(std::string_view text, NpyHeader& header);

/// The format's name of a dtype: "<f4"; null for bf16, which has none.
const char* npy_dtype(DType dtype);

}  // namespace basin::io
