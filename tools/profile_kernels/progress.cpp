#include "tools/profile_kernels/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <stdexcept>

#include "tools/profile_kernels/statistics.h"

namespace basin::profile_kernels {

Progress::Progress() : terminal_(isatty(STDERR_FILENO) != 0), last_(seconds_now()) {}

Progress::~Progress() {
  if (terminal_) {
    std::fputs("\r\x1b[K", stderr);
  }
}

void Progress::tell(const std::string& what) {
  if (interrupt_.requested()) {
    throw std::runtime_error("interrupted; nothing was written");
  }
  const double now = seconds_now();
  if (now - last_ < (terminal_ ? 0.1 : 10.0)) {
    return;
  }
  last_ = now;
  if (terminal_) {
    fmt::print(stderr, "\r\x1b[K{:.100}", what);
    std::fflush(stderr);
  } else {
    fmt::print(stderr, "{}\n", what);
  }
}

}  // namespace basin::profile_kernels
