// Kernels as a ladder: the same work from its plainest form on, each rung with one idea more.
#pragma once

#include <string>
#include <vector>

#include "tools/profile_kernels/selection.h"

namespace basin::profile_kernels {

struct Rung {
  const KernelEntry* entry;
  int variant;
  DType dtype;
  std::string adds;  ///< to the rung before it

  /// "attention_forward 2 tiles f32"
  std::string name(Device device) const;
};

/// The rungs of "attention" or "gemm" on a device. Throws UsageError for another name.
std::vector<Rung> ladder_of(const std::string& name, Device device);

/// The one operand of a command with --ladder. Throws UsageError for none or several, and if one of
/// the options in `fixed`, which each rung has of its own, is given as well.
std::string ladder_name(const Options& options, const std::vector<std::string>& fixed);

Option ladder_option(const std::string& what);

}  // namespace basin::profile_kernels
