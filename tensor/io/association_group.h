// AssociationOptions in an HDF5 group, in the layout of the reference vectors.
#pragma once

#include <string>

#include "kernels/association/options.h"
#include "tensor/io/hdf5.h"

namespace basin {

/// Reads the attributes of a group: `mechanism` (softmax, sparsemax, entmax, polynomial), or
/// `features` ("elu1" for linear attention, "prf" or "relu" for random features, whose `projection`
/// is the caller's; one of the two is needed), and if they are there `causal`, `beta` (0 or absent:
/// 1 / sqrt(head width)), `update_steps`, `tolerance`, `alpha`, `degree`, `window_radius`,
/// `dilation`, `global_tokens`, `top_k`, `top_k_fraction`, `normalise`, `random_keep`,
/// `random_grain`. Datasets `beta_per_head` and `alpha_per_head` make them one learned number per
/// head. A dataset `mask` and the attribute `random_key` are the caller's; `keep` tells how the
/// mask was drawn. Throws FileError for an attribute or dataset that stands for something the
/// options cannot say, and for options that make no sense together.
AssociationOptions read_association_options(const Hdf5Reader& file, const std::string& group);

/// Writes the same attributes; `head_width` replaces a beta of 0. The dataset `beta_per_head` is
/// the caller's.
void write_association_options(Hdf5Writer& file, const std::string& group,
                               const AssociationOptions& options, std::int64_t head_width);

}  // namespace basin
