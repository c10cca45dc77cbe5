# Run at build time: a commit made after the configuration is told truly.
execute_process(COMMAND git -C "${SOURCE}" describe --always --dirty --abbrev=12
  OUTPUT_VARIABLE COMMIT OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE failed)
if(failed)
  set(COMMIT "")
endif()
configure_file("${SOURCE}/tools/origin/build.cpp.in" "${OUT}" @ONLY)
