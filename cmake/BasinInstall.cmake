# `cmake --install`: the programs, the libraries of the floors with their headers, and what
# find_package(basin) needs. In another project (tests/install is one):
#
#     find_package(basin REQUIRED)
#     target_link_libraries(mine PRIVATE basin::nn)
#
# There is one target for each floor, basin::kernels to basin::tasks; each brings those below it. The
# portable build has tools/make_bundle.sh instead.
if(BASIN_PORTABLE)
  return()
endif()
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(floors kernels tensor autograd nn tasks)
set(package "${CMAKE_INSTALL_LIBDIR}/cmake/basin")
set(headers "${CMAKE_INSTALL_INCLUDEDIR}/basin")

list(TRANSFORM floors PREPEND basin_ OUTPUT_VARIABLE libraries)
set_target_properties(basin_flags PROPERTIES EXPORT_NAME flags)
install(TARGETS basin_flags ${libraries} EXPORT basinTargets)
install(TARGETS trainer profile_kernels prepare_data)
# Includes begin with the name of a floor, as in the tree.
foreach(floor ${floors})
  install(DIRECTORY "${PROJECT_SOURCE_DIR}/${floor}" DESTINATION "${headers}"
    FILES_MATCHING PATTERN "*.h" PATTERN "*.inc"
    PATTERN "*-inl.h" EXCLUDE
    PATTERN "cuda" EXCLUDE PATTERN "counting" EXCLUDE)
endforeach()

install(EXPORT basinTargets NAMESPACE basin:: DESTINATION "${package}")
configure_package_config_file("${CMAKE_CURRENT_LIST_DIR}/basinConfig.cmake.in"
  "${PROJECT_BINARY_DIR}/basinConfig.cmake" INSTALL_DESTINATION "${package}")
write_basic_package_version_file("${PROJECT_BINARY_DIR}/basinConfigVersion.cmake"
  COMPATIBILITY SameMinorVersion)
install(FILES "${PROJECT_BINARY_DIR}/basinConfig.cmake" "${PROJECT_BINARY_DIR}/basinConfigVersion.cmake"
  "${CMAKE_CURRENT_LIST_DIR}/BasinDependencies.cmake" "${CMAKE_CURRENT_LIST_DIR}/BasinCudaToolkit.cmake"
  DESTINATION "${package}")
