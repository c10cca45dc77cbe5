// One case of a kernel against its reference in double.
#pragma once

#include <optional>
#include <string>

#include "kernels/table/case_arrays.h"
#include "kernels/table/kernel_table.h"
#include "tensor/device.h"

namespace basin::profile_kernels {

/// Draws the inputs and computes the reference once; every variant is then compared with it.
class Correctness {
 public:
  struct Verdict {
    double error = 0;       ///< the largest, NaN included: see kernels::CaseReference for its unit
    std::string complaint;  ///< why the result is wrong, or empty
  };

  /// `problem` must outlive the object and exist on the device.
  Correctness(const kernels::KernelCase& problem, DType dtype, Device device);

  /// Runs on outputs poisoned with NaN between guarded borders.
  Verdict check(int variant, double tolerance) const;

 private:
  const kernels::KernelCase& problem_;
  DType dtype_;
  Device device_;
  std::optional<kernels::CaseReference> expected_;
  std::string refusal_;  // why the inputs could not be prepared
};

}  // namespace basin::profile_kernels
