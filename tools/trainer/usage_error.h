// Wrong usage, as opposed to a failure.
#pragma once

#include <fmt/format.h>

#include <stdexcept>
#include <utility>

namespace basin::trainer {

/// The command line or a configuration file says something that cannot be: exit status 2. The
/// message is one line that names the option.
class UsageError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

template <class... Args>
[[noreturn]] void wrong_usage(fmt::format_string<Args...> format, Args&&... args) {
  throw UsageError(fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace basin::trainer
