// What a file <name>_fuzz.cpp defines.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

/// libFuzzer's entry: does with the input what a user could do, and returns 0. Errors that the
/// interface promises are caught; everything else ends the program and so is found.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace basin::fuzz {

/// Inputs to begin with, the valid ones above all.
std::vector<std::string> seeds();

/// Ends the program if something that must hold does not.
inline void require(bool holds, const char* what) {
  if (!holds) {
    std::fprintf(stderr, "does not hold: %s\n", what);
    std::abort();
  }
}

}  // namespace basin::fuzz
