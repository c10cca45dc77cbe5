// The arrays of one retrieval, read from a group in the layout of the reference vectors.
#pragma once

#include <string>

#include "kernels/association/options.h"
#include "tensor/tensor.h"

namespace basin::profile_kernels {

struct AssociationArrays {
  AssociationOptions options;
  double eps = 0;      ///< linear attention only
  DType dtype{};       ///< of all floating arrays
  Tensor q, k, v;      ///< (B,H,L,D), (B,H,M,D), (B,H,M,Dv)
  Tensor dout;         ///< (B,H,L,Dv), where it was asked for
  Tensor beta;         ///< (H), not linear
  Tensor alpha;        ///< (H), entmax only
  Tensor key_lengths;  ///< (B) i64, or undefined
  Tensor mask;         ///< (B or 1, H or 1, L, M) u8, or undefined
  std::uint64_t random_key = 0;
  Tensor projection;  ///< (features, D), random features only
};

/// `source` is "file.h5:/group"; without a group it is the file's root. `dtype` is "f32", "f64" or
/// "" for that of q (f32 where q has 16 bits). Throws FileError naming file, group and dataset for
/// what is missing, has a wrong shape or dtype, or is NaN or infinite where a query would read it.
AssociationArrays read_association_arrays(const std::string& source, const std::string& dtype,
                                          bool with_dout);

/// The file in "file.h5:/group".
std::string file_of(const std::string& source);

}  // namespace basin::profile_kernels
