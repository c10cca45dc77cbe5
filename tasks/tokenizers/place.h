// A place in a text file, for messages.
#pragma once

#include <cstddef>
#include <string>
#include <utility>

#include "tensor/error.h"

namespace basin::tasks {

class Place {
 public:
  explicit Place(std::string path) : path_(std::move(path)) {}

  /// Throws FileError "path:line: message".
  template <class... Args>
  [[noreturn]] void fail(std::size_t line, fmt::format_string<Args...> format,
                         Args&&... args) const {
    throw FileError(
        fmt::format("{}:{}: {}", path_, line, fmt::format(format, std::forward<Args>(args)...)));
  }

 private:
  std::string path_;
};

}  // namespace basin::tasks
