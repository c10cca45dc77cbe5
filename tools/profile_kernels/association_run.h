// A retrieval of any number of steps by the kernels of the table.
#pragma once

#include <string>

#include "tools/profile_kernels/association_arrays.h"

namespace basin::profile_kernels {

struct AssociationOutputs {
  Tensor out;         ///< (B,H,L,Dv)
  Tensor dq, dk, dv;  ///< where arrays.dout is defined
  Tensor dbeta;       ///< (H), not linear
  Tensor dalpha;      ///< (H), entmax only
};

/// The entry of the table whose kernel computes this: attention_forward, linear_attention_forward
/// or retrieval_forward.
std::string entry_for(const AssociationArrays& arrays);

/// The arrays lie on the CPU; the kernels run on `device`, for which they must exist. Throws Error
/// if a kernel refuses the arrays.
AssociationOutputs run_association(const AssociationArrays& arrays, int variant, Device device);

}  // namespace basin::profile_kernels
