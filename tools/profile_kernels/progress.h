// What happens while something long is running, on standard error.
#pragma once

#include <string>

#include "tools/trainer/interrupt.h"

namespace basin::profile_kernels {

/// On a terminal one line that changes; elsewhere a line each ten seconds.
class Progress {
 public:
  Progress();
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// Throws std::runtime_error if somebody pressed Ctrl-C.
  void tell(const std::string& what);

 private:
  trainer::Interrupt interrupt_;
  bool terminal_;
  double last_;
};

}  // namespace basin::profile_kernels
