// Ctrl-C and SIGTERM as a question that the program asks when it is ready.
#pragma once

#include <stdexcept>

namespace basin::trainer {

/// The user stopped the program; the message says how to go on.
class Interrupted : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// From construction to destruction the first SIGINT or SIGTERM only sets a flag. A second one ends
/// the program at once, as usual. Signals that are ignored stay ignored.
class Interrupt {
 public:
  Interrupt();
  ~Interrupt();
  Interrupt(const Interrupt&) = delete;
  Interrupt& operator=(const Interrupt&) = delete;

  bool requested() const;
};

}  // namespace basin::trainer
