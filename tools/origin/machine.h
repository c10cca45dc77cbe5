// What a measurement depends on besides the kernel.
#pragma once

#include <cstdint>
#include <string>

namespace basin::origin {

struct Machine {
  std::string processor;
  int cores = 0;                      ///< that this process may use
  std::string isa;                    ///< the widest of "avx512", "avx2" and "baseline" it has
  std::int64_t last_level_cache = 0;  ///< bytes
};
Machine this_machine();

/// "2026-11-22T18:40:00Z"
std::string now_text();

/// Bytes of memory that are free or can be freed; of this process at its largest so far.
std::int64_t available_bytes();
std::int64_t peak_resident_bytes();

}  // namespace basin::origin
