# The libFuzzer programs, by clang++: the code that reads what others wrote is compiled with sanitizers, and
# everything below it comes from a finished build, made by any compiler. That is most of the code, and none
# of it parses.
set(BASIN_FUZZ_WITH "${CMAKE_SOURCE_DIR}/build/release" CACHE PATH
  "A finished build of this tree, without sanitizers")
set(BASIN_FUZZ_SECONDS 60 CACHE STRING "How long a test runs each libFuzzer program")
set(BASIN_FUZZ_SEED 1 CACHE STRING "Where libFuzzer's random numbers begin; 0: elsewhere every time")

if(NOT CMAKE_CXX_COMPILER_ID MATCHES Clang)
  message(FATAL_ERROR "BASIN_BUILD_FUZZERS needs clang++ (-DCMAKE_CXX_COMPILER=clang++); "
                      "the compiler is ${CMAKE_CXX_COMPILER_ID}")
endif()
if(NOT BASIN_SANITIZE STREQUAL "")
  message(FATAL_ERROR "BASIN_BUILD_FUZZERS has sanitizers of its own; leave BASIN_SANITIZE empty")
endif()
if(NOT EXISTS "${BASIN_FUZZ_WITH}/basin_targets.cmake")
  message(FATAL_ERROR "BASIN_FUZZ_WITH is '${BASIN_FUZZ_WITH}', which holds no build with tests; make it first: "
                      "cmake --preset release && cmake --build build/release")
endif()
add_library(CUDA::nvToolsExt INTERFACE IMPORTED)  # see cmake/BasinCudaToolkit.cmake
find_package(CUDAToolkit QUIET)  # a build with CUDA links to its runtime
include("${BASIN_FUZZ_WITH}/basin_targets.cmake")

set(instrumented -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined
                 -fno-omit-frame-pointer)
file(GLOB parsers CONFIGURE_DEPENDS
  "${CMAKE_SOURCE_DIR}/tensor/io/*.cpp" "${CMAKE_SOURCE_DIR}/tasks/tokenizers/*.cpp")
foreach(file ${BASIN_FUZZED_SOURCES})
  list(APPEND parsers "${CMAKE_SOURCE_DIR}/${file}")
endforeach()
add_library(parsers OBJECT ${parsers})
basin_compile_together(parsers ${parsers})
target_link_libraries(parsers PUBLIC
  basin_flags basin_fmt basin_hdf5 nlohmann_json::nlohmann_json ZLIB::ZLIB Boost::boost Threads::Threads)
target_compile_options(parsers PUBLIC ${instrumented})
# What the headers declare depends on it.
get_target_property(definitions built::flags INTERFACE_COMPILE_DEFINITIONS)
if(definitions)
  target_compile_definitions(parsers PUBLIC ${definitions})
endif()

foreach(source ${fuzz_sources})
  get_filename_component(name "${source}" NAME_WE)
  string(REGEX REPLACE "_fuzz$" "" name "${name}")
  add_executable(fuzz_${name} "${source}" ${more_${name}} "$<TARGET_OBJECTS:parsers>")
  # The objects of the parsers come before the libraries, which hold the same without sanitizers.
  target_link_libraries(fuzz_${name} PRIVATE parsers
    "$<LINK_ONLY:built::report>" "$<LINK_ONLY:built::tasks>")
  target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer,address,undefined)
  set(corpus "${CMAKE_CURRENT_BINARY_DIR}/corpus/${name}")
  add_test(NAME fuzz.${name}.seeds
    COMMAND "${BASIN_FUZZ_WITH}/bin/replay_${name}" --write-seeds "${corpus}")
  add_test(NAME fuzz.${name} COMMAND fuzz_${name} -max_total_time=${BASIN_FUZZ_SECONDS}
           -seed=${BASIN_FUZZ_SEED} -timeout=10 -rss_limit_mb=2048 -max_len=65536
           -artifact_prefix=${CMAKE_BINARY_DIR}/${name}- "${corpus}")
  math(EXPR timeout "${BASIN_FUZZ_SECONDS} + 60")
  set_tests_properties(fuzz.${name}.seeds PROPERTIES
    LABELS "fuzz;slow" FIXTURES_SETUP fuzz_seeds_${name})
  set_tests_properties(fuzz.${name} PROPERTIES
    LABELS "fuzz;slow" TIMEOUT ${timeout} FIXTURES_REQUIRED fuzz_seeds_${name}
    ENVIRONMENT "${without_hdf5_leaks}")
endforeach()
