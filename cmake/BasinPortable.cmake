# BASIN_PORTABLE: static libraries where Debian has them. What is shared lies in lib/ beside the bin/ of
# the programs, which look for it there: the kernels, OpenBLAS, made below from its static library, and
# what tools/make_bundle.sh copies. CUDA's runtime is static; its other libraries are opened when needed.
set(CMAKE_LIBRARY_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/lib")
set(CMAKE_BUILD_WITH_INSTALL_RPATH ON)
set(CMAKE_INSTALL_RPATH "$ORIGIN/../lib")
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
add_compile_options("$<$<COMPILE_LANGUAGE:CXX>:-fno-semantic-interposition>")
set(CMAKE_FIND_LIBRARY_SUFFIXES ".a;.so")
set(Boost_USE_STATIC_LIBS ON)
set(HDF5_USE_STATIC_LIBRARIES ON)
set(ZLIB_USE_STATIC_LIBS ON)

# The three functions of OpenBLAS that we call, with all that they need, for all CPUs: once for all
# programs, and a fifth smaller than the whole, which would ask for Fortran's libraries as well.
function(basin_portable_openblas)
  set(names cblas_sgemm cblas_dgemm openblas_set_num_threads)
  list(TRANSFORM names PREPEND "LINKER:-u," OUTPUT_VARIABLE wanted)
  set(exports "${CMAKE_BINARY_DIR}/openblas_exports.map")
  list(JOIN names "; " text)
  file(CONFIGURE OUTPUT "${exports}" CONTENT "{ global: @text@; local: *; };\n" @ONLY)
  add_library(openblas_products SHARED "${CMAKE_SOURCE_DIR}/cmake/portable/openblas.c")
  set_target_properties(openblas_products PROPERTIES OUTPUT_NAME openblas_products C_VISIBILITY_PRESET hidden)
  target_link_options(openblas_products PRIVATE ${wanted} "LINKER:--version-script=${exports}")
  target_link_libraries(openblas_products PRIVATE "${BASIN_OPENBLAS_LIBRARY}" m Threads::Threads)
  target_link_libraries(basin_openblas INTERFACE openblas_products)
endfunction()

# What the static HDF5 needs. Its driver for Amazon's S3, which would need a dozen libraries of network
# protocols, stays out of a program that does not name it.
function(basin_portable_hdf5)
  find_library(BASIN_SZIP_LIBRARY NAMES sz REQUIRED)
  find_library(BASIN_AEC_LIBRARY NAMES aec REQUIRED)
  # Imported, so that CMake knows what has to come behind it.
  add_library(hdf5_static STATIC IMPORTED)
  set_target_properties(hdf5_static PROPERTIES IMPORTED_LOCATION "${HDF5_C_LIBRARIES}"
    INTERFACE_LINK_LIBRARIES
    "${BASIN_SZIP_LIBRARY};${BASIN_AEC_LIBRARY};ZLIB::ZLIB;m;${CMAKE_DL_LIBS}")
  target_link_libraries(basin_hdf5 INTERFACE hdf5_static)
endfunction()
