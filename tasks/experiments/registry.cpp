#include "tasks/experiments/experiment.h"
#include "tasks/experiments/regimes.h"
#include "tasks/experiments/separations_in_context.h"

namespace basin::experiments {

// One line each; the function stands in the header of the experiment.
const std::vector<Experiment>& experiments() {
  static const std::vector<Experiment> all = {regimes(), separations_in_context()};
  return all;
}

}  // namespace basin::experiments
