// What a kernel answers. Kernels never throw: the tensor floor turns a bad status into an
// exception that names the shapes.
#pragma once

#include <cstdint>

namespace basin::kernels {

struct Status {
  /// kernel_fault: a kernel could not be launched or broke a rule of its device while running.
  enum class Code : std::uint8_t { ok, invalid_argument, unsupported, not_built, kernel_fault };

  Code code = Code::ok;
  const char* message = "";    ///< static storage, never freed
  std::int64_t position = -1;  ///< flat index of the offending element, or -1

  constexpr bool ok() const { return code == Code::ok; }

  static constexpr Status invalid(const char* message, std::int64_t position = -1) {
    return {Code::invalid_argument, message, position};
  }
  static constexpr Status unsupported(const char* message) {
    return {Code::unsupported, message, -1};
  }
};

}  // namespace basin::kernels
