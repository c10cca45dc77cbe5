#include "kernels/cuda/libraries.h"

#include <cuda_runtime_api.h>

#include <cstddef>

namespace basin::kernels {

namespace {

constexpr int kCudaMajor = CUDART_VERSION / 1000;

// The package of all of CUDA in Python's nvidia/, since 13.
std::string common_wheel() { return "cu" + std::to_string(kCudaMajor) + "/lib"; }

// 91300 as "9.13.0".
std::string dotted(std::size_t version) {
  return std::to_string(version / 10000) + "." + std::to_string(version / 100 % 100) + "." +
         std::to_string(version % 100);
}

// Calls size_t name(void) of the library; 0 if it is not there.
std::size_t ask(SharedLibrary& library, const char* name) {
  const auto function = reinterpret_cast<std::size_t (*)()>(library.find(name));
  return function == nullptr ? 0 : function();
}

void describe(SharedLibrary& library, const char* get_version, const char* get_cuda,
              CudaLibrary& found) {
  found.problem = library.problem();
  if (!library.loaded()) {
    return;
  }
  found.path = library.path();
  const std::size_t version = ask(library, get_version);
  const std::size_t cuda = version == 0 ? 0 : ask(library, get_cuda);
  found.problem = library.problem();
  if (version != 0) {
    found.version = dotted(version);
  }
  if (cuda != 0 && cuda / 1000 != kCudaMajor) {
    found.problem = found.path + " is made for CUDA " + std::to_string(cuda / 1000) +
                    ", this build is for CUDA " + std::to_string(kCudaMajor);
  }
}

}  // namespace

SharedLibrary& cublas_lt() {
  // Never destroyed: other static objects may still multiply when the program ends.
  static SharedLibrary* const library = new SharedLibrary(
      "libcublasLt.so." + std::to_string(kCudaMajor), {"cublas/lib", common_wheel()});
  return *library;
}

SharedLibrary& cudnn() {
  // The part with recurrent layers, which brings those it needs. libcudnn.so.9 itself only forwards
  // calls, and ends the process if it does not find the part that has the function.
  static SharedLibrary* const library =
      new SharedLibrary("libcudnn_adv.so.9", {"cudnn/lib", common_wheel()});
  return *library;
}

CudaLibrary describe_cudnn(SharedLibrary& library) {
  CudaLibrary found{"cuDNN", "recurrent layers", "", "", ""};
  describe(library, "cudnnGetVersion", "cudnnGetCudartVersion", found);
  return found;
}

std::vector<CudaLibrary> cuda_libraries() {
  CudaLibrary cublas{"cuBLAS", "products of matrices", "", "", ""};
  describe(cublas_lt(), "cublasLtGetVersion", "cublasLtGetCudartVersion", cublas);
  return {cublas, describe_cudnn(cudnn())};
}

}  // namespace basin::kernels
