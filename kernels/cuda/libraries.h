// The libraries of NVIDIA that basin opens when it first needs them: where they are, which version.
// The functions exist only where kCudaBuilt is true; neither needs a driver.
#pragma once

#include <string>
#include <vector>

#include "kernels/common/context.h"
#include "kernels/cuda/shared_library.h"

namespace basin::kernels {

/// cuBLASLt, for products of matrices. Looked for on the first call, open until the program ends.
SharedLibrary& cublas_lt();

/// cuDNN, for recurrent layers, likewise.
SharedLibrary& cudnn();

struct CudaLibrary {
  const char* name;     ///< "cuBLAS"
  const char* purpose;  ///< in this program; a few words
  std::string path;     ///< empty if there is none that can be opened
  std::string version;  ///< "9.13.0"
  /// Why it cannot be used: not found, and where it was looked for; made for another CUDA.
  std::string problem;
};

/// All of them, looked for now.
std::vector<CudaLibrary> cuda_libraries();

/// The same for one cuDNN that was opened: reads its version. For tests.
CudaLibrary describe_cudnn(SharedLibrary& library);

}  // namespace basin::kernels
