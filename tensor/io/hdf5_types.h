// Private to tensor/io: which HDF5 types stand for which dtypes.
#pragma once

#include <hdf5.h>

#include <string>

#include "kernels/common/dtype.h"
#include "tensor/io/hdf5_library.h"

namespace basin::hdf5 {

/// "a 16-bit float", for messages about types this project does not read.
std::string type_name(hid_t type);

/// Whether the type is a boolean as h5py stores it: an enum of two values in one byte.
bool is_boolean(hid_t type);

/// The dtype that holds every value of a type of either byte order; false if there is none.
/// Booleans are u8. Of the 16-bit floats only IEEE half and bfloat16 have one.
bool dtype_of(hid_t type, DType& dtype);

/// The type by which elements are stored: little-endian. bf16 is a float of 1 sign, 8 exponent and
/// 7 fraction bits, for which HDF5 1.10 has no name of its own. Not valid for boolean.
Handle file_type(DType dtype);

/// The type of elements in memory. Not valid for boolean.
Handle memory_type(DType dtype);

}  // namespace basin::hdf5
