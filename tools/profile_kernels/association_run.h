// A retrieval of any number of steps by the kernels of the table.
#pragma once

#include "tools/profile_kernels/association_arrays.h"

namespace basin::profile_kernels {

struct AssociationOutputs {
  Tensor out;         ///< (B,H,L,Dv)
  Tensor dq, dk, dv;  ///< where arrays.dout is defined
  Tensor dbeta;       ///< (H), softmax only
};

/// Throws Error if a kernel refuses the arrays.
AssociationOutputs run_association(const AssociationArrays& arrays, int variant);

}  // namespace basin::profile_kernels
