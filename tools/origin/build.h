// Facts of the build; build.cpp is made from build.cpp.in each time the program is built.
#pragma once

namespace basin::origin {

extern const char* const kVersion;
extern const char* const kCommit;  ///< of the sources, "-dirty" with changes; "" outside git
extern const char* const kCompiler;
extern const char* const kFlags;

}  // namespace basin::origin
