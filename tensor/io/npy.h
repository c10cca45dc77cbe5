// A tensor in a NumPy .npy file.
#pragma once

#include <string>

#include "tensor/io/tensor_info.h"
#include "tensor/tensor.h"

namespace basin {

/// Shape and dtype of a file of format version 1.0, 2.0 or 3.0, in either byte order and either
/// order of dimensions: 'f2', 'f4', 'f8', 'i4', 'i8', 'u1' and 'b1' are f16, f32, f64, i32, i64, u8
/// and boolean. Throws FileError with the path and what is wrong: another dtype, a header that is
/// not exactly the dictionary the format asks for, or data of another length than the header says.
TensorInfo npy_info(const std::string& path);

/// The tensor, contiguous and in row-major order whatever the order in the file. Throws FileError
/// as npy_info(), and OutOfMemory.
Tensor read_npy(const std::string& path);

/// Writes format version 1.0, little-endian and row-major, byte for byte as NumPy does. All dtypes
/// but bf16, for which the format has no name; any strides. `path` is afterwards the old file or
/// the whole new one. Throws FileError if it cannot be written, for instance on a full disk.
void write_npy(const std::string& path, const Tensor& tensor);

}  // namespace basin
