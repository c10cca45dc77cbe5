// Files in the idx format: whole numbers in a box of any rank, as MNIST comes.
#pragma once

#include <string>

#include "tensor/tensor.h"

namespace basin::tasks {

/// The content of an idx file of unsigned bytes, gzip or not: a u8 tensor with the extents of its
/// header. The format (Y. LeCun, C. Cortes, C. Burges, "The MNIST database"): two bytes of zero,
/// one for the kind of number (0x08: unsigned bytes), one for the rank, a big-endian 32-bit extent
/// for each dimension, the numbers in row-major order. Throws FileError naming the path if the file
/// is missing or damaged, is no idx file, has another kind of number or not `rank` dimensions, and
/// if it is shorter or longer than its header says; memory is asked for only as the file can fill
/// it.
Tensor read_idx(const std::string& path, int rank);

}  // namespace basin::tasks
