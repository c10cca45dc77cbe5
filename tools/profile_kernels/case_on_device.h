// The arrays of a case of the kernel table where a device can use them.
#pragma once

#include <memory>

#include "kernels/table/case_arrays.h"
#include "kernels/table/kernel_table.h"
#include "tensor/device.h"

namespace basin::kernels {
class CaseOnGpu;
}

namespace basin::profile_kernels {

/// Whether the kernel of this problem exists for the device in this build.
bool exists_on(const kernels::KernelCase& problem, Device device);

class CaseOnDevice {
 public:
  /// Draws the inputs. Keeps a reference to the problem, which must exist on the device.
  CaseOnDevice(const kernels::KernelCase& problem, DType dtype, Device device);
  CaseOnDevice(CaseOnDevice&&) noexcept;
  ~CaseOnDevice();

  /// Why the arrays could not be made, if so; nothing may be called then.
  const kernels::Status& status() const { return status_; }

  /// Runs the kernel; on a GPU returns when it is queued.
  kernels::Status call(int variant);

  /// The arrays as the calls left them. Waits for a GPU.
  kernels::Status finish();
  const kernels::CaseArrays& arrays() const { return *arrays_; }

 private:
  const kernels::KernelCase* problem_;
  DType dtype_;
  Device device_;
  kernels::Status status_;
  std::unique_ptr<kernels::CaseArrays> arrays_;
  std::shared_ptr<kernels::CaseOnGpu> gpu_;  // shared: needs no destructor in a build without CUDA
};

}  // namespace basin::profile_kernels
