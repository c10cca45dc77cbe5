// Ctrl-C and SIGTERM as a question that the program asks when it is ready.
#pragma once

namespace basin::trainer {

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
