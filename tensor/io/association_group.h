// AssociationOptions in an HDF5 group, in the layout of the reference vectors.
#pragma once

#include <string>

#include "kernels/association/options.h"
#include "tensor/io/hdf5.h"

namespace basin {

/// Reads the attributes of a group: `mechanism` "softmax", or `features` "elu1" for linear
/// attention (one of the two is needed), and if they are there `causal`, `beta` (0 or absent: 1 /
/// sqrt(head width)) and `update_steps`. A dataset `beta_per_head` makes beta one learned number
/// per head. Throws FileError for an attribute or dataset that stands for something the options
/// cannot say (other separations, windows, top-k, masks), and for options that make no sense
/// together.
AssociationOptions read_association_options(const Hdf5Reader& file, const std::string& group);

/// Writes the same attributes; `head_width` replaces a beta of 0. The dataset `beta_per_head` is
/// the caller's.
void write_association_options(Hdf5Writer& file, const std::string& group,
                               const AssociationOptions& options, std::int64_t head_width);

}  // namespace basin
