#include "tools/profile_kernels/case_on_device.h"

#include "kernels/cuda/case_on_gpu.h"

namespace basin::profile_kernels {

using kernels::CaseArrays;
using kernels::Status;

bool exists_on(const kernels::KernelCase& problem, Device device) {
  switch (device) {
    case Device::cpu: return static_cast<bool>(problem.run);
    case Device::simt: return static_cast<bool>(problem.run_simt);
    case Device::cuda: return static_cast<bool>(problem.run_cuda);
  }
  return false;
}

CaseOnDevice::CaseOnDevice(const kernels::KernelCase& problem, DType dtype, Device device)
    : problem_(&problem),
      dtype_(dtype),
      device_(device),
      arrays_(std::make_unique<CaseArrays>(problem, dtype, cpu_context())) {
  status_ = arrays_->status();
  if constexpr (kernels::kCudaBuilt) {
    if (status_.ok() && device == Device::cuda) {
      gpu_ = std::make_shared<kernels::CaseOnGpu>(problem, *arrays_, cuda_context());
      status_ = gpu_->status();
    }
  }
}

CaseOnDevice::CaseOnDevice(CaseOnDevice&&) noexcept = default;
CaseOnDevice::~CaseOnDevice() = default;

Status CaseOnDevice::call(int variant) {
  switch (device_) {
    case Device::cpu: return problem_->run(arrays_->data(), dtype_, variant, cpu_context());
    case Device::simt: return problem_->run_simt(arrays_->data(), dtype_, variant, simt_context());
    case Device::cuda: break;
  }
  return problem_->run_cuda(gpu_->data(), dtype_, variant, cuda_context());
}

Status CaseOnDevice::finish() {
  if constexpr (kernels::kCudaBuilt) {
    if (gpu_ != nullptr) {
      return gpu_->download(*arrays_);
    }
  }
  return {};
}

}  // namespace basin::profile_kernels
