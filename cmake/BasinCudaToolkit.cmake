# CUDA's runtime as CUDA::cudart_static. An installed basin reads this file, too; basin_cuda_version: of
# the nvcc that compiled it.
#
# CUDA 13 has no nvToolsExt any more, and the search of CMake 3.25 ends with an error where it finds none.
if(NOT basin_cuda_version VERSION_LESS 13 AND NOT TARGET CUDA::nvToolsExt)
  add_library(CUDA::nvToolsExt INTERFACE IMPORTED)
endif()
find_package(CUDAToolkit REQUIRED)
