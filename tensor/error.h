// The exceptions of the tensor floor and everything above it.
#pragma once

#include <fmt/format.h>

#include <stdexcept>
#include <string>
#include <utility>

namespace basin {

/// Something the caller asked for cannot be done. The message says what was asked, what was found
/// and, where it helps, what to do.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Memory is exhausted: see Allocator.
class OutOfMemory : public Error {
 public:
  using Error::Error;
};

/// A file is missing, unreadable, damaged or not what was expected.
class FileError : public Error {
 public:
  using Error::Error;
};

/// Throws Error with a formatted message.
template <class... Args>
[[noreturn]] void fail(fmt::format_string<Args...> format, Args&&... args) {
  throw Error(fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace basin
