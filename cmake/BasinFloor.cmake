# Flags shared by every target of ours.
add_library(basin_flags INTERFACE)
target_compile_features(basin_flags INTERFACE cxx_std_20)
target_include_directories(basin_flags INTERFACE
  "$<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}>" "$<INSTALL_INTERFACE:include/basin>")
# -ffp-contract=off: whether a*b+c is fused must not depend on how a loop was compiled, or the same
# sum would have other bits in another chunk. -fno-math-errno, -fno-trapping-math: let loops with
# sqrt and selects vectorise; neither changes a result.
set(flags -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wnon-virtual-dtor -Wold-style-cast
  -ffp-contract=off -fno-math-errno -fno-trapping-math)
# GCC 12 warns of overlapping copies inside std::string's own operator+ (its bug 105651).
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  list(APPEND flags -Wno-restrict)
endif()
if(BASIN_WARNINGS_AS_ERRORS)
  list(APPEND flags -Werror)
endif()
if(BASIN_SANITIZE STREQUAL "address")
  list(APPEND flags -fsanitize=address,undefined -fno-omit-frame-pointer)
  target_link_options(basin_flags INTERFACE -fsanitize=address,undefined)
elseif(BASIN_SANITIZE STREQUAL "thread")
  list(APPEND flags -fsanitize=thread)
  target_link_options(basin_flags INTERFACE -fsanitize=thread)
elseif(NOT BASIN_SANITIZE STREQUAL "")
  message(FATAL_ERROR "BASIN_SANITIZE is '${BASIN_SANITIZE}'; it must be empty, address or thread")
endif()
# nvcc has other words for some of these and does not know the rest: kernels/cuda/CMakeLists.txt.
# Programs elsewhere, which use the installed libraries, have flags of their own.
target_compile_options(basin_flags INTERFACE
  "$<BUILD_INTERFACE:$<$<NOT:$<COMPILE_LANGUAGE:CUDA>>:${flags}>>")
if(BASIN_WITH_CUDA)
  target_compile_definitions(basin_flags INTERFACE BASIN_WITH_CUDA=1)
endif()

# Most of what a small source costs is what it includes. Ten sources of a folder in one compilation take a
# third of the time of ten. So what a source keeps to itself has a name that its neighbours do not have.
option(BASIN_COMPILE_TOGETHER "Compile the small sources of a folder by tens" ON)

# What tests/fuzz compiles once more, with sanitizers, beside all of tensor/io and tasks/tokenizers. A
# program links that and, from the libraries, only objects that hold nothing of it.
set(BASIN_FUZZED_SOURCES tensor/tensor.cpp tensor/shape.cpp tensor/indices.cpp nn/checkpoint.cpp nn/module.cpp
  tasks/images/idx.cpp tools/report/csv.cpp)

# basin_compile_together(target [AS group] source...): these sources, those of one folder or all of a group.
# Call it in the folder that defines the target.
function(basin_compile_together target)
  cmake_parse_arguments(TOGETHER "" "AS" "" ${ARGN})
  if(NOT BASIN_COMPILE_TOGETHER)
    return()
  endif()
  set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_MODE GROUP)
  foreach(source ${TOGETHER_UNPARSED_ARGUMENTS})
    set(group "${TOGETHER_AS}")
    if(group STREQUAL "")
      get_filename_component(folder "${source}" DIRECTORY)
      file(RELATIVE_PATH folder "${CMAKE_SOURCE_DIR}" "${folder}")
      string(MAKE_C_IDENTIFIER "${folder}" group)
      file(RELATIVE_PATH name "${CMAKE_SOURCE_DIR}" "${source}")
      if(name IN_LIST BASIN_FUZZED_SOURCES)
        string(APPEND group _fuzzed)
      endif()
    endif()
    math(EXPR place "${place_${group}} + 0")
    math(EXPR place_${group} "${place} + 1")
    math(EXPR ten "${place} / 10")
    set_source_files_properties("${source}" PROPERTIES UNITY_GROUP "${group}_${ten}")
  endforeach()
endfunction()

# basin_floor(name DEPENDS target...): the library basin_<name> from every .cpp below this folder. A
# new file is picked up without editing CMake. basin_<name>_objects holds the same objects for programs
# that need all of them, also those nobody calls (operations that register themselves).
function(basin_floor name)
  cmake_parse_arguments(FLOOR "" "" "DEPENDS" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/*.cpp")
  # What needs the headers of CUDA: kernels/cuda/CMakeLists.txt. What is for programs that count
  # accesses: kernels/CMakeLists.txt.
  list(FILTER sources EXCLUDE REGEX "/kernels/cuda/|_(cublaslt|cudnn)[.]cpp$|/simt/counting/hooks[.]cpp$")
  add_library(basin_${name}_objects OBJECT ${sources})
  if(NOT name STREQUAL "kernels")  # it says itself which of them are small
    basin_compile_together(basin_${name}_objects ${sources})
  endif()
  target_link_libraries(basin_${name}_objects PUBLIC basin_flags ${FLOOR_DEPENDS})
  # Programs that travel share the kernels; most of them is code for GPUs.
  set(kind STATIC)
  if(BASIN_PORTABLE AND name STREQUAL "kernels")
    set(kind SHARED)
  endif()
  add_library(basin_${name} ${kind} "$<TARGET_OBJECTS:basin_${name}_objects>")
  target_link_libraries(basin_${name} PUBLIC basin_flags ${FLOOR_DEPENDS})
  set_target_properties(basin_${name} PROPERTIES EXPORT_NAME ${name})
endfunction()

# basin_link_whole(program floor...): with all objects of these floors, used or not. The library below
# them brings what they link to. A shared library is always whole.
function(basin_link_whole program)
  foreach(floor ${ARGN})
    get_target_property(kind basin_${floor} TYPE)
    if(kind STREQUAL "STATIC_LIBRARY")
      target_sources(${program} PRIVATE "$<TARGET_OBJECTS:basin_${floor}_objects>")
    endif()
    target_link_libraries(${program} PRIVATE basin_${floor})
  endforeach()
endfunction()
