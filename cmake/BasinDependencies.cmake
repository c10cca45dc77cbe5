# Everything basin takes from the system, in one place. tools/install_packages.sh holds the same list
# by Debian package name. A program that finds an installed basin reads this file again (BasinInstall):
# the targets made here are imported, so that the installed libraries name them and nothing else.
find_package(Threads REQUIRED)
find_package(ZLIB REQUIRED)
find_package(fmt REQUIRED)
add_library(basin_fmt INTERFACE IMPORTED GLOBAL)
target_link_libraries(basin_fmt INTERFACE
  "$<IF:$<BOOL:${BASIN_PORTABLE}>,fmt::fmt-header-only,fmt::fmt>")
find_package(nlohmann_json REQUIRED)
find_package(Boost REQUIRED COMPONENTS program_options context)
find_package(HDF5 REQUIRED COMPONENTS C)

find_library(BASIN_OPENBLAS_LIBRARY NAMES openblas PATH_SUFFIXES openblas-pthread REQUIRED)
find_path(BASIN_CBLAS_INCLUDE NAMES cblas.h PATH_SUFFIXES openblas openblas-pthread REQUIRED)
add_library(basin_openblas INTERFACE IMPORTED GLOBAL)
if(BASIN_PORTABLE)
  basin_portable_openblas()
else()
  target_link_libraries(basin_openblas INTERFACE "${BASIN_OPENBLAS_LIBRARY}")
endif()
target_include_directories(basin_openblas SYSTEM INTERFACE "${BASIN_CBLAS_INCLUDE}")

find_library(BASIN_HIGHWAY_LIBRARY NAMES hwy REQUIRED)
find_path(BASIN_HIGHWAY_INCLUDE NAMES hwy/highway.h REQUIRED)
add_library(basin_highway INTERFACE IMPORTED GLOBAL)
target_link_libraries(basin_highway INTERFACE "${BASIN_HIGHWAY_LIBRARY}")
target_include_directories(basin_highway SYSTEM INTERFACE "${BASIN_HIGHWAY_INCLUDE}")

# FindHDF5 also lists what a static HDF5 would need, static system libraries among it; the shared
# library brings its own.
list(FILTER HDF5_C_LIBRARIES INCLUDE REGEX "libhdf5")
add_library(basin_hdf5 INTERFACE IMPORTED GLOBAL)
if(BASIN_PORTABLE)
  basin_portable_hdf5()
else()
  target_link_libraries(basin_hdf5 INTERFACE ${HDF5_C_LIBRARIES})
endif()
target_include_directories(basin_hdf5 SYSTEM INTERFACE ${HDF5_C_INCLUDE_DIRS})
