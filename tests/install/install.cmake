# cmake -DBUILD=... -DFOLDER=... -DGENERATOR=... -DCXX=... -P install.cmake: installs a
# finished build, then configures, builds and runs example/ with nothing but what was installed.
file(REMOVE_RECURSE "${FOLDER}")
set(checked COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND "${CMAKE_COMMAND}" --install "${BUILD}" --prefix "${FOLDER}/prefix"
  OUTPUT_QUIET ${checked})
execute_process(COMMAND "${CMAKE_COMMAND}" -S "${CMAKE_CURRENT_LIST_DIR}/example" -B "${FOLDER}/build"
  -G "${GENERATOR}" "-DCMAKE_PREFIX_PATH=${FOLDER}/prefix" "-DCMAKE_CXX_COMPILER=${CXX}"
  -DCMAKE_BUILD_TYPE=Release "-DCMAKE_CXX_FLAGS=-Wall -Wextra -Werror" ${checked})
execute_process(COMMAND "${CMAKE_COMMAND}" --build "${FOLDER}/build" ${checked})
execute_process(COMMAND "${FOLDER}/build/example" ${checked})
execute_process(COMMAND "${FOLDER}/prefix/bin/trainer" --version ${checked})
file(REMOVE_RECURSE "${FOLDER}")
