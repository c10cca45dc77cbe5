// The arrays of a case of the kernel table in the memory of a GPU.
#pragma once

#include <vector>

#include "kernels/cuda/runtime.h"
#include "kernels/table/case_arrays.h"

namespace basin::kernels {

class CaseOnGpu {
 public:
  /// Copies all buffers with their borders. `arrays` must outlive the object and stay unchanged.
  CaseOnGpu(const KernelCase& problem, CaseArrays& arrays, const CudaContext& context);
  ~CaseOnGpu();
  CaseOnGpu(const CaseOnGpu&) = delete;
  CaseOnGpu& operator=(const CaseOnGpu&) = delete;

  /// Not ok if the memory did not suffice or a copy failed.
  const Status& status() const { return status_; }

  /// As KernelCase::run_cuda wants them; aligned to 256 bytes.
  void* const* data() const { return data_.data(); }

  /// The buffers as they are now, borders included, into arrays of the same case and dtype. Waits,
  /// and tells of a kernel that failed.
  Status download(CaseArrays& into) const;

 private:
  CudaContext context_;
  Status status_;
  std::vector<void*> blocks_;
  std::vector<void*> data_;
};

}  // namespace basin::kernels
