#include "kernels/cuda/case_on_gpu.h"

namespace basin::kernels {

CaseOnGpu::CaseOnGpu(const KernelCase& problem, CaseArrays& arrays, const CudaContext& context)
    : context_(context) {
  for (std::size_t n = 0; n < problem.buffers.size() && status_.ok(); ++n) {
    const std::span<std::byte> whole = arrays.with_borders(n);
    void* block = nullptr;
    status_ = cuda_allocate(&block, whole.size());
    if (!status_.ok()) {
      return;
    }
    blocks_.push_back(block);
    data_.push_back(static_cast<std::byte*>(block) + CaseArrays::border());
    status_ = cuda_upload(block, whole.data(), whole.size(), context_);
  }
}

CaseOnGpu::~CaseOnGpu() {
  for (void* block : blocks_) {
    cuda_release(block);
  }
}

Status CaseOnGpu::download(CaseArrays& into) const {
  Status status = cuda_synchronize(context_);
  for (std::size_t n = 0; n < blocks_.size() && status.ok(); ++n) {
    const std::span<std::byte> whole = into.with_borders(n);
    status = cuda_download(whole.data(), blocks_[n], whole.size(), context_);
  }
  return status;
}

}  // namespace basin::kernels
