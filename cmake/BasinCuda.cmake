# Whether the kernels are also compiled for a GPU. Sets BASIN_WITH_CUDA and, if it is ON, enables the
# language CUDA. Neither a GPU nor a driver is needed for that.
set(BASIN_CUDA AUTO CACHE STRING "Kernels for a GPU: AUTO (where a fitting nvcc is found), ON or OFF")
set_property(CACHE BASIN_CUDA PROPERTY STRINGS AUTO ON OFF)
# Code for 8.0, and PTX of it, from which a driver makes code for any later card; for 9.0 code with
# the instructions that only that card has. Never `native`: the build must not depend on the machine.
set(BASIN_CUDA_ARCHITECTURES "80;90a-real" CACHE STRING
  "What nvcc compiles for, as CMake's CUDA_ARCHITECTURES; not 'native'")
set(oldest_nvcc 12.0)  # the first one that knows C++20
option(BASIN_CUDA_FAST_COMPILE
  "Kernels that are compiled in a fifth of the time and are slow to run: where none will" OFF)

if(BASIN_CUDA_ARCHITECTURES MATCHES "native|all|^$")
  message(FATAL_ERROR "BASIN_CUDA_ARCHITECTURES is '${BASIN_CUDA_ARCHITECTURES}'; it must be a list "
    "of architectures such as 80;90a-real")
endif()

# Why there is no CUDA here, or nothing; leaves the compiler in CMAKE_CUDA_COMPILER.
function(basin_find_nvcc why)
  if(NOT BASIN_SANITIZE STREQUAL "" AND BASIN_CUDA STREQUAL "AUTO")
    set(${why} "the build has a sanitizer" PARENT_SCOPE)
    return()
  endif()
  find_program(BASIN_NVCC nvcc HINTS ENV CUDACXX ENV CUDA_PATH PATHS /usr/local/cuda PATH_SUFFIXES bin)
  if(NOT BASIN_NVCC)
    set(${why} "there is no nvcc in PATH or /usr/local/cuda" PARENT_SCOPE)
    return()
  endif()
  execute_process(COMMAND "${BASIN_NVCC}" --version OUTPUT_VARIABLE text ERROR_QUIET)
  if(NOT text MATCHES "release ([0-9]+[.][0-9]+)" OR CMAKE_MATCH_1 VERSION_LESS "${oldest_nvcc}")
    set(${why} "${BASIN_NVCC} is release '${CMAKE_MATCH_1}'; C++20 needs ${oldest_nvcc}" PARENT_SCOPE)
    return()
  endif()
  if(NOT DEFINED CMAKE_CUDA_COMPILER)
    set(CMAKE_CUDA_COMPILER "${BASIN_NVCC}" CACHE FILEPATH "The CUDA compiler")
  endif()
  set(${why} "" PARENT_SCOPE)
endfunction()

if(BASIN_CUDA STREQUAL "AUTO")
  basin_find_nvcc(why_not)
elseif(BASIN_CUDA)
  basin_find_nvcc(why_not)
  if(why_not)
    message(FATAL_ERROR "BASIN_CUDA is ON, but ${why_not}")
  endif()
else()
  set(why_not "BASIN_CUDA is OFF")
endif()

if(why_not)
  set(BASIN_WITH_CUDA OFF)
  message(STATUS "Building for the CPU: ${why_not}")
  return()
endif()
set(BASIN_WITH_CUDA ON)
set(CMAKE_CUDA_ARCHITECTURES "${BASIN_CUDA_ARCHITECTURES}")
if(NOT DEFINED CMAKE_CUDA_COMPILER_LAUNCHER)
  set(CMAKE_CUDA_COMPILER_LAUNCHER "${CMAKE_CXX_COMPILER_LAUNCHER}")
endif()
enable_language(CUDA)
set(basin_cuda_version "${CMAKE_CUDA_COMPILER_VERSION}")
include(BasinCudaToolkit)
message(STATUS
  "Building for GPUs as well: nvcc ${CMAKE_CUDA_COMPILER_VERSION}, ${BASIN_CUDA_ARCHITECTURES}")

# Flags of what nvcc compiles. The C++ compiler sees the same files, for the executor, with all warnings.
# C++20 is asked for by hand, because CMake 3.25 does not know what nvcc 13 can do.
add_library(basin_nvcc INTERFACE)
set(nvcc_flags -std=c++20 --expt-relaxed-constexpr -lineinfo -Xcompiler=-ffp-contract=off)
if(BASIN_WARNINGS_AS_ERRORS)
  list(APPEND nvcc_flags "SHELL:-Werror all-warnings")
endif()
if(BASIN_CUDA_FAST_COMPILE)
  execute_process(COMMAND "${CMAKE_CUDA_COMPILER}" --help OUTPUT_VARIABLE help ERROR_QUIET)
  if(help MATCHES "--Ofast-compile")
    list(APPEND nvcc_flags --Ofast-compile=mid)
  else()
    message(STATUS "This nvcc has no --Ofast-compile; the kernels are compiled as ever")
    set(BASIN_CUDA_FAST_COMPILE OFF CACHE BOOL "" FORCE)
  endif()
endif()
target_compile_options(basin_nvcc INTERFACE "$<$<COMPILE_LANGUAGE:CUDA>:${nvcc_flags}>")
